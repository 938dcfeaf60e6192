// Writes a zip archive without compression: pictures are compressed already.

const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});
const UTF8 = 0x800, VERSION = 20, DATE = 0x21; // 1980-01-01, which is the earliest that the format knows

function checksum(bytes) {
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) crc = TABLE[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Fields of 2 or 4 bytes, little endian: [[size, value], …]. */
function record(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return view.buffer;
}

export class ZipWriter {
  #parts = [];
  #entries = [];
  #names = new Set();
  #offset = 0;

  /** Adds a file; one of the same name gets a number. */
  async add(name, blob) {
    let unique = name;
    for (let number = 2; this.#names.has(unique); number++) unique = name.replace(/(\.[^.]*)?$/, ` (${number})$1`);
    this.#names.add(unique);
    const text = new TextEncoder().encode(unique), crc = checksum(new Uint8Array(await blob.arrayBuffer()));
    const common = [[2, VERSION], [2, UTF8], [2, 0], [2, 0], [2, DATE], [4, crc], [4, blob.size], [4, blob.size], [2, text.length], [2, 0]];
    const head = record([4, 0x04034b50], ...common);
    this.#entries.push(record([4, 0x02014b50], [2, VERSION], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, this.#offset]), text);
    this.#parts.push(head, text, blob);
    this.#offset += head.byteLength + text.length + blob.size;
  }

  finish() {
    const size = this.#entries.reduce((sum, part) => sum + part.byteLength, 0), count = this.#entries.length / 2;
    const end = record([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, this.#offset], [2, 0]);
    return new Blob([...this.#parts, ...this.#entries, end], { type: "application/zip" });
  }
}
