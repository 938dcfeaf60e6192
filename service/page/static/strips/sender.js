// Sends waiting strips, a few at a time, and again later where the service is busy or gone.

import { Refusal } from "./service.js";

const AT_A_TIME = 3;

export class Sender {
  #sending = 0;

  /** `send` takes a strip to its end and throws a Refusal; `changed` is told of every change. */
  constructor(strips, send, changed) {
    Object.assign(this, { strips, send, changed, blocked: null });
  }

  /** Goes on, for instance when the service is back or a key was given. */
  resume() {
    this.blocked = null;
    this.pump();
  }

  pump() {
    while (!this.blocked && this.#sending < AT_A_TIME) {
      const strip = this.strips().find((one) => one.state === "waiting");
      if (!strip) return;
      this.#one(strip);
    }
  }

  async #one(strip) {
    this.#sending++;
    strip.state = "sent";
    this.changed(strip);
    try {
      await this.send(strip);
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal("other", String(error));
      if (refusal.transient) this.#wait(strip, refusal);
      else strip.refuse(refusal);
    }
    this.#sending--;
    this.changed(strip);
    this.pump();
  }

  #wait(strip, refusal) {
    strip.state = "waiting";
    if (this.blocked) return;
    this.blocked = refusal.kind;
    // Without a key or a connection an event resumes.
    if (refusal.kind === "busy") setTimeout(() => this.resume(), 1000 * Math.min(30, refusal.wait));
  }
}
