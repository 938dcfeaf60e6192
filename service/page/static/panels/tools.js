// The tools of the picture: views, zoom, loupe, contrast, opacity, boxes, hold to hide. One tab stop and keys.

import { css } from "../rules/colours.js";
import { percent, t } from "../words/words.js";
import { element, roving } from "./elements.js";

const SEEN = 13; // 5 %: fainter ones cannot be seen
const CONTRASTS = [1, 1.5, 2.5, 4], OPACITIES = [0.3, 0.6, 1, 0];

export class Tools {
  constructor(bar, scale, picture) {
    Object.assign(this, { bar, scale, picture });
    roving(bar, "button");
    bar.addEventListener("click", (event) => {
      const tool = event.target.closest("button")?.dataset.tool;
      if (tool && tool !== "hold") this.use(tool);
    });
    const hold = bar.querySelector("[data-tool=hold]");
    hold.addEventListener("pointerdown", () => this.hold(true));
    for (const name of ["pointerup", "pointerleave", "blur"]) hold.addEventListener(name, () => this.hold(false));
    hold.addEventListener("keydown", (event) => { if ([" ", "Enter"].includes(event.key)) this.hold(true); });
    hold.addEventListener("keyup", () => this.hold(false));
    this.show();
  }

  hold(masksHidden) {
    if (this.picture.look.masksHidden !== masksHidden) this.#set({ masksHidden });
  }

  use(tool) {
    const { look } = this.picture;
    if (tool === "contrast") this.#set({ contrast: after(CONTRASTS, look.contrast) });
    else if (tool === "opacity") this.#set({ opacity: after(OPACITIES, look.opacity) });
    else if (tool === "boxes" || tool === "loupe") this.#set({ [tool]: !look[tool] });
    else if (["masks", "both", "map"].includes(tool)) this.#set({ kind: tool });
    else this.picture.act(tool);
  }

  #set(look) {
    this.picture.set(look);
    this.show();
  }

  /** Shows which tools are on. */
  show() {
    const { look } = this.picture;
    const on = { boxes: look.boxes, loupe: look.loupe, hold: look.masksHidden, [look.kind]: true };
    for (const button of this.bar.querySelectorAll("[aria-pressed]")) button.setAttribute("aria-pressed", Boolean(on[button.dataset.tool]));
    this.bar.querySelector("[data-tool=contrast]").textContent = t("contrast", { n: look.contrast });
    this.bar.querySelector("[data-tool=opacity]").textContent = t("opacity", { percent: look.opacity });
    this.scale.hidden = look.kind !== "map";
  }

  /** The scale of the probability map: a bar from 0 to 100 % for each class that is seen, marked at its threshold. */
  showScale(layers, point) {
    this.scale.replaceChildren(element("span", "", t("scale")), ...layers.filter(({ map }) => map.tally?.[SEEN]).map(({ index, name }) => {
      const bar = element("span", "scale");
      bar.style.setProperty("--colour", css(index));
      bar.style.setProperty("--mark", point.threshold[index]);
      bar.append(element("b", "", name), element("span", "", percent(0)), element("i", ""), element("span", "", percent(1)),
        element("small", "", t("scale_mark", { percent: point.threshold[index] })));
      return bar;
    }));
  }
}

const after = (values, value) => values[(values.indexOf(value) + 1) % values.length];
