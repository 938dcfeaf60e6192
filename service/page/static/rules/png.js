// Reads the grey PNGs of the service byte for byte; a canvas would limit their size and quadruple their memory.

/** Bytes of base64 text. */
export function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64); // half the garbage
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Bytes of a compressed stream, by the browser's own decompression. */
export async function inflate(blob, format) {
  return new Uint8Array(await new Response(blob.stream().pipeThrough(new DecompressionStream(format))).arrayBuffer());
}

/** A grey PNG of 8 bits that is not interlaced: {width, height, pixels}. */
export async function readGreyPng(png) {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const width = view.getUint32(16), height = view.getUint32(20), data = [];
  for (let at = 8, length; at < png.length; at += length + 12) {
    length = view.getUint32(at);
    if (view.getUint32(at + 4) === 0x49444154) data.push(png.subarray(at + 8, at + 8 + length)); // IDAT
  }
  const lines = await inflate(new Blob(data), "deflate");
  const pixels = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) unfilter(lines, y * (width + 1), pixels, y * width, width, y > 0);
  return { width, height, pixels };
}

/** Undoes the filter of one line (PNG specification, section 9). */
function unfilter(lines, from, pixels, to, width, hasAbove) {
  const filter = lines[from++];
  if (filter === 0) return pixels.set(lines.subarray(from, from + width), to);
  for (let x = 0; x < width; x++) {
    const left = x ? pixels[to + x - 1] : 0, above = hasAbove ? pixels[to + x - width] : 0;
    let guess = left;
    if (filter === 2) guess = above;
    else if (filter === 3) guess = (left + above) >> 1;
    else if (filter === 4) {
      const corner = x && hasAbove ? pixels[to + x - width - 1] : 0;
      const a = Math.abs(above - corner), b = Math.abs(left - corner), c = Math.abs(left + above - 2 * corner);
      guess = a <= b && a <= c ? left : b <= c ? above : corner;
    }
    pixels[to + x] = lines[from + x] + guess;
  }
}
