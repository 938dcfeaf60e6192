// Requests to the service: /model and /predict like any caller, the key, and whether the service is there.

const CHECK_MS = 30_000, CHECK_GONE_MS = 3_000;

/** Why a request failed: `kind` chooses the words, `detail` is the service's own sentence. */
export class Refusal extends Error {
  constructor(kind, detail = "", wait = 0) {
    super(detail || kind);
    Object.assign(this, { kind, detail, wait });
  }

  /** Whether the same request may succeed later without a change. */
  get transient() {
    return ["gone", "busy", "key"].includes(this.kind);
  }
}

const KINDS = { 401: "key", 408: "busy", 413: "large", 415: "type", 422: "picture", 429: "busy", 503: "busy", 504: "busy" };

export class Service extends EventTarget {
  connected = true;
  #timer = 0;

  get key() {
    return sessionStorage.getItem("key") ?? "";
  }

  set key(key) {
    sessionStorage.setItem("key", key);
  }

  model() {
    return this.#ask("model").then((response) => response.json());
  }

  /**
   * Bytes of the answer, a list of buffers, for one file with the pixels that the model gets, and with probability maps.
   * Where these are too large, masks at the thresholds of `query` come instead, at the service's own if it is empty.
   */
  async predict(name, blob, query) {
    const body = new FormData();
    body.append("file", blob, name);
    const ask = async (query) => {
      const response = await this.#ask(`predict?${new URLSearchParams({ ...query, strip: "true" })}`, { method: "POST", body });
      return chunksOf(response.body.getReader()).catch(() => { throw new Refusal("gone"); });
    };
    try {
      return await ask({ mask_format: "none", maps: "true" });
    } catch (error) {
      if (error.kind !== "large") throw error;
      return ask({ ...query, mask_format: "rle", instances: "true" });
    }
  }

  async #ask(path, options = {}) {
    let response;
    try {
      response = await fetch(path, { ...options, headers: this.key ? { "X-API-Key": this.key } : {} });
      this.#note(true);
      if (response.ok) return response;
    } catch {
      this.#note(false);
      throw new Refusal("gone");
    }
    if (response.status === 401) this.dispatchEvent(new Event("key"));
    const problem = await response.json().catch(() => ({}));
    const wait = Number(response.headers.get("Retry-After")) || 1;
    throw new Refusal(KINDS[response.status] ?? "other", problem.detail ?? `${response.status}`, wait);
  }

  #note(connected) {
    if (connected !== this.connected) {
      this.connected = connected;
      this.dispatchEvent(new Event("connection"));
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.check(), connected ? CHECK_MS : CHECK_GONE_MS);
  }

  /** Finds out whether the service answers at all. */
  async check() {
    await fetch("health/live").then(() => this.#note(true), () => this.#note(false));
  }
}

/** What comes, piece by piece: a body that is read at once is kept by browsers for longer than it is used. */
async function chunksOf(reader) {
  const chunks = [];
  for (let part = await reader.read(); !part.done; part = await reader.read()) chunks.push(part.value.buffer);
  return chunks;
}
