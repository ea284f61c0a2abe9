import { element, setAttribute, setText } from "./dom.js";
import { formatAmount, formatDuration, formatInstant, formatPart, formatPercent, LABELS } from "./format.js";

/** From this part of a limit on it is worth a look. */
const NEAR = 0.8;

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
    const label = `${LABELS[dimension]} of ${backend}`;
    this.#bar = element("div", { class: "bar", role: "meter", "aria-label": label }, this.#ahead, this.#fill);
    const head = element("p", { class: "meter-head" });
    head.append(element("span", { class: "meter-label" }, LABELS[dimension]), this.#value, this.#percent);
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
   * @param {import("../admin/api/live-report.ts").LiveBackend} backend
   * @param {{ nowMs: number, endMs: number }} time
   */
  show(backend, time) {
    const dimension = this.#dimension;
    const used = backend.usage[dimension];
    const limit = backend.limits[dimension];
    const { atEnd } = backend.outlook[dimension];
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
    const granted = backend.granted[dimension] ?? 0;
    const credit = granted > 0 ? `includes ${formatAmount(dimension, granted)} granted` : "";
    setAttribute(this.#bar, "aria-valuetext", [text, percent, credit].filter(Boolean).join(", "));
    this.#fill.style.inlineSize = width(part);
    this.#ahead.style.inlineSize = width(partOf(atEnd, limit));
    setText(this.#granted, credit.replace("i", "I"));
    this.#granted.hidden = credit === "";
    setText(this.#outlook, this.#words(backend, time));
  }

  /**
   * @param {import("../admin/api/live-report.ts").LiveBackend} backend
   * @param {{ nowMs: number, endMs: number }} time
   */
  #words({ usage, limits, outlook }, { nowMs, endMs }) {
    const dimension = this.#dimension;
    const { atEnd, limitAt } = outlook[dimension];
    const limit = limits[dimension];
    if (limit === 0) return "The limit is 0: nothing may be used.";
    if (limit !== undefined && usage[dimension] >= limit)
      return `Limit reached. It opens again ${formatInstant(endMs)}.`;
    if (atEnd === usage[dimension]) return "Not growing at present";
    const projected = `Projected ${formatAmount(dimension, atEnd)}`;
    if (limit === undefined) return projected;
    if (limitAt === null) return `${projected}, ${formatPercent(atEnd / limit)} of the limit`;
    const inMs = Date.parse(limitAt) - nowMs;
    const when = inMs < 86_400_000 ? `in ${formatDuration(inMs)}, ${formatInstant(limitAt)}` : formatInstant(limitAt);
    return `${projected}; limit reached ${when}`;
  }
}

/**
 * How much of a limit an amount is: nothing where there is none, all of it where the limit is 0.
 *
 * @param {number} amount
 * @param {number | undefined} limit
 */
function partOf(amount, limit) {
  if (limit === undefined) return 0;
  return limit === 0 ? 1 : amount / limit;
}

/** @param {number} part */
function width(part) {
  return `${Math.min(100, part * 100).toFixed(2)}%`;
}
