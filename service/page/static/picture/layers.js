// What is drawn of a strip: a layer for each class, and its connected defects.

import { defectsOf } from "../rules/masks.js";
import { area } from "../words/reasons.js";
import { percent } from "../words/words.js";

/** The classes of a verdict with their maps; empty if the strip was not inspected. */
export const layersOf = (verdict, pixels) => (pixels.maps ? verdict.classes.map((found) => ({ ...found, map: pixels.maps[found.index] })) : []);

/** Connected defects of the classes that are present, the largest first, each with the label of its box. */
export function defectsAt(layers, { width, height, instances }, mm) {
  return layers.filter((one) => one.present).flatMap(({ map, least, index, name, class_id }) =>
    (instances?.filter((one) => one.class_id === class_id) ?? defectsOf(map, least, width, height)).map((one) => ({
      ...one, index, name, class_id, get label() { return `${name} ${percent(one.score)} ${area(one.area, mm)}`; },
    })))
    .sort((a, b) => b.area - a.area);
}
