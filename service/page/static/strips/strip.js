// One strip of the session: where its file is, the answer, and the little that is kept of it in memory.

import { tallyOf } from "../rules/masks.js";
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
  }

  refuse(refusal) {
    this.state = "refused";
    this.refusal = refusal;
  }

  /** Takes an answer of /predict: tallies and a small picture stay here; the compressed pixels are returned. */
  async take(answer) {
    const [image] = answer.images;
    const packed = { strip: bytesOf(image.strip), maps: image.maps ? bytesOf(image.maps) : null };
    delete image.strip;
    delete image.maps;
    const pixels = await unpack(packed, image);
    Object.assign(this, {
      state: "answered", image, timing: answer.timing_ms, model: answer.model, answered: new Date(),
      tallies: pixels.maps && pixels.maps.map((map) => map.tally), small: shrink(pixels),
    });
    return packed;
  }
}

/** Pixels of compressed pictures: {width, height, grey, maps}; each map has its tally, and maps is null if not inspected. */
export async function unpack(packed, image) {
  const { width, height, pixels: grey } = await readGreyPng(packed.strip);
  if (!packed.maps || !image.classes) return { width, height, grey, maps: null };
  const { pixels } = await readGreyPng(packed.maps);
  const maps = image.classes.map((_, index) => {
    const map = pixels.subarray(index * width * height, (index + 1) * width * height);
    map.tally = tallyOf(map);
    return map;
  });
  return { width, height, grey, maps };
}
