import { byId, element, setAttribute, setText } from "./dom.js";
import { DIMENSIONS, formatDuration, formatRate, formatUsage, LABELS } from "./format.js";
import { Meter } from "./meter.js";
import { Sparkline } from "./sparkline.js";

/** @typedef {import("../admin/api/live-report.ts").LiveBackend} LiveBackend */
/** @typedef {{ drain: (name: string) => void, resume: (name: string) => void }} Actions `drain` asks first. */

/** A card per backend. Cards stay and change their texts, so that the focus stays, too. */
export class Backends {
  #actions;
  /** @type {Map<string, Card>} */
  #cards = new Map();

  /** @param {Actions} actions */
  constructor(actions) {
    this.#actions = actions;
  }

  /** @param {import("../admin/api/live-report.ts").LiveReport} report */
  show({ backends, period, at }) {
    const time = { nowMs: Date.parse(at), endMs: Date.parse(period.end) };
    for (const [name, card] of this.#cards) {
      if (backends.some((backend) => backend.name === name)) continue;
      card.node.remove();
      this.#cards.delete(name);
    }
    const list = byId("backends");
    for (const [index, backend] of backends.entries()) {
      let card = this.#cards.get(backend.name);
      if (card === undefined) {
        card = new Card(backend.name, this.#cards.size, this.#actions);
        this.#cards.set(backend.name, card);
      }
      // Only what is out of place is moved, since that takes the focus from it.
      const there = list.children[index] ?? null;
      if (there !== card.node) list.insertBefore(card.node, there);
      card.show(backend, time);
    }
    const open = backends.filter(takesRequests).length;
    setText(byId("backends-summary"), `${open} of ${backends.length} take requests`);
  }
}

/** @param {LiveBackend} backend */
function takesRequests({ draining, reachable, withinLimits }) {
  return !draining && reachable && withinLimits;
}

class Card {
  #state = element("span", { class: "pill" });
  #url = element("p", { class: "url muted" });
  #trouble = element("p", { class: "card-trouble bad" });
  #note = element("p", { class: "card-note muted" });
  #rates = DIMENSIONS.map((dimension) => ({ dimension, value: element("dd") }));
  #spark = new Sparkline();
  #meters;
  #name;
  #draining = false;
  /** Drains, or resumes. */
  #switch = element("button", { type: "button", class: "small" });
  node;

  /**
   * @param {string} name
   * @param {number} index
   * @param {Actions} actions
   */
  constructor(name, index, { drain, resume }) {
    this.#name = name;
    const id = `backend-${index}-${Math.random().toString(36).slice(2, 8)}`;
    this.#meters = DIMENSIONS.map((dimension) => new Meter(name, dimension));
    this.#switch.addEventListener("click", () => (this.#draining ? resume : drain)(name));
    const title = element("h3", { id, title: name }, name);
    const rates = element("dl", { class: "rates" });
    for (const { dimension, value } of this.#rates) {
      rates.append(element("div", {}, element("dt", {}, LABELS[dimension]), value));
    }
    this.node = element(
      "article",
      { class: "card", "aria-labelledby": id, "data-backend": name },
      element("div", { class: "card-head" }, title, this.#state, this.#url, this.#switch),
      element("div", { class: "meters" }, ...this.#meters.map(({ node }) => node)),
      element("div", { class: "card-side" }, element("p", { class: "side-title" }, "Now"), this.#spark.node, rates),
      element("div", { class: "card-notes" }, this.#trouble, this.#note),
    );
  }

  /**
   * @param {LiveBackend} backend
   * @param {{ nowMs: number, endMs: number }} time
   */
  show(backend, time) {
    const { state, text } = stateOf(backend);
    setAttribute(this.node, "data-state", state);
    setText(this.#state, text);
    setText(this.#url, backend.url);
    setAttribute(this.#url, "title", backend.url);
    for (const meter of this.#meters) meter.show(backend, time);
    for (const { dimension, value } of this.#rates) {
      setText(value, formatRate(dimension, backend.perSecond[dimension]));
    }
    this.#spark.add(backend.perSecond.apiRequests);
    this.#draining = backend.draining;
    const action = backend.draining ? "Resume" : "Drain";
    setText(this.#switch, action);
    setAttribute(this.#switch, "aria-label", `${action} ${this.#name}`);
    this.#switch.hidden = !backend.configured;
    setText(this.#trouble, troubleOf(backend, time.nowMs));
    setText(this.#note, noteOn(backend));
  }
}

/**
 * The one thing that matters most about it.
 *
 * @param {LiveBackend} backend
 */
function stateOf({ draining, configured, reachable, withinLimits, inFlight, usage, limits, perSecond }) {
  if (draining && inFlight > 0) return { state: "draining", text: `Draining, ${inFlight} running` };
  if (draining) return { state: "draining", text: configured ? "Drained" : "Removed" };
  if (!withinLimits) {
    // What a plain GET lacks: a request, and a byte of a response.
    const wanted = { apiRequests: 1, egressBytes: 1, ingressBytes: 0 };
    const full = DIMENSIONS.filter(
      (dimension) => usage[dimension] + wanted[dimension] > (limits[dimension] ?? Infinity),
    );
    const which = full.map((dimension) => LABELS[dimension].toLowerCase()).join(", ");
    const word = full.length > 0 && full.every((dimension) => limits[dimension] === 0) ? "Closed" : "Exhausted";
    return { state: "exhausted", text: which === "" ? word : `${word}: ${which}` };
  }
  if (!reachable) return { state: "unreachable", text: "Unreachable" };
  return perSecond.apiRequests > 0 ? { state: "active", text: "In use" } : { state: "ready", text: "Ready" };
}

/**
 * Why it is not used, or why its last request failed, and what to do.
 *
 * @param {LiveBackend} backend
 * @param {number} nowMs
 */
function troubleOf({ reachable, trouble }, nowMs) {
  if (trouble === null) return "";
  const { code, reason, since } = trouble;
  const age = formatDuration(Math.max(0, nowMs - Date.parse(since)));
  const end = reason.endsWith("?") ? "" : ".";
  return `${reachable ? "The last request failed" : "Unreachable"}: ${reason}${end} ${code}, for ${age}`;
}

/** @param {LiveBackend} backend */
function noteOn({ unstored, unpushed, held, excess, problem, reachable, draining, configured, inFlight }) {
  const [stored, shared, kept, beyond] = [unstored, unpushed, held, excess].map(formatUsage);
  return [
    inFlight > 0 && `${inFlight} running`,
    kept !== "" && `held: ${kept}`,
    beyond !== "" && `beyond what was held: ${beyond}`,
    problem === "unready" && "what others have is not known yet",
    problem === "offline" && "others cannot be asked for room",
    stored !== "" && `not yet stored: ${stored}`,
    shared !== "" && `not yet shared: ${shared}`,
    !reachable && "it is tried again within seconds",
    draining && configured && "gets no new requests until it is resumed",
    !configured && "is not in the configuration any more, and gets no new requests; add it again, and it resumes",
  ]
    .filter(Boolean)
    .join(" · ");
}
