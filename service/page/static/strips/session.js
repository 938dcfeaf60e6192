// The strips of one visit, the model that answers, the thresholds in use, and which strip is shown.

import { OperatingPoint } from "../rules/operating_point.js";
import { judge, URGENCY } from "../rules/verdict.js";
import { Reader } from "./reader.js";
import { Sender } from "./sender.js";
import { Refusal } from "./service.js";
import { Shelf } from "./shelf.js";
import { Strip } from "./strip.js";

/** Events: model, point (thresholds), strips (added, removed), strip (one changed), shown (another is shown). */
const REST_MS = 500;

export class Session extends EventTarget {
  model = null;
  point = null;
  strips = [];
  shown = null;
  #verdicts = new WeakMap();
  #number = 0;
  #loading = null;
  #resending = 0;
  #usual = false; // whether the profile is the one that the service uses

  constructor(service) {
    super();
    this.service = service;
    this.reader = new Reader();
    this.shelf = new Shelf((strip) => this.#ask(strip));
    this.sender = new Sender(() => this.strips, (strip) => this.#send(strip), (strip) => this.#changed(strip));
  }

  /** Width and height of a pixel in millimetres, or null; the browser remembers them. */
  get mm() {
    return JSON.parse(localStorage.getItem("mm") ?? "null");
  }

  set mm(size) {
    localStorage.setItem("mm", JSON.stringify(size));
    this.#emit("point");
  }

  #emit(name, detail = null) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #changed(strip) {
    this.#verdicts.delete(strip);
    this.#emit("strip", strip);
  }

  /** Asks which model answers; strips that another one answered are sent again. */
  loadModel() {
    this.#loading ??= this.service.model().then((model) => {
      this.model = model;
      this.#setPoint(new OperatingPoint(model.profiles[0]));
      this.#usual = false;
      this.#emit("model");
      for (const strip of this.strips) if (strip.model && strip.model.sha256 !== model.sha256) strip.reset();
    }).finally(() => { this.#loading = null; });
    return this.#loading;
  }

  #setPoint(point) {
    this.point = point;
    this.#verdicts = new WeakMap();
    this.#sendMasksAgain();
    this.#emit("point");
  }

  /** Masks without maps are true for the thresholds of their answer only: asks for others once these rest. */
  #sendMasksAgain() {
    const old = this.strips.filter((strip) => strip.masksOnly);
    for (const strip of old) {
      strip.reset();
      this.shelf.drop(strip);
      this.#changed(strip);
    }
    clearTimeout(this.#resending);
    this.#resending = setTimeout(() => this.sender.pump(), REST_MS);
  }

  useProfile(name) {
    this.#setPoint(new OperatingPoint(this.model.profiles.find((one) => one.name === name)));
  }

  change(field, index, value) {
    this.point[field][index] = value;
    this.#setPoint(this.point);
  }

  /** The verdict on a strip at the thresholds in use; null until it is answered. */
  verdict(strip) {
    if (strip.state === "refused") return { name: "not_inspected", classes: [], reasons: [], severity: 1 };
    if (strip.state !== "answered") return null;
    let verdict = this.#verdicts.get(strip);
    if (!verdict) this.#verdicts.set(strip, verdict = judge(strip, this.point, this.model.review_bands));
    return verdict;
  }

  /** Strips by severity: verdict first, then area or probability; those that wait last. */
  worstFirst(strips = this.strips) {
    const rank = new Map(strips.map((strip) => {
      const verdict = this.verdict(strip);
      return [strip, verdict ? 2 * URGENCY[verdict.name] + verdict.severity : -1];
    }));
    return [...strips].sort((a, b) => rank.get(b) - rank.get(a) || a.id - b.id);
  }

  /** Adds files {name, open} and shows the first of them. */
  add(files) {
    const added = files.map(({ name, open }) => new Strip(++this.#number, name, open));
    if (!added.length) return;
    this.strips.push(...added);
    this.#emit("strips");
    this.show(added[0]);
    this.sender.pump();
  }

  remove(strip) {
    this.strips = this.strips.filter((one) => one !== strip);
    this.shelf.drop(strip);
    this.#emit("strips");
  }

  clear() {
    for (const strip of this.strips) this.shelf.drop(strip);
    this.strips = [];
    this.shown = null;
    this.#emit("strips");
    this.#emit("shown");
  }

  show(strip) {
    this.shown = strip;
    this.#emit("shown");
  }

  retry(strip) {
    strip.reset();
    this.#changed(strip);
    this.sender.resume();
  }

  async #send(strip) {
    if (!this.model) await this.loadModel();
    const packed = await this.#ask(strip);
    if (strip.state === "answered" && this.strips.includes(strip)) this.shelf.put(strip, packed);
  }

  async #ask(strip) {
    const blob = await strip.open().catch((error) => { throw error.kind ? error : new Refusal("unreadable"); });
    // Until an answer has said which profile the line uses, the service is left to choose it.
    const query = this.#usual || this.point.changed ? this.point.query : {};
    const read = await this.reader.read(await this.service.predict(strip.name, blob, query)), { answer } = read;
    if (answer.model.sha256 !== this.model.sha256) await this.loadModel();
    if (!this.#usual) {
      this.#usual = true;
      if (answer.profile.name !== this.point.profile.name && !this.point.changed) this.useProfile(answer.profile.name);
    }
    strip.take(read);
    const stale = query.profile && JSON.stringify(query) !== JSON.stringify(this.point.query);
    if (strip.masksOnly && stale) strip.reset(); // the sender sends it again
    return read.packed;
  }
}
