// The list of strips: thumbnails, verdicts, class chips; filtered, searched, sorted; one tab stop.

import { css } from "../rules/colours.js";
import { drawThumbnail } from "../strips/thumbnail.js";
import { percent, t } from "../words/words.js";
import { element, icon } from "./elements.js";

const CHIPS = 5; // the first with its name, the others by colour
const FILTERS = ["all", "defect", "suspect", "not_inspected", "ok"];

export class List {
  #rows = new Map(); // by strip
  #seen = new IntersectionObserver((entries) => this.#inSight(entries), { rootMargin: "300px" });
  #order = [];

  /** `side` is the panel of index.html. */
  constructor(side, session) {
    Object.assign(this, { side, session });
    for (const id of ["list", "search", "sort", "filters", "totals", "none"]) this[id] = side.querySelector(`#${id}`);
    this.#makeFilters();
    this.search.addEventListener("input", () => this.arrange());
    this.sort.addEventListener("change", () => this.arrange());
    this.list.addEventListener("click", (event) => {
      const row = event.target.closest("li");
      if (row) session.show(row.strip);
    });
  }

  #makeFilters() {
    this.filters.replaceChildren(...FILTERS.map((name, at) => {
      const label = element("label", `filter ${name}`);
      const input = Object.assign(document.createElement("input"), { type: "radio", name: "filter", value: name, checked: !at });
      input.addEventListener("change", () => this.arrange());
      label.append(input, ...(at ? [icon(name)] : []), element("span", "words"), element("b", "count"));
      return label;
    }));
  }

  get filter() {
    return this.filters.querySelector(":checked").value;
  }

  /** Strips in the order in which they stand, those that match only. */
  get order() {
    return this.#order;
  }

  /** The strip that stands `step` places further, if there is one. */
  neighbour(step) {
    const at = this.#order.indexOf(this.session.shown);
    return this.#order[at < 0 ? 0 : at + step];
  }

  /** Makes, removes, filters and sorts rows. */
  arrange() {
    const { strips } = this.session;
    for (const [strip, row] of this.#rows) if (!strips.includes(strip)) { this.#seen.unobserve(row); row.remove(); this.#rows.delete(strip); }
    for (const strip of strips) if (!this.#rows.has(strip)) this.#rows.set(strip, this.#makeRow(strip));
    const wanted = this.search.value.trim().toLowerCase();
    const matching = strips.filter((strip) => this.#matches(strip, wanted));
    this.#order = this.sort.value === "severity" ? this.session.worstFirst(matching) : matching;
    if (this.sort.value === "name") this.#order.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
    const kept = this.list.scrollTop;
    this.#order.forEach((strip, at) => {
      const row = this.#rows.get(strip);
      if (this.list.children[at] !== row) this.list.insertBefore(row, this.list.children[at] ?? null);
    });
    while (this.list.children.length > this.#order.length) this.list.lastChild.remove();
    this.list.scrollTop = kept;
    this.none.hidden = Boolean(this.#order.length) || !strips.length;
    this.update();
    this.mark();
  }

  #matches(strip, wanted) {
    const verdict = this.session.verdict(strip);
    if (this.filter !== "all" && verdict?.name !== this.filter) return false;
    if (!wanted) return true;
    const classes = (verdict?.reasons ?? []).map((found) => found.name).join(" ");
    return `${strip.name} ${classes} ${verdict ? t(verdict.name) : ""}`.toLowerCase().includes(wanted);
  }

  #makeRow(strip) {
    const row = element("li", "row");
    row.id = `strip-${strip.id}`;
    row.strip = strip;
    row.setAttribute("role", "option");
    row.append(icon("waiting"), element("span", "name", strip.name), element("span", "chips"), element("canvas", "thumb"));
    row.title = strip.name;
    this.#seen.observe(row);
    return row;
  }

  /** Brings all rows and totals up to the thresholds; rows that did not change are not touched. */
  update() {
    const counts = { all: this.session.strips.length };
    let done = 0;
    for (const strip of this.session.strips) {
      const verdict = this.session.verdict(strip);
      if (verdict) { counts[verdict.name] = (counts[verdict.name] ?? 0) + 1; done++; }
      this.#updateRow(strip, verdict);
    }
    for (const label of this.filters.children) {
      const name = label.firstChild.value;
      write(label.querySelector(".words"), t(name === "all" ? "all" : `filter_${name}`));
      write(label.lastChild, String(counts[name] ?? 0));
    }
    write(this.totals, done < counts.all ? t("progress", { done, n: counts.all }) : t("total", { n: counts.all }));
    this.totals.style.setProperty("--done", counts.all ? done / counts.all : 1);
  }

  #updateRow(strip, verdict) {
    const row = this.#rows.get(strip);
    if (!row) return;
    const name = strip.state === "refused" ? "refused" : verdict?.name ?? strip.state;
    const reasons = verdict?.reasons ?? [];
    const key = `${name} ${reasons.map((found) => `${found.index}${found.why}${percent(found.probability)}`)} ${document.documentElement.lang}`;
    if (row.inSight && verdict) this.#thumb(row);
    if (row.key === key) return;
    row.key = key;
    const [mark, , chips] = row.children;
    mark.replaceWith(icon(name === "sent" ? "waiting" : name));
    row.className = `row ${name}`;
    chips.replaceChildren(...reasons.slice(0, CHIPS).map((found, at) => {
      const chip = element("span", at ? "chip bare" : "chip", at ? "" : `${found.name} ${percent(found.probability)}`);
      chip.style.setProperty("--colour", css(found.index));
      return chip;
    }), ...(reasons.length > CHIPS ? [element("span", "chip", t("more", { n: reasons.length - CHIPS }))] : []));
    const words = [strip.name, t(name), ...reasons.map((found) => `${found.name} ${percent(found.probability)}`)];
    row.setAttribute("aria-label", words.join(", "));
    if (!reasons.length && name !== "ok") chips.replaceChildren(element("span", "state", t(name)));
  }

  #inSight(entries) {
    for (const { target, isIntersecting } of entries) {
      target.inSight = isIntersecting;
      if (isIntersecting) this.#thumb(target);
    }
  }

  /** Draws the small picture of a row, where it is not drawn so already. */
  #thumb(row) {
    const { strip } = row, verdict = this.session.verdict(strip);
    if (!strip.small || !verdict) return;
    const drawn = verdict.classes.filter((found) => found.present).map((found) => [found.index, found.least]).join();
    if (row.drawn === drawn && row.small === strip.small) return;
    Object.assign(row, { drawn, small: strip.small });
    drawThumbnail(row.lastChild, strip.small, verdict.classes);
  }

  /** Marks the row of the strip that is shown, and brings it into sight if it is newly shown. */
  mark(newly = false) {
    const row = this.#rows.get(this.session.shown);
    for (const one of this.list.querySelectorAll("[aria-selected=true]")) if (one !== row) one.setAttribute("aria-selected", "false");
    if (!row?.isConnected) return this.list.removeAttribute("aria-activedescendant");
    row.setAttribute("aria-selected", "true");
    this.list.setAttribute("aria-activedescendant", row.id);
    if (newly) row.scrollIntoView({ block: "nearest" });
  }
}

/** Changes a text only where it differs: what is written many times a second leaves garbage. */
function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}
