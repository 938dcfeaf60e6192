// Masks, areas, codes and connected defects from probability maps, by the service's own rules.

export const WIDTH = 1600;
export const HEIGHT = 256;
const PIXELS = WIDTH * HEIGHT;

/** Reads a grey PNG of the answer, ``count`` images of a strip's size one below the other, into RGBA bytes. */
export async function readPng(base64, count) {
  const image = new Image();
  image.src = `data:image/png;base64,${base64}`;
  await image.decode();
  const canvas = new OffscreenCanvas(WIDTH, HEIGHT * count);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, WIDTH, HEIGHT * count).data;
}

/** Reads the maps of all classes, one below the other, into bytes by class. */
export async function readMaps(base64, count) {
  const rgba = await readPng(base64, count);
  return Array.from({ length: count }, (_, index) => {
    const map = new Uint8Array(PIXELS);
    for (let p = 0, q = 4 * index * PIXELS; p < PIXELS; p++, q += 4) map[p] = rgba[q];
    return map;
  });
}

/** Returns the pixels whose probability reaches a threshold: {mask: bytes row by row, area}. */
export function maskOf(map, threshold) {
  const least = Math.ceil(threshold * 255 - 1e-9);
  const mask = new Uint8Array(PIXELS);
  let area = 0;
  for (let p = 0; p < PIXELS; p++) if (map[p] >= least) { mask[p] = 1; area++; }
  return { mask, area };
}

/** Kaggle's code: pairs of start and length, pixels numbered from 1, top to bottom, then left to right. */
export function rleOf(mask) {
  const words = [];
  let start = 0, length = 0, number = 0;
  for (let x = 0; x < WIDTH; x++) {
    for (let y = 0; y < HEIGHT; y++) {
      number++;
      if (mask[y * WIDTH + x]) { if (!length++) start = number; }
      else if (length) { words.push(start, length); length = 0; }
    }
  }
  if (length) words.push(start, length);
  return words.join(" ");
}

/** Connected defects, pixels joined by their edges, the largest first. */
export function instancesOf(mask, map) {
  const label = new Int32Array(PIXELS);
  const stack = new Int32Array(PIXELS);
  const found = [];
  for (let first = 0; first < PIXELS; first++) {
    if (!mask[first] || label[first]) continue;
    const one = { left: WIDTH, top: HEIGHT, right: 0, bottom: 0, area: 0, sum: 0 };
    found.push(one);
    let depth = 0;
    stack[depth++] = first;
    label[first] = found.length;
    const visit = (p) => { if (mask[p] && !label[p]) { label[p] = found.length; stack[depth++] = p; } };
    while (depth) {
      const p = stack[--depth], x = p % WIDTH, y = (p - x) / WIDTH;
      one.area++;
      one.sum += map[p];
      if (x < one.left) one.left = x;
      if (x > one.right) one.right = x;
      if (y < one.top) one.top = y;
      if (y > one.bottom) one.bottom = y;
      if (x > 0) visit(p - 1);
      if (x < WIDTH - 1) visit(p + 1);
      if (y > 0) visit(p - WIDTH);
      if (y < HEIGHT - 1) visit(p + WIDTH);
    }
  }
  return found
    .map(({ left, top, right, bottom, area, sum }) => ({
      bbox: [left, top, right - left + 1, bottom - top + 1], area, score: sum / area / 255,
    }))
    .sort((a, b) => b.area - a.area);
}
