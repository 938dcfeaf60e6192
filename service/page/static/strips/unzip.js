// Reads a zip archive without loading it: each entry is a slice of the file, inflated when it is needed.

import { inflate } from "../rules/png.js";
import { Refusal } from "./service.js";

const END = 0x06054b50, LONGEST_END = 65_557;

/** Entries of an archive: {name, open}; an entry that cannot be read refuses when it is opened. */
export async function entriesOf(file) {
  const from = Math.max(0, file.size - LONGEST_END);
  const tail = new DataView(await file.slice(from).arrayBuffer());
  let end = tail.byteLength - 22;
  while (end >= 0 && tail.getUint32(end, true) !== END) end--;
  if (end < 0) throw new Refusal("zip");
  const count = tail.getUint16(end + 10, true), start = tail.getUint32(end + 16, true);
  if (count === 0xffff || start === 0xffffffff) throw new Refusal("zip");
  const list = new DataView(await file.slice(start, start + tail.getUint32(end + 12, true)).arrayBuffer());
  const entries = [];
  for (let at = 0, number = 0; number < count; number++) {
    const [length, extra, comment] = [28, 30, 32].map((field) => list.getUint16(at + field, true));
    const name = new TextDecoder().decode(new Uint8Array(list.buffer, at + 46, length));
    const entry = {
      encrypted: list.getUint16(at + 8, true) & 1, method: list.getUint16(at + 10, true),
      size: list.getUint32(at + 20, true), offset: list.getUint32(at + 42, true),
    };
    if (!name.endsWith("/")) entries.push({ name, open: () => open(file, entry) });
    at += 46 + length + extra + comment;
  }
  return entries;
}

async function open(file, { encrypted, method, size, offset }) {
  if (encrypted || ![0, 8].includes(method)) throw new Refusal("zip");
  const head = new DataView(await file.slice(offset, offset + 30).arrayBuffer());
  const from = offset + 30 + head.getUint16(26, true) + head.getUint16(28, true);
  const data = file.slice(from, from + size);
  return method ? new Blob([await inflate(data, "deflate-raw")]) : data;
}
