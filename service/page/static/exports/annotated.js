// The picture of a strip with masks, boxes, legend, verdict, time, thresholds and model: all that a report needs.

import { drawMasks, greyOf } from "../picture/draw.js";
import { drawBox } from "../picture/marks.js";
import { css } from "../rules/colours.js";
import { area, factsOf } from "../words/reasons.js";
import { percent, t } from "../words/words.js";

const LINE = 24, MARGIN = 16, LEAST_WIDTH = 1000, FONT = "16px system-ui, sans-serif";
const TONES = { defect: "#b3261e", suspect: "#8a5300", ok: "#17663a", not_inspected: "#5b3e8f" };

/** A canvas with everything. `reasons` are lines of text, `defects` have labels. */
export function annotate(strip, verdict, pixels, defects, session, reasons) {
  const { width, height } = pixels, { point, mm } = session;
  const lines = verdict.classes.map(({ name, index, probability, present, area: found }) => ({
    index, text: `${name}: ${percent(probability)}, ${present ? area(found, mm) : t("class_absent")} — ${t("legend_thresholds", {
      class_threshold: point.class_threshold[index], threshold: point.threshold[index], min_area: point.min_area[index] })}`,
  }));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(LEAST_WIDTH, width) + 2 * MARGIN;
  canvas.height = height + LINE * (4 + reasons.length + lines.length) + 2 * MARGIN;
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  let y = MARGIN + 16;
  const write = (text, { x = MARGIN, colour = "#000", bold = false } = {}) => {
    context.font = `${bold ? "700 " : ""}${FONT}`;
    context.fillStyle = colour;
    context.fillText(text, x, y, canvas.width - x - MARGIN);
    y += LINE;
  };
  write(`${t(verdict.name)}  ${strip.name}`, { bold: true, colour: TONES[verdict.name] });
  for (const reason of reasons) write(reason);
  const top = y - 8;
  drawFrame(context, pixels, verdict, top);
  for (const one of defects) {
    const [left, upper, across, down] = one.bbox;
    drawBox(context, [MARGIN + left - 2, top + upper - 2, across + 4, down + 4], one, false, MARGIN + width, top);
  }
  y = top + height + LINE;
  for (const { index, text } of lines) {
    context.fillStyle = css(index);
    context.fillRect(MARGIN, y - 13, 16, 16);
    write(text, { x: MARGIN + 24 });
  }
  write(factsOf(strip, point));
  write(`${t("about_file")} ${strip.model.sha256}`, { colour: "#555" });
  return canvas;
}

function drawFrame(context, pixels, verdict, top) {
  const { width, height } = pixels, picture = new ImageData(width, height);
  const layers = pixels.maps ? verdict.classes.filter((one) => one.present).map((one) => ({ ...one, map: pixels.maps[one.index] })) : [];
  drawMasks(new Uint32Array(picture.data.buffer), greyOf(pixels, 1), width, height, layers, 0.3);
  context.putImageData(picture, MARGIN, top);
}
