// Compressed pictures of answered strips, as many as fit; an older one is asked for again when it is looked at.

import { unpack } from "./answer.js";

const MOST_BYTES = 24e6;
const MOST_OPEN = 3;

export class Shelf {
  #packed = new Map(); // by strip, the one used last at the end
  #open = new Map();
  #bytes = 0;

  /** `fetchAgain` asks the service for the compressed pictures of a strip. */
  constructor(fetchAgain) {
    this.fetchAgain = fetchAgain;
  }

  put(strip, packed) {
    this.drop(strip);
    this.#packed.set(strip, packed);
    this.#bytes += sizeOf(packed);
    while (this.#bytes > MOST_BYTES && this.#packed.size > 1) this.drop(this.#packed.keys().next().value);
  }

  drop(strip) {
    const packed = this.#packed.get(strip);
    if (packed) this.#bytes -= sizeOf(packed);
    this.#packed.delete(strip);
    this.#open.delete(strip);
  }

  /** Pixels that are at hand, or undefined. */
  peek(strip) {
    return this.#open.get(strip);
  }

  /** Pixels of an answered strip; the last few stay open. */
  async pixels(strip) {
    const open = this.#open.get(strip);
    if (open) return open;
    const packed = this.#packed.get(strip) ?? await this.fetchAgain(strip);
    this.put(strip, packed);
    const pixels = await unpack(packed, strip.image);
    this.#open.set(strip, pixels);
    while (this.#open.size > MOST_OPEN) this.#open.delete(this.#open.keys().next().value);
    return pixels;
  }
}

const sizeOf = ({ strip, maps, codes }) => strip.length + (maps?.length ?? codes?.join("").length ?? 0);
