// Colours the pixels of a strip: masks with outlines, or probabilities. Works on 32-bit pixels, for speed.

import { COLOURS } from "../rules/colours.js";

const OUTLINE = 2;
const MAP_GREY = 0.6;

const rgba = (r, g, b) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;

/** Grey pixels as colours, with more contrast around the middle of what is there. */
export function greyOf({ grey }, contrast) {
  let shift = 0;
  if (contrast !== 1) shift = meanOf(grey);
  const table = Uint32Array.from({ length: 256 }, (_, value) => {
    const v = Math.max(0, Math.min(255, Math.round(shift + (value - shift) * contrast)));
    return rgba(v, v, v);
  });
  return Uint32Array.from(grey, (value) => table[value]);
}

function meanOf(grey) {
  let sum = 0, count = 0;
  for (let p = 0; p < grey.length; p += 17) if (grey[p] > 16) { sum += grey[p]; count++; } // black is no steel
  return count ? sum / count : 128;
}

const mix = (pixel, [r, g, b], share) => rgba(
  (pixel & 255) * (1 - share) + r * share, ((pixel >> 8) & 255) * (1 - share) + g * share,
  ((pixel >> 16) & 255) * (1 - share) + b * share);

/** Draws masks over pixels: tinted inside, outlined at their border. `layers`: {map, least, index}. */
export function drawMasks(pixels, base, width, height, layers, opacity) {
  pixels.set(base);
  const far = OUTLINE * width;
  for (const { map, least, index } of layers) {
    const colour = COLOURS[index], solid = rgba(...colour);
    const tint = Uint32Array.from({ length: 256 }, (_, grey) => mix(rgba(grey, grey, grey), colour, opacity));
    for (let y = 0, p = 0; y < height; y++) {
      const inner = y >= OUTLINE && y < height - OUTLINE;
      for (let x = 0; x < width; x++, p++) {
        if (map[p] < least) continue;
        const inside = inner && x >= OUTLINE && x < width - OUTLINE && map[p - OUTLINE] >= least &&
          map[p + OUTLINE] >= least && map[p - far] >= least && map[p + far] >= least;
        if (!inside) pixels[p] = solid;
        else pixels[p] = pixels[p] === base[p] ? tint[base[p] & 255] : mix(pixels[p], colour, opacity);
      }
    }
  }
}

/** Draws probabilities: the higher, the more of the colour of the likeliest class. */
export function drawMaps(pixels, base, width, height, layers) {
  for (let p = 0; p < pixels.length; p++) {
    let most = 0, colour = COLOURS[0];
    for (const { map, index } of layers) if (map[p] > most) { most = map[p]; colour = COLOURS[index]; }
    const v = (base[p] & 255) * MAP_GREY;
    pixels[p] = most ? mix(rgba(v, v, v), colour, most / 255) : rgba(v, v, v);
  }
}
