// Tables of all strips and of all defects (RFC 4180, UTF-8 with a mark, as spreadsheets expect it).

import { refusalOf } from "../words/reasons.js";

/** A cell; one that a spreadsheet would take for a formula gets an apostrophe. */
function cell(value) {
  let text = value === null || value === undefined ? "" : String(value);
  if (typeof value !== "number" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const table = (rows) => new Blob(["\ufeff", ...rows.map((row) => `${row.map(cell).join(",")}\r\n`)], { type: "text/csv" });

/** A row for each strip: verdict, what decides, and for each class probability, presence and area. */
export function stripRows(session) {
  const { model, point, mm } = session;
  const head = ["file", "verdict", "decided by", ...model.classes.flatMap(({ name }) => [`${name} probability`, `${name} present`, `${name} px`, ...(mm ? [`${name} mm2`] : [])]),
    "sha256", "answered", "model", "version", "model sha256", "profile", "thresholds changed"];
  const width = head.length - 10;
  return [head, ...session.worstFirst().map((strip) => {
    const verdict = session.verdict(strip);
    const classes = (verdict?.classes ?? []).flatMap(({ probability, present, area }) => [probability, present, area, ...(mm ? [area * mm[0] * mm[1]] : [])]);
    const why = strip.state === "refused" ? `${refusalOf(strip.refusal)} ${strip.refusal.detail}`
      : verdict?.name === "not_inspected" ? strip.image.reason : (verdict?.reasons ?? []).map((found) => found.name).join("; ");
    const name = strip.state === "refused" ? "refused" : verdict?.name ?? "waiting";
    return [strip.name, name, why, ...Array.from({ length: width }, (_, at) => classes[at]), strip.image?.sha256, strip.answered?.toISOString(),
      strip.model?.name, strip.model?.version, strip.model?.sha256, point.profile.name, point.changed];
  })];
}

export function defectHead(mm) {
  return ["file", "class id", "class", "score", "left px", "top px", "width px", "height px", "area px", ...(mm ? ["width mm", "height mm", "area mm2"] : [])];
}

export function defectRows(strip, defects, mm) {
  return defects.map(({ class_id, name, score, bbox, area }) => [strip.name, class_id, name, Number(score.toFixed(4)), ...bbox, area,
    ...(mm ? [bbox[2] * mm[0], bbox[3] * mm[1], area * mm[0] * mm[1]] : [])]);
}
