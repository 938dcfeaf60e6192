// Verdicts, their reasons and refusals in words.

import { has, number, t, time } from "./words.js";

/** Area of pixels, in square millimetres where the size of a pixel is known. */
export const area = (pixels, mm) => (mm ? `${number(pixels * mm[0] * mm[1])} mm²` : `${number(pixels)} px`);

/** Width and height of a box, in millimetres where the size of a pixel is known. */
export const size = ([, , width, height], mm) => (mm ? `${number(width * mm[0])} × ${number(height * mm[1])} mm` : `${number(width)} × ${number(height)} px`);

/** Why a strip has its verdict: a list of {text, index} with the class that each is about, or null. */
export function reasonsOf(strip, verdict, defects, mm) {
  if (strip.state === "refused") return [{ text: refusalOf(strip.refusal), index: null }];
  const fault = strip.image.health?.fault;
  if (verdict.name === "not_inspected") return [{ text: has(`fault_${fault}`) ? t(`fault_${fault}`) : strip.image.reason, index: null }];
  if (verdict.name === "ok") {
    const likeliest = verdict.classes.reduce((a, b) => (b.probability > a.probability ? b : a));
    return [{ text: t("reason_ok", { name: likeliest.name, percent: likeliest.probability }), index: null }];
  }
  const unsure = (verdict.unsure ?? []).map(({ name, probability }) => t("named_percent", { name, percent: probability }));
  const also = unsure.length ? [{ text: t("reason_unsure", { names: unsure.join(", ") }), index: null }] : [];
  return [...verdict.reasons.map(({ why, name, index, probability, area: pixels, low, high, fewest }) => {
    const own = defects?.filter((one) => one.index === index) ?? [];
    if (why === "defect" && own.length) {
      const largest = area(own[0].area, mm);
      return { text: t("reason_defect", { name, n: own.length, largest, percent: probability }), index };
    }
    if (why === "defect") return { text: t("reason_area", { name, area: area(pixels, mm), percent: probability }), index };
    if (why === "band") return { text: t("reason_band", { name, percent: probability, low, high }), index };
    return { text: t("reason_small", { name, percent: probability, area: area(fewest, mm) }), index };
  }), ...also];
}

/** What went wrong and what helps, in words. */
export const refusalOf = ({ kind }) => t(`refusal_${kind}`);

/** Model, profile and time in a line. */
export function factsOf(strip, point) {
  const model = `${strip.model.name} ${strip.model.version}`;
  return t("printed", { model, profile: point.profile.name, changed: point.changed ? t("printed_changed") : "", time: time(strip.answered) });
}
