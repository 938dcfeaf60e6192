// The verdict on a strip at any operating point, by the rule of service/model/verdict.py.

import { leastByte } from "./masks.js";

/** The more urgent, the higher. What was not inspected may hold anything, so it stands before OK. */
export const URGENCY = { ok: 0, not_inspected: 1, suspect: 2, defect: 3 };

/**
 * Judges an answered strip: {name, classes, reasons, unsure, severity}.
 *
 * `reasons` are the classes that decide, each with `why`: defect, band (its probability decides nothing) or small (its
 * mask is too small); `unsure` are, on a defective strip, those that would make it suspect. `severity` orders strips of one verdict: share of the picture that is defective, else probability.
 */
export function judge(strip, point, bands) {
  const { image, tallies } = strip;
  if (!tallies) return { name: "not_inspected", classes: [], reasons: [], severity: 0 };
  const size = image.width * image.height;
  const classes = image.classes.map((found, index) => {
    const least = leastByte(point.threshold[index]);
    const area = tallies[index]?.[least] ?? (least ? 0 : size);
    const present = found.probability >= point.class_threshold[index] && area >= Math.max(1, point.min_area[index]);
    return { ...found, index, least, present, area: present ? area : 0 };
  });
  const reasons = classes.map((found) => ({ ...found, ...whyOf(found, point, bands) })).filter((found) => found.why);
  const defects = reasons.filter((found) => found.why === "defect");
  const likeliest = Math.max(...classes.map((found) => found.probability));
  const area = defects.reduce((sum, found) => sum + found.area, 0);
  const unsure = reasons.filter((found) => found.why !== "defect");
  if (defects.length) return { name: "defect", classes, reasons: defects, unsure, severity: area / size };
  const unseen = image.health?.fault && !classes.some((found) => found.present);
  const name = unseen ? "not_inspected" : reasons.length ? "suspect" : "ok";
  return { name, classes, reasons, severity: likeliest };
}

function whyOf({ index, probability, present }, point, bands) {
  const least = point.class_threshold[index];
  const [low, high] = bands?.[index] ?? [least, least];
  if (probability < Math.min(low, least)) return null;
  if (probability < Math.max(high, least)) return { why: "band", low: Math.min(low, least), high: Math.max(high, least) };
  return present ? { why: "defect" } : { why: "small", fewest: Math.max(1, point.min_area[index]) };
}
