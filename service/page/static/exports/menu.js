// The export menu: what leaves the page. Writers are loaded when they are used.

import { defectsAt, layersOf } from "../picture/layers.js";
import { reasonsOf } from "../words/reasons.js";
import { t } from "../words/words.js";
import { download, stem } from "./download.js";

const QUALITY = 0.92;

export class ExportMenu {
  constructor(menu, note, session) {
    Object.assign(this, { menu, note, session });
    menu.addEventListener("click", async (event) => {
      const kind = event.target.closest("button")?.dataset.out;
      if (!kind) return;
      menu.open = false;
      menu.querySelector("summary").focus();
      await this[kind]();
    });
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !menu.open) return;
      menu.open = false;
      menu.querySelector("summary").focus();
    });
    document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  }

  /** Allows what can be exported now. */
  show() {
    const { shown, strips } = this.session, one = shown?.state === "answered";
    for (const button of this.menu.querySelectorAll("button")) {
      button.disabled = button.matches(".one") ? !one : !strips.some((strip) => this.session.verdict(strip));
    }
  }

  #saved(name, blob) {
    download(name, blob);
    this.note.textContent = t("out_done", { name });
  }

  /** A strip with its pixels, defects and reasons at the thresholds in use. */
  async #read(strip) {
    const verdict = this.session.verdict(strip), pixels = await this.session.shelf.pixels(strip);
    const defects = defectsAt(layersOf(verdict, pixels), pixels, this.session.mm);
    return { verdict, pixels, defects, reasons: reasonsOf(strip, verdict, defects, this.session.mm).map((one) => one.text) };
  }

  async picture() {
    const { shown } = this.session;
    this.#saved(`${stem(shown.name)}-defects.png`, await this.#draw(shown, "image/png"));
  }

  async #draw(strip, type) {
    const { annotate } = await import("./annotated.js");
    const { verdict, pixels, defects, reasons } = await this.#read(strip);
    const canvas = annotate(strip, verdict, pixels, defects, this.session, reasons);
    return new Promise((resolve) => canvas.toBlob(resolve, type, QUALITY));
  }

  async document() {
    const { documentOf } = await import("./document.js");
    const { shown } = this.session, { verdict, pixels, defects, reasons } = await this.#read(shown);
    const content = documentOf(shown, verdict, pixels, defects, this.session, reasons);
    this.#saved(`${stem(shown.name)}.json`, new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }));
  }

  async list() {
    const { stripRows, table } = await import("./csv.js");
    this.#saved("strips.csv", table(stripRows(this.session)));
  }

  async defects() {
    const { defectHead, defectRows, table } = await import("./csv.js");
    const rows = [defectHead(this.session.mm)];
    const done = await this.#each(async (strip) => rows.push(...defectRows(strip, (await this.#read(strip)).defects, this.session.mm)));
    if (done) this.#saved("defects.csv", table(rows));
  }

  async zip() {
    const [{ ZipWriter }, { stripRows, table }] = await Promise.all([import("./zip.js"), import("./csv.js")]);
    const archive = new ZipWriter();
    const done = await this.#each(async (strip) => archive.add(`${stem(strip.name)}-defects.jpg`, await this.#draw(strip, "image/jpeg")));
    if (!done) return;
    await archive.add("strips.csv", table(stripRows(this.session)));
    this.#saved("strips.zip", archive.finish());
  }

  print() {
    window.print();
  }

  /** Does something for each answered strip and shows how far it is; false if one fails, which is said. */
  async #each(action) {
    const strips = this.session.worstFirst().filter((strip) => strip.state === "answered");
    for (const [at, strip] of strips.entries()) {
      this.note.textContent = t("out_working", { at: at + 1, n: strips.length });
      try {
        await action(strip);
      } catch {
        this.note.textContent = t("out_failed", { name: strip.name });
        return false;
      }
      if (at % 10 === 9) await new Promise((resolve) => setTimeout(resolve)); // let the page breathe
    }
    return true;
  }
}
