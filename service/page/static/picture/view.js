// Which part of a frame is seen: zoom and pan, shared by all panes of the picture.

const MOST_SCALE = 32;

export class View {
  scale = 1;
  x = 0; // of the frame's corner in the pane, CSS pixels
  y = 0;

  /** `frame` and `pane` are sizes {width, height}: of the picture in its pixels, and of the place for it. */
  constructor() {
    this.frame = { width: 1, height: 1 };
    this.pane = { width: 1, height: 1 };
  }

  get fitScale() {
    return Math.min(this.pane.width / this.frame.width, this.pane.height / this.frame.height);
  }

  get fitted() {
    return this.scale <= this.fitScale * 1.001;
  }

  fit() {
    this.scale = this.fitScale;
    this.#clamp();
  }

  /** Zooms by a factor around a point of the pane, or around its middle. */
  zoom(factor, x = this.pane.width / 2, y = this.pane.height / 2) {
    const scale = Math.max(this.fitScale, Math.min(MOST_SCALE, this.scale * factor)), by = scale / this.scale;
    this.x = x - (x - this.x) * by;
    this.y = y - (y - this.y) * by;
    this.scale = scale;
    this.#clamp();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.#clamp();
  }

  /** Shows a box of the frame, [left, top, width, height], with some of what is around it. */
  showBox([left, top, width, height]) {
    const around = 3;
    const scale = Math.min(this.pane.width / (width * around), this.pane.height / (height * around), 8);
    this.scale = Math.max(this.fitScale, scale);
    this.x = this.pane.width / 2 - (left + width / 2) * this.scale;
    this.y = this.pane.height / 2 - (top + height / 2) * this.scale;
    this.#clamp();
  }

  /** Pixel of the frame at a point of the pane. */
  toFrame(x, y) {
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  }

  #clamp() {
    for (const [at, size] of [["x", "width"], ["y", "height"]]) {
      const free = this.pane[size] - this.frame[size] * this.scale;
      this[at] = free >= 0 ? free / 2 : Math.max(free, Math.min(0, this[at]));
    }
  }
}
