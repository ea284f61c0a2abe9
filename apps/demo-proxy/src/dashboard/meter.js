import { limitOf, NEAR, outlookWords, partOf } from "./backend-state.js";
import { element, setAttribute, setText } from "./dom.js";
import { formatAmount, formatPart, formatPercent, labelOf } from "./format.js";

/** One dimension of a backend: usage against limit, and where it leads. */
export class Meter {
  #dimension;
  #value = element("span", { class: "meter-value" });
  #percent = element("span", { class: "meter-percent" });
  #fill = element("span", { class: "fill" });
  #ahead = element("span", { class: "ahead" });
  #bar;
  #granted = element("p", { class: "meter-granted muted", hidden: true });
  #outlook = element("p", { class: "meter-outlook muted" });
  node;

  /**
   * @param {string} backend
   * @param {import("./format.js").Dimension} dimension
   */
  constructor(backend, dimension) {
    this.#dimension = dimension;
    const label = `${labelOf(dimension)} of ${backend}`;
    this.#bar = element("div", { class: "bar", role: "meter", "aria-label": label }, this.#ahead, this.#fill);
    const head = element("p", { class: "meter-head" });
    head.append(element("span", { class: "meter-label" }, labelOf(dimension)), this.#value, this.#percent);
    this.node = element(
      "div",
      { class: "meter", "data-dimension": dimension },
      head,
      this.#bar,
      this.#granted,
      this.#outlook,
    );
  }

  /**
   * @param {import("./backend-state.js").LiveBackend} backend
   * @param {{ nowMs: number, endMs: number }} time
   */
  show(backend, time) {
    const dimension = this.#dimension;
    const used = limitOf(backend.usage, dimension) ?? 0;
    const limit = limitOf(backend.limits, dimension);
    const outlook = /** @type {Record<string, { atEnd: number | null }>} */ (backend.outlook)[dimension];
    const part = partOf(used, limit);
    const text = limit === undefined ? formatAmount(dimension, used) : formatPart(dimension, used, limit);
    const percent = limit === undefined ? "no limit" : limit === 0 ? "nothing allowed" : formatPercent(part);
    setText(this.#value, text);
    setText(this.#percent, percent);
    const level = limit === undefined ? "free" : part >= 1 ? "full" : part >= NEAR ? "near" : "calm";
    setAttribute(this.node, "data-level", level);
    // A meter needs room between its ends, also where there is none.
    const end = Math.max(1, limit ?? used);
    setAttribute(this.#bar, "aria-valuemin", 0);
    setAttribute(this.#bar, "aria-valuemax", end);
    setAttribute(this.#bar, "aria-valuenow", limit === 0 ? end : Math.min(used, end));
    const granted = limitOf(backend.granted, dimension) ?? 0;
    const credit = granted > 0 ? `includes ${formatAmount(dimension, granted)} granted` : "";
    setAttribute(this.#bar, "aria-valuetext", [text, percent, credit].filter(Boolean).join(", "));
    this.#fill.style.inlineSize = width(part);
    this.#ahead.style.inlineSize = width(partOf(outlook?.atEnd ?? used, limit));
    setText(this.#granted, credit.replace("i", "I"));
    this.#granted.hidden = credit === "";
    setText(this.#outlook, outlookWords(backend, dimension, time));
  }
}

/** @param {number} part */
function width(part) {
  return `${Math.min(100, part * 100).toFixed(2)}%`;
}
