// One strip as JSON: verdict, classes with masks, defects, and all that is needed to repeat it.

import { codeOf } from "../rules/masks.js";

/** The thresholds in use, with the profile that they come from. */
export function profileOf({ profile, changed, class_threshold, threshold, min_area }) {
  return { name: profile.name, changed, class_threshold, threshold, min_area };
}

/** A strip's document. `pixels` are its maps, null if it was not inspected; `defects` its connected defects. */
export function documentOf(strip, verdict, pixels, defects, session, reasons) {
  const { image } = strip;
  return {
    filename: strip.name, sha256: image.sha256, width: image.width, height: image.height,
    verdict: verdict.name, reason: reasons.join("; "), answered: strip.answered.toISOString(),
    model: strip.model, profile: profileOf(session.point), mm_per_px: session.mm, health: image.health,
    classes: verdict.classes.map(({ class_id, name, present, probability, area, least, index }) => ({
      class_id, name, present, probability, area, rle: present ? codeOf(pixels.maps[index], least, image.width, image.height) : "",
    })),
    defects: defects.map(({ class_id, name, score, bbox, area }) => ({ class_id, name, score: Number(score.toFixed(4)), bbox, area })),
  };
}
