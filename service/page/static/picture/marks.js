// Boxes around defects with class, score and size, drawn above the picture so that they stay sharp at any zoom.

import { css } from "../rules/colours.js";

/** Draws on a canvas as large as the pane. `defects`: {bbox, label, index}; the chosen one stands out. */
export function drawBoxes(canvas, view, defects, chosen) {
  const ratio = devicePixelRatio, { width, height } = view.pane;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  for (const one of defects) drawBox(context, placeOf(one.bbox, view), one, one === chosen, width);
}

const placeOf = ([left, top, width, height], { scale, x, y }) => [x + left * scale - 2, y + top * scale - 2, width * scale + 4, height * scale + 4];

/** Draws one box with its label; `place` is [x, y, width, height], `most` the right end and `top` the upper end of the picture. */
export function drawBox(context, [x, y, width, height], { label, index }, chosen, most, top = 0, size = 12) {
  context.lineWidth = chosen ? 4 : 2;
  context.strokeStyle = "#000";
  context.strokeRect(x - 1, y - 1, width + 2, height + 2);
  context.strokeStyle = css(index);
  context.strokeRect(x, y, width, height);
  context.font = `600 ${size}px system-ui, sans-serif`;
  const long = context.measureText(label).width + 8, high = size + 6;
  const left = Math.max(0, Math.min(x - 1, most - long)), upper = y - high >= top ? y - high : Math.max(y, top);
  context.fillStyle = "#000c";
  context.fillRect(left, upper, long, high);
  context.fillStyle = "#fff";
  context.fillText(label, left + 4, upper + size + 1);
}
