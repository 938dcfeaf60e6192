// Areas, connected defects and codes of masks from probability maps, by the service's own rules.
// A map is bytes row by row, 255 x probability; a pixel belongs to the mask from `least` on.

/** The lowest byte that reaches a threshold. */
export const leastByte = (threshold) => Math.ceil(threshold * 255 - 1e-9);

/** How many pixels reach each byte, so that an area at any threshold is one look; null if the map is empty. */
export function tallyOf(map) {
  const tally = new Uint32Array(257);
  for (let p = 0; p < map.length; p++) tally[map[p]]++;
  if (tally[0] === map.length) return null;
  for (let byte = 255; byte >= 0; byte--) tally[byte] += tally[byte + 1];
  return tally;
}

/** Connected defects, pixels joined by their edges, the largest first: {bbox, area, score}. */
export function defectsOf(map, least, width, height) {
  const parts = [];
  const root = (one) => { while (one.into) one = one.into; return one; };
  let above = [];
  for (let y = 0, p = 0; y < height; y++) {
    const runs = [];
    let next = 0;
    for (let x = 0; x < width; x++, p++) {
      if (map[p] < least) continue;
      const from = x;
      let sum = 0;
      for (; x < width && map[p] >= least; x++, p++) sum += map[p];
      let part = { left: from, right: x, top: y, bottom: y + 1, area: x - from, sum, into: null };
      while (next < above.length && above[next].to <= from) next++;
      for (let at = next; at < above.length && above[at].from < x; at++) part = join(root(above[at].part), part);
      if (!part.listed) { part.listed = true; parts.push(part); }
      runs.push({ from, to: x, part });
      x--; p--;
    }
    above = runs;
  }
  return parts.filter((one) => !one.into).map(({ left, right, top, bottom, area, sum }) => ({
    bbox: [left, top, right - left, bottom - top], area, score: sum / area / 255,
  })).sort((a, b) => b.area - a.area);
}

function join(one, other) {
  if (one === other) return one;
  one.left = Math.min(one.left, other.left);
  one.right = Math.max(one.right, other.right);
  one.top = Math.min(one.top, other.top);
  one.bottom = Math.max(one.bottom, other.bottom);
  one.area += other.area;
  one.sum += other.sum;
  other.into = one;
  return one;
}

/** Kaggle's code: pairs of start and length, pixels numbered from 1, top to bottom, then left to right. */
export function codeOf(map, least, width, height) {
  const words = [];
  let length = 0, number = 0;
  for (let x = 0; x < width; x++) {
    for (let y = 0, p = x; y < height; y++, p += width, number++) {
      if (map[p] >= least) length++;
      else if (length) { words.push(number - length + 1, length); length = 0; }
    }
  }
  if (length) words.push(number - length + 1, length);
  return words.join(" ");
}

/** The mask of such a code: 255 inside, 0 elsewhere, row by row. */
export function maskOf(code, width, height) {
  const mask = new Uint8Array(width * height), numbers = code.split(" ").map(Number);
  for (let at = 0; at < numbers.length; at += 2) {
    const first = numbers[at] - 1;
    for (let number = first; number < first + numbers[at + 1]; number++) mask[(number % height) * width + Math.floor(number / height)] = 255;
  }
  return mask;
}
