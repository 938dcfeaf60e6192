// Whether the service is there, and the key where it asks for one.

import { t } from "../words/words.js";

export class Connection {
  constructor(indicator, retry, form, session) {
    Object.assign(this, { indicator, retry, form, session, input: form.querySelector("input"), note: form.querySelector("[role=status]") });
    const { service } = session;
    service.addEventListener("connection", () => { this.show(); if (service.connected) this.#goOn(); });
    service.addEventListener("key", () => this.#askKey());
    retry.addEventListener("click", () => service.check());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      service.key = this.input.value;
      this.#goOn();
    });
    this.show();
  }

  show() {
    const { service, sender } = this.session;
    const state = !service.connected ? "gone" : sender.blocked === "busy" ? "busy" : "connected";
    if (this.indicator.className !== state) this.indicator.className = state;
    this.indicator.textContent = t(state);
    this.retry.hidden = service.connected;
  }

  #askKey() {
    const wrong = this.session.service.key !== "";
    this.note.textContent = wrong ? t("key_wrong") : "";
    if (!this.form.hidden) return;
    this.form.hidden = false;
    this.input.focus();
  }

  /** Loads the model, which needs the key, then sends what waits. */
  async #goOn() {
    try {
      await this.session.loadModel();
    } catch {
      return; // shown by the events above
    }
    this.form.hidden = true;
    this.input.value = "";
    this.session.sender.resume();
  }
}
