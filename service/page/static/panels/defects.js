// The table of connected defects; a row zooms to its defect.

import { css } from "../rules/colours.js";
import { area, size } from "../words/reasons.js";
import { number, percent, t } from "../words/words.js";
import { roving } from "./elements.js";

const MOST = 100;

export class Defects {
  #shown = [];

  /** `choose` is called with a defect. */
  constructor(panel, session, choose) {
    Object.assign(this, { panel, session, body: panel.querySelector("tbody"), note: panel.querySelector("p") });
    this.body.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (row) choose(this.#shown[row.rowIndex - 1]);
    });
    this.refresh = roving(this.body, "button", ["ArrowUp", "ArrowDown"]);
  }

  show(defects) {
    this.#shown = defects.slice(0, MOST);
    const { mm } = this.session;
    this.panel.querySelector("table").hidden = !defects.length;
    this.note.textContent = defects.length ? defects.length > MOST ? t("defects_more", { n: MOST }) : "" : t("defects_none");
    while (this.body.rows.length > this.#shown.length) this.body.deleteRow(-1);
    this.#shown.forEach((one, at) => {
      const row = this.body.rows[at] ?? this.#makeRow(at);
      row.style.setProperty("--colour", css(one.index));
      const [left, top] = mm ? [one.bbox[0] * mm[0], one.bbox[1] * mm[1]] : one.bbox;
      const place = `${number(left)}, ${number(top)} ${mm ? "mm" : "px"}`;
      row.cells[0].firstChild.textContent = one.name;
      row.cells[0].firstChild.setAttribute("aria-label", `${one.name}, ${t("zoom_to", { n: at + 1 })}`);
      [percent(one.score), size(one.bbox, mm), area(one.area, mm), place].forEach((text, cell) => { row.cells[cell + 1].textContent = text; });
    });
    this.refresh();
  }

  #makeRow() {
    const row = this.body.insertRow();
    for (let cell = 0; cell < 5; cell++) row.insertCell();
    row.cells[0].append(Object.assign(document.createElement("button"), { type: "button", className: "link" }));
    return row;
  }
}
