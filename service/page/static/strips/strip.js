// One strip of the session: where its file is, the answer, and the little that is kept of it in memory.

import { maskOf, tallyOf } from "../rules/masks.js";
import { bytesOf, readGreyPng } from "../rules/png.js";
import { shrink } from "./thumbnail.js";

export class Strip {
  /** `open` gives the file's bytes as a Blob when they are needed. */
  constructor(id, name, open) {
    Object.assign(this, { id, name, open });
    this.reset();
  }

  /** Forgets the answer, so that the strip can be sent again. */
  reset() {
    this.state = "waiting"; // sent, answered, refused
    this.image = this.timing = this.model = this.answered = this.refusal = this.tallies = this.small = null;
    this.masksOnly = false; // the picture is too large for maps: what it shows is true for the thresholds of its answer
  }

  refuse(refusal) {
    this.state = "refused";
    this.refusal = refusal;
  }

  /** Takes an answer of /predict: tallies and a small picture stay here; the compressed pixels are returned. */
  async take(answer) {
    const [image] = answer.images;
    const codes = image.classes?.[0]?.rle === undefined ? null : image.classes.map(({ rle }) => rle);
    const packed = { strip: bytesOf(image.strip), maps: image.maps ? bytesOf(image.maps) : null, codes };
    delete image.strip;
    delete image.maps;
    for (const found of image.classes ?? []) delete found.rle;
    const pixels = await unpack(packed, image);
    Object.assign(this, {
      state: "answered", masksOnly: codes !== null, image, timing: answer.timing_ms, model: answer.model, answered: new Date(),
      tallies: pixels.maps && pixels.maps.map((map) => map.tally), small: shrink(pixels),
    });
    return packed;
  }
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
