// The classes of the model: colour, probability beside its threshold, and a switch for the mask.

import { css } from "../rules/colours.js";
import { area } from "../words/reasons.js";
import { percent, t } from "../words/words.js";
import { element, roving } from "./elements.js";

export class Classes {
  /** `changed` is called when a mask is switched. */
  constructor(panel, session, changed) {
    Object.assign(this, { panel, session, changed, hidden: new Set() });
    this.refresh = roving(panel, "input");
  }

  /** Makes a switch for each class of the model. */
  make() {
    this.hidden.clear();
    this.panel.replaceChildren(...this.session.model.classes.map(({ name }, index) => {
      const label = element("label", "class");
      label.style.setProperty("--colour", css(index));
      const input = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
      input.addEventListener("change", () => {
        if (input.checked) this.hidden.delete(index);
        else this.hidden.add(index);
        this.changed();
      });
      label.append(input, element("b", "", name), element("span", "found"), element("span", "from"));
      return label;
    }));
    this.refresh();
  }

  show(verdict) {
    this.panel.hidden = !verdict?.classes.length;
    if (this.panel.hidden) return;
    verdict.classes.forEach((found, index) => {
      const label = this.panel.children[index], [input, , value, from] = label.children;
      label.classList.toggle("absent", !found.present);
      input.setAttribute("aria-label", t("class_shown", { name: found.name }));
      const there = found.present ? area(found.area, this.session.mm) : t("class_absent");
      value.textContent = `${percent(found.probability)} · ${there}`;
      from.textContent = t("class_from", { percent: this.session.point.class_threshold[index] });
    });
  }
}
