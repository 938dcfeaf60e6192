// What only some need: model, engine, command, size of a pixel, language, keys.

import { currentLanguage, LANGUAGES, t, useLanguage } from "../words/words.js";
import { element } from "./elements.js";

export class About {
  /** `changed` is called when the language changed. */
  constructor(dialog, session, changed) {
    Object.assign(this, { dialog, session });
    for (const id of ["facts", "language", "mm-width", "mm-height", "command", "api"]) this[id] = dialog.querySelector(`#${id}`);
    this.language.replaceChildren(...Object.entries(LANGUAGES).map(([code, name]) => new Option(name, code)));
    this.language.addEventListener("change", async () => { await useLanguage(this.language.value); this.#show(); changed(); });
    for (const id of ["mm-width", "mm-height"]) this[id].addEventListener("change", () => this.#setSize());
    dialog.querySelector("#copy").addEventListener("click", () => {
      getSelection().selectAllChildren(this.command);
      if (navigator.clipboard) navigator.clipboard.writeText(this.command.textContent).catch(() => {});
      else document.execCommand("copy"); // pages without TLS have no clipboard
    });
    // A link cannot carry a key, so it is hidden where the page of the API is off or needs one.
    fetch("docs", { method: "HEAD" }).then((response) => { this.api.hidden = !response.ok; }, () => {});
  }

  open() {
    this.#show();
    this.dialog.showModal();
  }

  #setSize() {
    const [width, height] = ["mm-width", "mm-height"].map((id) => Number(this[id].value) || 0);
    this.session.mm = width || height ? [width || height, height || width] : null;
  }

  #show() {
    const { model, shown, mm, point } = this.session;
    this.language.value = currentLanguage();
    [this["mm-width"].value, this["mm-height"].value] = mm ?? ["", ""];
    const facts = model ? [
      ["about_model", `${model.name} ${model.version}`],
      ["about_engine", [model.provider, model.precision, model.fallback_reason].filter(Boolean).join(", ")],
      ["about_file", model.sha256],
      ...(shown?.timing ? [["about_time", t("about_time_value", shown.timing)]] : []),
    ] : [];
    this.facts.replaceChildren(...facts.flatMap(([key, text]) => [element("dt", "", t(key)), element("dd", "", text)]));
    this.command.parentElement.hidden = !shown || !model;
    if (shown && model) this.command.textContent = commandOf(shown.name, point, this.session.service.key);
  }
}

function commandOf(name, point, key) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const address = new URL(`predict?${decodeURIComponent(new URLSearchParams(point.query))}`, location.href);
  return `curl -F ${quoted(`file=@${name}`)}${key ? " -H 'X-API-Key: …'" : ""} ${quoted(address.href)}`;
}
