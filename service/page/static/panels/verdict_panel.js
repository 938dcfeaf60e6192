// The verdict on the strip that is shown: badge, name, reasons in words, and what can be done.

import { css } from "../rules/colours.js";
import { reasonsOf, refusalOf } from "../words/reasons.js";
import { t } from "../words/words.js";
import { element, icon } from "./elements.js";

const ANNOUNCE_MS = 600;

export class VerdictPanel {
  #later = 0;
  #said = "";

  constructor(panel, announcer, session) {
    Object.assign(this, { panel, announcer, session });
    for (const id of ["badge", "strip-name", "reasons", "detail", "retry", "position"]) this[id] = panel.querySelector(`#${id}`);
    this.retry.addEventListener("click", () => session.retry(session.shown));
  }

  /** Shows the verdict; `defects` are those of the strip, or null while its pixels are loading. */
  show(defects, position) {
    const strip = this.session.shown;
    if (!strip) return;
    const verdict = this.session.verdict(strip);
    const name = strip.state === "refused" ? "refused" : verdict?.name ?? strip.state;
    this.panel.className = name;
    if (this.badge.dataset.name !== name) this.badge.replaceChildren(icon(name === "sent" ? "waiting" : name), element("span", ""));
    this.badge.dataset.name = name;
    this.badge.lastChild.textContent = t(name);
    this["strip-name"].textContent = strip.name;
    this.position.textContent = position.at ? t("position", position) : "";
    const reasons = verdict ? reasonsOf(strip, verdict, defects, this.session.mm) : this.#pending();
    this.reasons.replaceChildren(...reasons.map(({ text, index }) => {
      const line = element("li", index === null ? "" : "coloured", text);
      if (index !== null) line.style.setProperty("--colour", css(index));
      return line;
    }));
    this.detail.textContent = this.#detailOf(strip, verdict);
    this.retry.hidden = strip.state !== "refused";
    if (verdict) this.#announce([strip.name, t(name), ...reasons.map((one) => one.text)].join(", "));
  }

  /** What more there is to know. The service's words help where a person can act on them: a size, a limit. */
  #detailOf({ refusal, image, masksOnly }, verdict) {
    if (!verdict) return "";
    if (verdict.name !== "not_inspected") return masksOnly ? t("masks_only") : "";
    const helps = refusal && ["picture", "large", "other"].includes(refusal.kind);
    const detail = refusal ? helps && refusal.detail : image.reason;
    return [t("nothing_known"), detail && t("service_says", { detail })].filter(Boolean).join(" ");
  }

  #pending() {
    const { blocked } = this.session.sender;
    return blocked && this.session.shown.state === "waiting" ? [{ text: refusalOf({ kind: blocked }), index: null }] : [];
  }

  /** Tells screen readers once the verdict rests. */
  #announce(text) {
    clearTimeout(this.#later);
    if (text !== this.#said) this.#later = setTimeout(() => { this.#said = this.announcer.textContent = text; }, ANNOUNCE_MS);
  }
}
