// Reads an answer of /predict: what stays in memory, and the compressed pixels.

import { maskOf, tallyOf } from "../rules/masks.js";
import { bytesOf, readGreyPng } from "../rules/png.js";
import { shrink } from "./thumbnail.js";

/** From the bytes of an answer for one file, a list of buffers: {answer, packed, tallies, small}. */
export async function readAnswer(chunks) {
  const decoder = new TextDecoder();
  const answer = JSON.parse(chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join("")), [image] = answer.images;
  const codes = image.classes?.[0]?.rle === undefined ? null : image.classes.map(({ rle }) => rle);
  const packed = { strip: bytesOf(image.strip), maps: image.maps ? bytesOf(image.maps) : null, codes };
  delete image.strip;
  delete image.maps;
  for (const found of image.classes ?? []) delete found.rle;
  const pixels = await unpack(packed, image);
  return { answer, packed, tallies: pixels.maps && pixels.maps.map((map) => map.tally), small: shrink(pixels) };
}

/**
 * Pixels of compressed pictures: {width, height, grey, maps, instances}; each map has its tally, and maps is null if not
 * inspected. With masks only, a map is 255 inside of its mask, and instances are the service's, with their scores.
 */
export async function unpack(packed, image) {
  const { width, height, pixels: grey } = await readGreyPng(packed.strip);
  if (packed.codes) return { width, height, grey, maps: masksOf(packed.codes, width, height), instances: image.instances };
  if (!packed.maps || !image.classes) return { width, height, grey, maps: null };
  const { pixels } = await readGreyPng(packed.maps);
  const maps = image.classes.map((_, index) => {
    const map = pixels.subarray(index * width * height, (index + 1) * width * height);
    map.tally = tallyOf(map);
    return map;
  });
  return { width, height, grey, maps };
}

/** Masks of all classes; those that are absent share one. */
function masksOf(codes, width, height) {
  const none = Object.assign(new Uint8Array(width * height), { tally: null });
  return codes.map((code) => {
    if (!code) return none;
    const mask = maskOf(code, width, height);
    mask.tally = tallyOf(mask);
    return mask;
  });
}
