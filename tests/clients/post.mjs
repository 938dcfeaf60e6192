// Posts a strip in each way that Node.js has without packages; prints way, status and body of each, a line of JSON.
import {readFileSync} from 'node:fs'
import http from 'node:http'

const [url, file] = process.argv.slice(2)
const strip = readFileSync(file)

function form(type) {
  const data = new FormData()
  data.append('file', new Blob([strip], type ? {type} : {}), 'größe 1.png')
  return data
}

async function fetched(options) {
  const answer = await fetch(url, {method: 'POST', ...options})
  return [answer.status, await answer.text()]
}

function requested(headers, write) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, {method: 'POST', headers}, (answer) => {
      let body = ''
      answer.setEncoding('utf-8').on('data', (part) => { body += part }).on('end', () => resolve([answer.statusCode, body]))
    })
    request.on('error', reject)
    write(request)
  })
}

async function * parts() {
  for (let at = 0; at < strip.length; at += 100) yield strip.subarray(at, at + 100)
}

const kind = {'Content-Type': 'image/png'}
const ways = {
  'fetch, bytes': () => fetched({body: strip, headers: kind}),
  'fetch, bytes of no type': () => fetched({body: strip}),
  'fetch, Blob': () => fetched({body: new Blob([strip], {type: 'image/png'})}),
  'fetch, stream': () => fetched({body: parts(), duplex: 'half', headers: kind}),
  'fetch, FormData': () => fetched({body: form('image/png')}),
  'fetch, FormData of no type': () => fetched({body: form()}),
  'http, announced': () => requested({...kind, 'Content-Length': strip.length}, (request) => request.end(strip)),
  'http, chunked': () => requested(kind, (request) => {
    for (let at = 0; at < strip.length; at += 100) request.write(strip.subarray(at, at + 100))
    request.end()
  }),
  'http, Expect': () => requested({...kind, Expect: '100-continue'}, (request) => {
    request.on('continue', () => request.end(strip))
    request.flushHeaders()
  }),
  'http, Upgrade': () => requested({...kind, Connection: 'Upgrade', Upgrade: 'h2c'}, (request) => request.end(strip)),
}

for (const [way, send] of Object.entries(ways)) {
  const [status, body] = await send()
  console.log(JSON.stringify({way, status, body}))
}
