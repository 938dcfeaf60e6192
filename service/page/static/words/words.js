// The page's words: one file a language, chosen by the browser's or the person's language.

const LANGUAGES = { en: "English", de: "Deutsch" };
const STORED = "language";

let language = "en";
let words = {};
let percents, numbers, plurals;

export { LANGUAGES };

/** The language in use. */
export const currentLanguage = () => language;

/** Loads a language; without one, that of the person before, else the first of the browser's that is known. */
export async function useLanguage(chosen) {
  const known = (one) => Object.hasOwn(LANGUAGES, one);
  const wanted = [chosen, localStorage.getItem(STORED), ...navigator.languages.map((one) => one.slice(0, 2))];
  language = wanted.find((one) => one && known(one)) ?? "en";
  if (chosen) localStorage.setItem(STORED, language);
  words = (await import(`./${language}.js`)).default;
  numbers = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
  plurals = new Intl.PluralRules(language);
  percents = [0, 1].map((digits) => new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: digits }));
  document.documentElement.lang = language;
  translate(document);
}

export const percent = (share) => percents[share < 0.1 || share > 0.99 ? 1 : 0].format(share);
export const number = (value) => numbers.format(value);
export const time = (date) => date.toLocaleString(language, { dateStyle: "medium", timeStyle: "medium" });

/** Words by key. `{x}` is a value, `{x:%}` a share as per cent; forms of plurals go by the value `n`. */
export function t(key, values = {}) {
  let text = words[key] ?? key;
  if (typeof text === "object") text = text[plurals.select(values.n)] ?? text.other;
  return text.replace(/\{(\w+)(:%)?\}/g, (_, name, share) => {
    const value = values[name];
    return share ? percent(value) : typeof value === "number" ? number(value) : value;
  });
}

export const has = (key) => Object.hasOwn(words, key);

/** Fills the elements of the page that name their words: data-t for text, data-label for the accessible name and tip. */
export function translate(root) {
  for (const one of root.querySelectorAll("[data-t]")) one.textContent = t(one.dataset.t);
  for (const one of root.querySelectorAll("[data-label]")) {
    one.setAttribute("aria-label", t(one.dataset.label));
    one.title = t(one.dataset.label);
  }
  for (const one of root.querySelectorAll("[data-placeholder]")) one.placeholder = t(one.dataset.placeholder);
}
