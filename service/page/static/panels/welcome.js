// The empty page: what the model looks for, and drawn strips to try it on.

import { css } from "../rules/colours.js";
import { t } from "../words/words.js";
import { element } from "./elements.js";

const FOLDER = "page/examples/";

export class Welcome {
  constructor(panel, session) {
    Object.assign(this, { panel, session, examples: null });
    panel.querySelector("#examples").addEventListener("click", () => this.#try());
  }

  /** Explains the classes of the model; examples are offered where they are of its size and classes. */
  async make() {
    const { model } = this.session;
    this.examples ??= await fetch(`${FOLDER}examples.json`).then((response) => response.json());
    const { width, height, classes, strips } = this.examples;
    const fitting = model.width === width && model.height === height && model.classes.every(({ name }) => classes[name]);
    const find = (id) => this.panel.querySelector(id);
    find("#welcome-size").textContent = t(model.pad ? "welcome_any" : "welcome_size", model);
    find("#examples-part").hidden = !fitting;
    find("#examples").textContent = t("welcome_try", { n: strips.length });
    find("#examples-drawn").hidden = !fitting;
    find("#kinds").replaceChildren(...model.classes.map(({ name }, index) => {
      const item = element("li", "kind");
      item.style.setProperty("--colour", css(index));
      if (fitting) item.append(Object.assign(new Image(), { src: FOLDER + classes[name], alt: "", width: 240, height: 160 }));
      item.append(element("b", "", name));
      return item;
    }));
    find("#kinds-part").hidden = false;
  }

  #try() {
    this.session.add(this.examples.strips.map((name) => ({
      name, open: async () => (await fetch(FOLDER + name)).blob(),
    })));
  }
}
