// The page: requests the probabilities of each strip once, and computes everything else here.

import { COLOURS, drawBoxes, drawMaps, drawMasks } from "./draw.js";
import { instancesOf, maskOf, readMaps, readPng, rleOf } from "./masks.js";
import { inWords, judgeClasses } from "./verdict.js";

const $ = (id) => document.getElementById(id);
const context = $("picture").getContext("2d");
const items = [];
let shown = null;
let model = null;
let point = null; // the operating point that the sliders set
const visible = [true, true, true, true];

function say(text, bad = false) {
  $("message").textContent = text;
  $("message").classList.toggle("bad", bad);
}

async function ask(path, options = {}) {
  const key = $("key").value;
  const response = await fetch(path, { ...options, headers: { ...options.headers, ...(key && { "X-API-Key": key }) } });
  if (response.ok) return response.json();
  if (response.status === 401) $("key-row").hidden = false;
  const problem = await response.json().catch(() => ({ title: `Status ${response.status}`, detail: "" }));
  throw new Error(`${problem.title}: ${problem.detail}`);
}

async function loadModel() {
  if (model) return;
  const answer = await ask("model");
  model = answer;
  $("model").textContent = `${model.name} ${model.version}, ${model.provider}`;
  $("profile").replaceChildren(...model.profiles.map((one) => new Option(one.name, one.name)));
  takeProfile();
  $("classes").replaceChildren(...model.classes.map(classPanel));
}

function takeProfile() {
  const { class_threshold, threshold, min_area } = model.profiles.find((one) => one.name === $("profile").value);
  point = { class_threshold, threshold: [...threshold], min_area: [...min_area] };
}

function classPanel({ id, name }, index) {
  const panel = document.createElement("div");
  panel.className = "class";
  panel.style.setProperty("--colour", `rgb(${COLOURS[index].join(",")})`);
  panel.innerHTML = `
    <label><input type="checkbox" checked> <span></span></label><p class="found"></p>
    <label class="slider">threshold <input type="range" class="threshold" min="0" max="1" step="0.0001"><output></output></label>
    <label class="slider">fewest pixels <input type="range" class="area" min="0" max="6000" step="50"><output></output></label>`;
  panel.querySelector("span").textContent = `${id} ${name}`;
  panel.querySelector("[type=checkbox]").addEventListener("change", (event) => {
    visible[index] = event.target.checked;
    show();
  });
  // Squared: thresholds of rare classes are near 0.
  panel.querySelector(".threshold").addEventListener("input", (event) => {
    point.threshold[index] = Number((event.target.value ** 2).toFixed(4));
    show();
  });
  panel.querySelector(".area").addEventListener("input", (event) => {
    point.min_area[index] = Number(event.target.value);
    show();
  });
  return panel;
}

/** What one strip shows at the thresholds that the sliders have; nothing if it was not inspected. */
function judge(item) {
  if (!item.maps) return [];
  return item.image.classes.map((found, index) => {
    const { mask, area } = maskOf(item.maps[index], point.threshold[index]);
    const present = found.probability >= point.class_threshold[index] && area >= Math.max(1, point.min_area[index]);
    return { ...found, present, area: present ? area : 0, mask, map: item.maps[index], colour: COLOURS[index] };
  });
}

function verdictOf(item, classes) {
  if (!item.maps) return { name: item.image.verdict, reason: item.image.reason };
  return judgeClasses(classes, point, model.review_bands);
}

function show() {
  if (!shown) return;
  const started = performance.now();
  const classes = judge(shown);
  const drawn = classes.filter((one, index) => visible[index]);
  const masks = drawn.filter((one) => one.present);
  if ($("view").value === "map") drawMaps(context, shown.grey, drawn);
  else drawMasks(context, shown.grey, masks);
  const verdict = verdictOf(shown, classes);
  $("verdict").textContent = `${shown.name}: ${inWords(verdict)}`;
  $("verdict").className = verdict.name;
  $("classes").hidden = !shown.maps;
  classes.forEach(showClass);
  $("result").dataset.redraw = (performance.now() - started).toFixed(1);
  clearTimeout(show.later); // the table may wait until the slider rests, boxes may not
  const list = () => showInstances(masks);
  if ($("boxes").checked) list();
  else show.later = setTimeout(list, 100);
  item(shown);
}

function showClass(found, index) {
  const panel = $("classes").children[index];
  panel.classList.toggle("absent", !found.present);
  panel.querySelector(".found").textContent =
    `${(100 * found.probability).toFixed(1)} %, ${found.present ? `${found.area} pixels` : "not present"}`;
  const [threshold, area] = panel.querySelectorAll("[type=range]");
  threshold.value = Math.sqrt(point.threshold[index]);
  threshold.nextElementSibling.textContent = point.threshold[index].toFixed(3);
  area.value = point.min_area[index];
  area.nextElementSibling.textContent = point.min_area[index];
}

function showInstances(masks) {
  const found = masks.flatMap((one) =>
    instancesOf(one.mask, one.map).map((instance) => ({ ...instance, class_id: one.class_id, colour: one.colour, name: one.name })));
  $("count").textContent = `${found.length} connected defects`;
  $("instances").tBodies[0].replaceChildren(...found.slice(0, 200).map((one) => {
    const row = document.createElement("tr");
    for (const value of [`${one.class_id} ${one.name}`, one.score.toFixed(2), ...one.bbox, one.area]) row.insertCell().textContent = value;
    return row;
  }));
  if ($("boxes").checked) drawBoxes(context, found);
}

/** The line of a strip in the list of files. */
function item(one) {
  if (!one.line) {
    one.line = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.append(document.createElement("span"), document.createElement("span"));
    button.addEventListener("click", () => select(one));
    one.line.append(button);
    $("list").append(one.line);
  }
  const button = one.line.firstChild, [name, state] = button.children;
  const verdict = one.image && !one.error ? verdictOf(one, judge(one)) : null;
  name.textContent = one.name;
  state.textContent = one.error ?? (verdict ? inWords(verdict) : "…");
  state.className = one.error ? "bad" : verdict?.name ?? "";
  button.setAttribute("aria-current", String(one === shown));
  button.disabled = !verdict;
  $("others").hidden = items.length < 2;
}

function select(one) {
  const before = shown;
  shown = one;
  if (before) item(before);
  $("result").hidden = false;
  const { decode, queue, inference, postprocess, total } = one.timing;
  $("timing").textContent = `${total} ms in the service: decode ${decode}, queue ${queue}, inference ${inference}, postprocess ${postprocess}`;
  $("command").hidden = true;
  show();
}

async function take(files) {
  const added = [...files].map((file) => ({ file, name: file.name }));
  items.push(...added);
  added.forEach(item);
  try {
    await loadModel();
  } catch (error) {
    added.forEach((one) => { one.error = error.message; item(one); });
    return say(error.message, true);
  }
  for (const [number, one] of added.entries()) {
    say(added.length > 1 ? `${number + 1} of ${added.length}: ${one.name}` : `${one.name} …`);
    try {
      await answer(one);
      if (!shown || added.length === 1) select(one);
      say("");
    } catch (error) {
      one.error = error.message;
      say(`${one.name}: ${error.message}`, true);
    }
    item(one);
  }
  const refused = added.filter((one) => one.error);
  if (refused.length) say(`${refused[0].name}: ${refused[0].error}`, true);
}

async function answer(one) {
  const body = new FormData();
  body.append("file", one.file);
  const query = new URLSearchParams({ profile: $("profile").value, mask_format: "none", maps: "true", strip: "true" });
  const response = await ask(`predict?${query}`, { method: "POST", body });
  const [image] = response.images;
  one.timing = response.timing_ms;
  one.maps = image.maps && await readMaps(image.maps, image.classes.length);
  // Not the file: a browser turns it by its EXIF data, shows 12 bits black and no TIFF.
  one.grey = await readPng(image.strip, 1);
  one.image = image;
}

function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function stem() {
  return shown.name.replace(/\.[^.]*$/, "");
}

$("files").addEventListener("change", (event) => { take(event.target.files); event.target.value = ""; });
$("example").addEventListener("click", async () => {
  const blob = await (await fetch("page/example.png")).blob();
  take([new File([blob], "example.png", { type: "image/png" })]);
});
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) take(event.dataTransfer.files);
  });
}
for (const id of ["view", "boxes"]) $(id).addEventListener("change", show);
$("profile").addEventListener("change", () => { takeProfile(); show(); items.filter((one) => one.image).forEach(item); });
$("reset").addEventListener("click", () => { takeProfile(); show(); });
$("key").value = sessionStorage.getItem("key") ?? "";
$("key").addEventListener("change", () => { sessionStorage.setItem("key", $("key").value); loadModel().then(() => say(""), (error) => say(error.message, true)); });
$("save-picture").addEventListener("click", () => $("picture").toBlob((blob) => save(`${stem()}-defects.png`, blob)));
$("save-masks").addEventListener("click", () => {
  const classes = judge(shown).map(({ class_id, name, present, probability, area, mask }) =>
    ({ class_id, name, present, probability, area, rle: present ? rleOf(mask) : "" }));
  save(`${stem()}.json`, new Blob([JSON.stringify({ filename: shown.name, verdict: verdictOf(shown, judge(shown)).name, threshold: point.threshold, min_area: point.min_area, classes }, null, 1)]));
});
$("curl").addEventListener("click", async () => {
  const query = new URLSearchParams({ profile: $("profile").value, threshold: point.threshold.join(","), min_area: point.min_area.join(",") });
  const address = new URL(`predict?${decodeURIComponent(query)}`, location.href);
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const key = $("key").value ? " -H 'X-API-Key: …'" : "";
  $("command").textContent = `curl -F ${quoted(`file=@${shown.name}`)}${key} ${quoted(address.href)}`;
  $("command").hidden = false;
  await navigator.clipboard?.writeText($("command").textContent).catch(() => {});
});
loadModel().catch((error) => say(error.message, true));
// Hide the link if /docs is off or needs a key: a link cannot carry one.
fetch("docs").then((response) => { $("api").hidden = !response.ok; });
