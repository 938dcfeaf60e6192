// The picture of the strip that is shown: masks or probabilities, raw beside it, zoom, pan, loupe and boxes.

import { css } from "../rules/colours.js";
import { t } from "../words/words.js";
import { drawMaps, drawMasks, greyOf } from "./draw.js";
import { drawBoxes } from "./marks.js";
import { View } from "./view.js";

const ZOOM = 1.5, PAN = 80;

export class Picture {
  view = new View();
  look = { kind: "masks", contrast: 1, opacity: 0.3, boxes: false, loupe: false, masksHidden: false };
  #pixels = null;
  #base = null;
  #layers = [];
  #defects = [];
  #chosen = null;

  /** `stage` holds the panes of index.html. */
  constructor(stage) {
    this.stage = stage;
    [this.raw, this.picture] = stage.querySelectorAll(".frame");
    this.marks = stage.querySelector("#marks");
    this.loupe = stage.querySelector("#loupe");
    new ResizeObserver(() => this.#resized()).observe(this.picture.parentElement);
    this.#listen();
  }

  /** Shows other pixels, {width, height, grey, maps}, or nothing. */
  show(pixels) {
    const same = pixels && this.#pixels && pixels.width === this.#pixels.width && pixels.height === this.#pixels.height;
    this.#pixels = pixels;
    this.#chosen = null;
    this.stage.classList.toggle("blank", !pixels);
    if (!pixels) return;
    for (const canvas of [this.raw, this.picture]) {
      if (!same || canvas.width !== pixels.width) Object.assign(canvas, { width: pixels.width, height: pixels.height });
    }
    this.stage.style.setProperty("--aspect", pixels.width / pixels.height);
    this.stage.classList.toggle("wide", pixels.width > 1.5 * pixels.height);
    this.view.frame = { width: pixels.width, height: pixels.height };
    this.#makeBase();
    this.#resized(true);
  }

  /** Draws the layers {map, least, index, present} and boxes of the defects {bbox, label, index}. */
  draw(layers, defects) {
    this.#layers = layers;
    this.#defects = defects;
    if (!this.#pixels) return;
    const { width, height } = this.#pixels, context = this.picture.getContext("2d");
    this.image ??= new ImageData(width, height);
    const target = new Uint32Array(this.image.data.buffer);
    const shown = this.look.masksHidden ? [] : layers.filter(({ map }) => map?.tally);
    if (this.look.kind === "map" && !this.look.masksHidden) drawMaps(target, this.#base, width, height, shown);
    else drawMasks(target, this.#base, width, height, shown.filter((one) => one.present), this.look.opacity);
    context.putImageData(this.image, 0, 0);
    this.#place();
  }

  redraw() {
    this.draw(this.#layers, this.#defects);
  }

  /** Changes how the picture looks: kind, contrast, opacity, boxes, loupe, masksHidden. */
  set(look) {
    Object.assign(this.look, look);
    if ("contrast" in look) this.#makeBase();
    this.stage.classList.toggle("both", this.look.kind === "both");
    this.loupe.hidden = true;
    this.#resized();
    this.redraw();
  }

  zoomTo(defect) {
    this.#chosen = defect;
    this.view.showBox(defect.bbox);
    this.#place();
  }

  /** Commands of the tools and keys. */
  act(command) {
    if (command === "in") this.view.zoom(ZOOM);
    else if (command === "out") this.view.zoom(1 / ZOOM);
    else if (command === "fit") this.view.fit();
    else this.view.zoom(1 / (devicePixelRatio * this.view.scale));
    this.#place();
  }

  #makeBase() {
    if (!this.#pixels) return;
    const { width, height } = this.#pixels;
    this.#base = greyOf(this.#pixels, this.look.contrast);
    this.image = new ImageData(width, height);
    const raw = new ImageData(new Uint8ClampedArray(this.#base.buffer.slice(0)), width, height);
    this.raw.getContext("2d").putImageData(raw, 0, 0);
  }

  #resized(again = false) {
    const { clientWidth: width, clientHeight: height } = this.picture.parentElement;
    if (!width || !height) return;
    const fitted = again || this.view.fitted;
    this.view.pane = { width, height };
    if (fitted) this.view.fit();
    else this.view.pan(0, 0);
    this.#place();
  }

  #place() {
    const { scale, x, y } = this.view;
    for (const canvas of [this.raw, this.picture]) {
      canvas.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
      canvas.classList.toggle("sharp", scale * devicePixelRatio >= 2);
    }
    this.stage.classList.toggle("zoomed", !this.view.fitted);
    const boxes = this.look.masksHidden ? [] : this.look.boxes ? this.#defects : this.#defects.filter((one) => one === this.#chosen);
    drawBoxes(this.marks, this.view, boxes, this.#chosen);
    this.stage.querySelector("#zoom").textContent = t("zoom_value", { percent: Math.round(100 * scale * devicePixelRatio) });
  }

  #listen() {
    const pointers = new Map();
    const at = (event) => {
      const box = this.picture.parentElement.getBoundingClientRect();
      const other = this.raw.parentElement.getBoundingClientRect();
      const pane = event.clientY < box.top || event.clientX < box.left ? other : box;
      return [event.clientX - pane.left, event.clientY - pane.top];
    };
    this.stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.view.zoom(Math.exp(-event.deltaY / 300), ...at(event));
      this.#place();
    }, { passive: false });
    this.stage.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      this.stage.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, at(event));
    });
    this.stage.addEventListener("pointermove", (event) => {
      const [x, y] = at(event);
      if (this.look.loupe && event.pointerType === "mouse") {
        import("./loupe.js").then(({ showLoupe }) => { if (this.look.loupe) showLoupe(this.loupe, this.picture, this.view, x, y); });
      }
      this.#point(x, y);
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) this.view.zoom(distance([x, y], other) / distance(before, other), ...other);
      else this.view.pan(x - before[0], y - before[1]);
      pointers.set(event.pointerId, [x, y]);
      this.#place();
    });
    const end = (event) => pointers.delete(event.pointerId);
    for (const name of ["pointerup", "pointercancel"]) this.stage.addEventListener(name, end);
    this.stage.addEventListener("pointerleave", () => { this.loupe.hidden = true; this.#point(-1, -1); });
    this.stage.addEventListener("dblclick", (event) => {
      if (this.view.fitted) this.view.zoom(4, ...at(event));
      else this.view.fit();
      this.#place();
    });
    this.stage.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] }[event.key];
      if (!step || this.view.fitted) return;
      event.preventDefault();
      event.stopPropagation();
      this.view.pan(...step);
      this.#place();
    });
  }

  /** Says what the model sees at the pointer. */
  #point(x, y) {
    const readout = this.stage.querySelector("#readout");
    const [column, row] = this.view.toFrame(x, y).map(Math.floor);
    const inside = this.#pixels && column >= 0 && row >= 0 && column < this.#pixels.width && row < this.#pixels.height;
    const p = inside ? row * this.#pixels.width + column : 0;
    const there = inside ? this.#layers.filter(({ map }) => map?.[p]).sort((a, b) => b.map[p] - a.map[p]).slice(0, 2) : [];
    readout.replaceChildren(...there.map(({ map, index, name }) => {
      const text = document.createElement("span");
      text.style.setProperty("--colour", css(index));
      text.textContent = this.#pixels.instances ? name : t("named_percent", { name, percent: map[p] / 255 });
      return text;
    }));
  }
}

const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
