// The verdict on a strip, by the rule of service/model/verdict.py.

const WORDS = { ok: "OK", defect: "DEFECT", suspect: "SUSPECT", not_inspected: "NOT INSPECTED" };

const percent = (probability) => `${(100 * probability).toFixed(probability < 0.1 ? 1 : 0)} %`;
const pixels = (count) => `${count.toLocaleString("en")} px`;

/** The verdict by classes as the sliders judge them; `bands` are the model's review bands, or null. */
export function judgeClasses(classes, point, bands) {
  const defects = [], suspects = [];
  classes.forEach((found, index) => {
    const least = point.class_threshold[index];
    const [low, high] = (bands?.[index] ?? [least, least]);
    if (found.probability < Math.min(low, least)) return;
    const shown = `${found.name} ${percent(found.probability)}`;
    if (found.probability < Math.max(high, least)) suspects.push(shown);
    else if (found.present) defects.push(`${shown}, ${pixels(found.area)}`);
    else suspects.push(`${shown}, but its mask has fewer than ${pixels(Math.max(1, point.min_area[index]))}`);
  });
  if (defects.length) return { name: "defect", reason: defects.join("; ") };
  if (suspects.length) return { name: "suspect", reason: suspects.join("; ") };
  return { name: "ok", reason: "" };
}

export function inWords({ name, reason }) {
  return reason ? `${WORDS[name]}: ${reason}` : WORDS[name];
}
