// The strip with coloured masks, or with one class's probabilities.

import { HEIGHT, WIDTH } from "./masks.js";

// Okabe and Ito's palette, as in the images of /overlay: distinguishable with any kind of colour vision.
export const COLOURS = [[230, 159, 0], [86, 180, 233], [0, 158, 115], [204, 121, 167]];
const TINT = 0.3;

/** Draws the visible masks over the strip's grey pixels (RGBA bytes). */
export function drawMasks(context, grey, classes) {
  const picture = new ImageData(new Uint8ClampedArray(grey), WIDTH, HEIGHT);
  const rgba = picture.data;
  for (const { mask, colour } of classes) {
    for (let y = 0, p = 0; y < HEIGHT; y++) {
      for (let x = 0; x < WIDTH; x++, p++) {
        if (!mask[p]) continue;
        const inside = x > 1 && y > 1 && x < WIDTH - 2 && y < HEIGHT - 2 &&
          mask[p - 2] && mask[p + 2] && mask[p - 2 * WIDTH] && mask[p + 2 * WIDTH];
        const share = inside ? TINT : 1, q = 4 * p;
        for (let c = 0; c < 3; c++) rgba[q + c] += share * (colour[c] - rgba[q + c]);
      }
    }
  }
  context.putImageData(picture, 0, 0);
}

/** Draws probabilities over the strip: the higher, the more of the class's colour. */
export function drawMaps(context, grey, classes) {
  const picture = new ImageData(new Uint8ClampedArray(grey), WIDTH, HEIGHT);
  const rgba = picture.data;
  for (let p = 0, q = 0; q < rgba.length; p++, q += 4) {
    let most = 0, colour = COLOURS[0];
    for (const one of classes) if (one.map[p] > most) { most = one.map[p]; colour = one.colour; }
    const share = most / 255;
    for (let c = 0; c < 3; c++) rgba[q + c] = 0.6 * rgba[q + c] * (1 - share) + share * colour[c];
  }
  context.putImageData(picture, 0, 0);
}

/** Draws boxes with the numbers of their classes. */
export function drawBoxes(context, instances) {
  context.lineWidth = 2;
  context.font = "14px system-ui, sans-serif";
  for (const { bbox: [x, y, width, height], colour, class_id: number } of instances) {
    context.strokeStyle = context.fillStyle = `rgb(${colour.join(",")})`;
    context.strokeRect(x - 1, y - 1, width + 2, height + 2);
    context.fillText(String(number), x + width + 3 > WIDTH - 10 ? x - 12 : x + width + 3, Math.min(y + 12, HEIGHT - 3));
  }
}
