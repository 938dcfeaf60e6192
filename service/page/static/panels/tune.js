// Tune: thresholds by number and slider, with the profile's values marked, and saved as a profile.

import { download } from "../exports/download.js";
import { css } from "../rules/colours.js";
import { FIELDS } from "../rules/operating_point.js";
import { number, percent, t } from "../words/words.js";
import { element } from "./elements.js";

const DIGITS = 1e4;
const share = {
  show: percent, toNumber: (value) => Number((100 * value).toFixed(2)), ofNumber: (value) => Math.round(value * DIGITS / 100) / DIGITS,
  numbers: { min: 0, max: 100, step: 0.1 },
};
// A step of a slider is one that the answer can notice: a byte of the map for pixels, a tenth of a per cent for classes.
const KINDS = {
  class_threshold: { ...share, slider: () => ({ min: 0, max: 1000 }), toSlider: (value) => 1000 * value, ofSlider: (value) => value / 1000 },
  threshold: { ...share, slider: () => ({ min: 0, max: 255 }), toSlider: (value) => 255 * value, ofSlider: (value) => Math.floor(value * DIGITS / 255) / DIGITS },
  min_area: {
    show: number, toNumber: (value) => value, ofNumber: Math.round, numbers: { min: 0, step: 50 },
    slider: (most) => ({ min: 0, max: most, step: 50 }), toSlider: (value) => value, ofSlider: (value) => value,
  },
};

export class Tune {
  constructor(panel, session) {
    Object.assign(this, { panel, session });
    for (const id of ["profile", "profile-reset", "profile-name", "profile-save", "profile-note", "fields"]) this[id] = panel.querySelector(`#${id}`);
    this.profile.addEventListener("change", () => session.useProfile(this.profile.value));
    this["profile-reset"].addEventListener("click", () => session.useProfile(session.point.profile.name));
    this["profile-save"].addEventListener("submit", (event) => { event.preventDefault(); this.#save(); });
  }

  /** Makes fields for the classes of the model. */
  make() {
    const { model } = this.session;
    this.profile.replaceChildren(...model.profiles.map(({ name }) => new Option(name, name)));
    this.lowest = model.gate ?? model.classes.map(() => 0); // below its gate the model computes no masks
    const most = Math.max(6000, Math.round(model.width * model.height / 50 / 50) * 50);
    this.fields.replaceChildren(...model.classes.map(({ name }, index) => {
      const group = element("fieldset", "");
      group.style.setProperty("--colour", css(index));
      group.append(element("legend", "", name), element("p", "found"), ...FIELDS.map((field) => this.#field(field, index, name, most)));
      return group;
    }));
  }

  #field(field, index, name, most) {
    const kind = KINDS[field], row = element("div", "field");
    const box = Object.assign(document.createElement("input"), { type: "number", ...kind.numbers });
    const slider = Object.assign(document.createElement("input"), { type: "range", ...kind.slider(most) });
    const label = t("for_class", { field: t(field), name });
    for (const input of [box, slider]) input.setAttribute("aria-label", label);
    const change = (value) => {
      const lowest = field === "class_threshold" ? this.lowest[index] : 0;
      this.session.change(field, index, Math.max(lowest, kind === KINDS.min_area ? value : Math.min(1, value)));
    };
    box.addEventListener("change", () => change(Math.max(0, kind.ofNumber(Number(box.value)))));
    slider.addEventListener("input", () => change(kind.ofSlider(Number(slider.value))));
    const track = element("span", "track");
    track.append(slider, element("i", "mark"));
    const unit = element("span", "unit", field === "min_area" ? "px" : "%"), flag = element("span", "flag");
    const words = element("span", "", t(field));
    words.title = t(`${field}_why`);
    row.append(words, box, unit, track, flag);
    Object.assign(row, { field, index, kind, box, slider, flag, mark: track.lastChild });
    return row;
  }

  /** Shows the thresholds in use, and what they find on the strip that is shown. */
  show(verdict) {
    const { point } = this.session;
    this.profile.value = point.profile.name;
    this["profile-reset"].disabled = !point.changed;
    for (const row of this.fields.querySelectorAll(".field")) {
      const { field, index, kind, box, slider, flag, mark } = row, value = point[field][index], usual = point.profile[field][index];
      if (document.activeElement !== box || !box.matches(":focus-within")) box.value = kind.toNumber(value);
      slider.value = kind.toSlider(value);
      slider.setAttribute("aria-valuetext", kind.show(value));
      mark.style.setProperty("--at", (kind.toSlider(usual) - slider.min) / (slider.max - slider.min));
      mark.title = t("profile_value", { value: kind.show(usual) });
      const changed = point.isChanged(field, index);
      row.classList.toggle("changed", changed);
      flag.textContent = changed ? `${t("changed")} (${t("profile_value", { value: kind.show(usual) })})` : "";
    }
    verdict?.classes.forEach((found, index) => {
      this.fields.children[index].children[1].textContent = `${percent(found.probability)} · ${found.present ? `${number(found.area)} px` : t("class_absent")}`;
    });
  }

  #save() {
    const { model, point } = this.session, { profile } = point;
    const name = this["profile-name"].value.trim();
    const saved = {
      name, based_on: profile.name, ...Object.fromEntries(FIELDS.map((field) => [field, point[field]])), classes: model.classes,
      model: { name: model.name, version: model.version, sha256: model.sha256 }, saved: new Date().toISOString(),
    };
    download(`${name}.profile.json`, new Blob([JSON.stringify(saved, null, 2)], { type: "application/json" }));
    this["profile-note"].textContent = t("profile_saved");
  }
}
