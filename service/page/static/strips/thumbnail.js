// Small pictures for the list: a few kilobytes a strip, whose masks still follow the thresholds.

import { COLOURS } from "../rules/colours.js";

const WIDTH = 240, HEIGHT = 80;

/** Shrinks a strip's pixels: grey by every few pixels, maps by their highest, so that no small defect is lost. */
export function shrink({ width, height, grey, maps }) {
  const step = Math.max(1, Math.ceil(width / WIDTH), Math.ceil(height / HEIGHT / 2));
  const across = Math.ceil(width / step), down = Math.ceil(height / step);
  const small = new Uint8Array(across * down);
  for (let y = 0, q = 0; y < down; y++) for (let x = 0; x < across; x++, q++) small[q] = grey[y * step * width + x * step];
  const layers = maps && maps.map((map) => map.tally && highest(map, width, height, step, across, down));
  return { width: across, height: down, grey: small, maps: layers };
}

function highest(map, width, height, step, across, down) {
  const small = new Uint8Array(across * down);
  for (let y = 0, p = 0; y < height; y++) {
    const line = Math.floor(y / step) * across;
    for (let x = 0; x < width; x++, p++) if (map[p]) {
      const q = line + Math.floor(x / step);
      if (map[p] > small[q]) small[q] = map[p];
    }
  }
  return small;
}

/** Draws a small picture with the masks of the classes that decide. */
export function drawThumbnail(canvas, small, classes) {
  Object.assign(canvas, { width: small.width, height: small.height });
  const picture = new ImageData(small.width, small.height), rgba = picture.data;
  const layers = classes.filter((found) => found.present && small.maps?.[found.index]);
  for (let p = 0, q = 0; p < small.grey.length; p++, q += 4) {
    rgba[q] = rgba[q + 1] = rgba[q + 2] = small.grey[p];
    rgba[q + 3] = 255;
    for (const { index, least } of layers) if (small.maps[index][p] >= least) rgba.set(COLOURS[index], q);
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}
