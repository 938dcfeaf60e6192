// Reads answers in a worker that is replaced from time to time: with it goes the garbage that hundreds of answers leave.

const ANSWERS = 25;

export class Reader {
  #worker = null;

  /** Reads the bytes of an answer, a list of buffers, as `readAnswer` does; they are handed over, not copied. */
  read(chunks) {
    if (!this.#worker || this.#worker.given >= ANSWERS) this.#worker = new ReaderWorker();
    return this.#worker.read(chunks);
  }
}

class ReaderWorker {
  given = 0;
  #waiting = new Map(); // by number: {resolve, reject}
  #worker = new Worker(new URL("reader_worker.js", import.meta.url), { type: "module" });

  constructor() {
    this.#worker.addEventListener("message", ({ data: { number, read, error } }) => {
      const { resolve, reject } = this.#waiting.get(number);
      this.#waiting.delete(number);
      if (error) reject(new Error(error));
      else resolve(read);
      if (this.given >= ANSWERS && !this.#waiting.size) this.#worker.terminate();
    });
    this.#worker.addEventListener("error", (event) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(event.message));
      this.#waiting.clear();
      this.given = ANSWERS; // the next answer gets another worker
    });
  }

  read(chunks) {
    const number = this.given++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      this.#worker.postMessage({ number, chunks }, chunks);
    });
  }
}
