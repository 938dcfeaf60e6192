// The page: joins the session with the panels. Each strip is asked for once; thresholds act here.

import { ExportMenu } from "./exports/menu.js";
import { Classes } from "./panels/classes.js";
import { Connection } from "./panels/connection.js";
import { Defects } from "./panels/defects.js";
import { listenToKeys } from "./panels/keyboard.js";
import { List } from "./panels/list.js";
import { Tools } from "./panels/tools.js";
import { VerdictPanel } from "./panels/verdict_panel.js";
import { Welcome } from "./panels/welcome.js";
import { defectsAt, layersOf } from "./picture/layers.js";
import { Picture } from "./picture/picture.js";
import { dropped, opened } from "./strips/files.js";
import { Service } from "./strips/service.js";
import { Session } from "./strips/session.js";
import { factsOf } from "./words/reasons.js";
import { t, useLanguage } from "./words/words.js";

const REST_MS = 250, ARRANGE_MS = 400;
const $ = (id) => document.getElementById(id);

await useLanguage();
const session = new Session(new Service());
const picture = new Picture($("stage"));
const list = new List($("side"), session);
const verdictPanel = new VerdictPanel($("verdict"), $("announcer"), session);
const classes = new Classes($("classes"), session, () => draw());
const defectsPanel = new Defects($("defects"), session, (defect) => picture.zoomTo(defect));
const tools = new Tools($("tools"), $("scales"), picture);
let tune = null; // loaded when it is needed, as About is
let about = null;
const welcome = new Welcome($("welcome"), session);
const connection = new Connection($("connection"), $("reconnect"), $("key-form"), session);
const exports = new ExportMenu($("export"), $("note"), session);

/** Runs a function and notes how long it took; the last time stays readable under its name. */
function measured(name, run) {
  const start = performance.now();
  run();
  performance.clearMeasures(name);
  performance.measure(name, { start });
}

/** Runs a function once in the next frame, however often it is called. */
function framed(run) {
  let asked = 0;
  return () => { asked ||= requestAnimationFrame(() => { asked = 0; run(); }); };
}

/** Runs a function when its calls rest. */
function rested(run, after) {
  let later = 0;
  return () => { clearTimeout(later); later = setTimeout(run, after); };
}

/** Runs a function at most once in a while. */
function throttled(run, every) {
  let later = 0;
  return () => { later ||= setTimeout(() => { later = 0; run(); }, every); };
}

/** Draws the strip that is shown at the thresholds in use, with its verdict and defects. */
function draw() {
  const strip = session.shown;
  if (!strip) return;
  const verdict = session.verdict(strip), pixels = session.shelf.peek(strip);
  const position = { at: list.order.indexOf(strip) + 1, n: list.order.length };
  classes.show(verdict);
  tune?.show(verdict);
  if (!verdict || !pixels) return verdictPanel.show(null, position);
  const layers = layersOf(verdict, pixels), defects = defectsAt(layers, pixels, session.mm);
  const seen = ({ index }) => !classes.hidden.has(index);
  picture.draw(layers.filter(seen), defects.filter(seen));
  verdictPanel.show(defects, position);
  defectsPanel.show(defects.filter(seen));
  tools.showScale(layers.filter(seen), session.point);
  $("facts-printed").textContent = factsOf(strip, session.point);
}

/** Shows another strip, or the welcome if there is none. */
async function show() {
  const strip = session.shown;
  document.body.classList.toggle("empty", !strip);
  exports.show();
  list.mark(true);
  if (!strip) return;
  const answered = strip.state === "answered";
  let pixels = answered ? session.shelf.peek(strip) : null;
  if (!pixels) picture.show(null);
  draw();
  if (!answered) return defectsPanel.show([]);
  try {
    pixels ??= await session.shelf.pixels(strip);
  } catch {
    if (session.shown === strip) $("note").textContent = t("refusal_gone");
    return;
  }
  if (session.shown !== strip) return;
  picture.show(pixels);
  draw();
}

function showAll() {
  if (session.model) { classes.make(); tune?.make(); welcome.make(); }
  connection.show();
  tools.show();
  list.arrange();
  show();
}

const arrange = throttled(() => { measured("arrange", () => list.arrange()); exports.show(); draw(); }, ARRANGE_MS);
const rest = rested(() => { list.arrange(); draw(); }, REST_MS);
const move = framed(() => {
  measured("redraw", draw);
  measured("rows", () => list.update());
});

session.addEventListener("model", () => { classes.make(); tune?.make(); welcome.make(); arrange(); });
session.addEventListener("point", () => { move(); rest(); });
session.addEventListener("strips", () => { list.arrange(); exports.show(); });
session.addEventListener("shown", show);
session.addEventListener("strip", ({ detail }) => {
  arrange();
  connection.show();
  if (detail === session.shown) show();
});

/** Takes files that were dropped or chosen. */
async function take(found) {
  const { files, skipped } = await found;
  $("note").textContent = skipped ? t("skipped", { n: skipped }) : "";
  session.add(files);
}

for (const id of ["files", "folder"]) {
  $(id).addEventListener("change", (event) => { take(opened([...event.target.files])); event.target.value = ""; });
}
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.items.length) take(dropped(event.dataTransfer));
  });
}

async function mode(name) {
  $(name).checked = true;
  document.body.classList.toggle("tuning", name === "tune");
  if (tune || name !== "tune") return;
  const { Tune } = await import("./panels/tune.js");
  tune ??= new Tune($("tune-panel"), session);
  if (session.model) tune.make();
  draw();
}

function step(by) {
  const next = list.neighbour(by);
  if (next) session.show(next);
}

function remove() {
  const { shown } = session;
  if (!shown) return;
  const next = list.neighbour(1) ?? list.neighbour(-1);
  session.remove(shown);
  session.show(next && next !== shown ? next : session.strips[0] ?? null);
}

$("about-button").addEventListener("click", async () => {
  const { About } = await import("./panels/about.js");
  about ??= new About($("about"), session, showAll);
  about.open();
});
for (const name of ["review", "tune"]) $(name).addEventListener("change", () => mode(name));
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("remove").addEventListener("click", remove);
$("worst").addEventListener("click", () => session.show(session.worstFirst()[0]));
$("clear").addEventListener("click", () => session.clear());
$("side-toggle").addEventListener("click", () => {
  const open = document.body.classList.toggle("side-open");
  $("side-toggle").setAttribute("aria-expanded", open);
});
listenToKeys({
  move: step, remove, mode, search: () => $("search").focus(),
  first: () => list.order[0] && session.show(list.order[0]), last: () => list.order.length && session.show(list.order.at(-1)),
}, tools);
addEventListener("beforeprint", () => picture.act("fit"));

showAll();
session.loadModel().catch(() => {});
