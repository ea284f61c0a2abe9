import { limitOf } from "./backend-state.js";
import { Chart } from "./chart.js";
import { byId, element, setAttribute, setText } from "./dom.js";
import { formatAmount, formatDay, formatPeriod, formatTime, labelOf, messageOf } from "./format.js";

/** @typedef {import("./format.js").Dimension} Dimension */
/** @typedef {import("../admin/api/history/steps-report.ts").Projected} Projection */
/** @typedef {import("../admin/api/history/steps-report.ts").StepsOf} Used */
/** @typedef {import("../admin/api/history/steps-report.ts").StepsReport} TimelineReport */

/**
 * One dimension of it, to be drawn: what was used in each step, and by its end.
 *
 * @typedef {object} Series
 * @property {"day" | "hour"} by
 * @property {Dimension} dimension
 * @property {number} startMs
 * @property {number} endMs
 * @property {number} atMs
 * @property {readonly number[]} steps when each began
 * @property {readonly number[]} usage
 * @property {readonly number[]} sums
 * @property {number} undated used, and nobody knows when
 * @property {number} total
 * @property {Projection | undefined} projection
 * @property {number | undefined} limit
 */

const ALL = "";

/** The days of this month or the hours of today, of one backend or of all. */
export class Timeline {
  #choose;
  #backend = /** @type {HTMLSelectElement} */ (byId("timeline-backend"));
  #names = "";
  /** @type {Map<Dimension, { figure: HTMLElement, chart: Chart, total: HTMLElement, words: HTMLElement }>} */
  #figures = new Map();
  /** @type {import("./backend-state.js").LiveReport | undefined} */
  #report;

  /** @param {{ choose: () => void }} options told when something else is to be loaded */
  constructor({ choose }) {
    this.#choose = choose;
    this.#backend.addEventListener("change", () => this.#choose());
    for (const view of this.#views()) view.addEventListener("change", () => this.#choose());
  }

  /** What is to be loaded. */
  path() {
    const by = this.#views().find(({ checked }) => checked)?.value ?? "day";
    const backend = this.#backend.value;
    return `api/history?by=${by}${backend === ALL ? "" : `&backend=${encodeURIComponent(backend)}`}`;
  }

  #views() {
    return /** @type {HTMLInputElement[]} */ ([...byId("timeline-views").querySelectorAll("input")]);
  }

  /** @param {import("./backend-state.js").LiveReport} report */
  show(report) {
    this.#report = report;
    const names = report.backends.map(({ name }) => name);
    const joined = JSON.stringify(names);
    if (joined === this.#names) return;
    this.#names = joined;
    const chosen = this.#backend.value;
    const options = names.map((name) => element("option", { value: name }, name));
    this.#backend.replaceChildren(element("option", { value: ALL }, "All backends"), ...options);
    this.#backend.value = names.includes(chosen) ? chosen : ALL;
  }

  /** @param {TimelineReport} body */
  load(body) {
    byId("timeline-section").hidden = false;
    const chosen = this.#backend.value;
    const used = chosen === ALL ? body.all : body.backends.find(({ name }) => name === chosen);
    const backend = this.#report?.backends.find(({ name }) => name === chosen);
    const series =
      used === undefined
        ? []
        : body.dimensions.map((dimension) => seriesOf(body, used, dimension, backend?.limits ?? {}));
    setText(byId("timeline-summary"), summaryOf(body));
    for (const each of series) {
      const { figure, chart, total, words } = this.#figure(each.dimension);
      setText(total, formatAmount(each.dimension, each.total));
      setText(words, projectionWords(each));
      figure.hidden = false;
      void chart.show(each, wordsOf(each));
    }
    for (const [dimension, { figure }] of this.#figures) if (!body.dimensions.includes(dimension)) figure.hidden = true;
    byId("timeline-table").replaceChildren(drawTable(series));
  }

  /** @param {unknown} error why it could not be read */
  fail(error) {
    setText(byId("timeline-summary"), `Cannot be read now. ${messageOf(error)}`);
  }

  /** @param {Dimension} dimension */
  #figure(dimension) {
    let found = this.#figures.get(dimension);
    if (found === undefined) {
      const [chart, total, words] = [new Chart(), element("b"), element("p", { class: "muted chart-words" })];
      const caption = element("figcaption", {}, labelOf(dimension), total);
      const figure = element("figure", { class: "panel", "data-dimension": dimension }, caption, chart.node, words);
      found = { figure, chart, total, words };
      this.#figures.set(dimension, found);
      byId("timeline").append(figure);
    }
    return found;
  }
}

/**
 * @param {TimelineReport} body
 * @param {Used} used
 * @param {Dimension} dimension
 * @param {object} limits
 * @returns {Series}
 */
function seriesOf({ by, at, start, end, steps }, used, dimension, limits) {
  const usage = used.usage[dimension] ?? [];
  const undated = used.undated[dimension] ?? 0;
  let sum = undated;
  const sums = usage.map((amount) => {
    sum += amount;
    return sum;
  });
  const projection = used.projection?.[dimension] ?? undefined;
  const times = {
    startMs: Date.parse(start),
    endMs: Date.parse(end),
    atMs: Date.parse(at),
    steps: steps.map(Date.parse),
  };
  return {
    by,
    dimension,
    ...times,
    usage,
    sums,
    undated,
    total: used.total[dimension] ?? sum,
    projection,
    limit: limitOf(limits, dimension),
  };
}

/** @param {TimelineReport} body */
function summaryOf({ by, of, at }) {
  const stored = `as stored at ${formatTime(at)} UTC`;
  if (by === "hour") return `${formatDay(`${of}T00:00:00Z`)} (UTC), ${stored}`;
  return `${formatPeriod(of)}, ${stored}; bars are days, the line adds them up, and dashed it goes on as projected`;
}

/** @param {Series} series */
function projectionWords({ by, dimension, projection, limit, undated }) {
  if (by === "hour") return "";
  const unknown = undated > 0 ? ` ${formatAmount(dimension, undated)} of it was used on days that nobody kept.` : "";
  if (projection === undefined) return `Too little was seen to project it.${unknown}`;
  const { atEnd, low, high, confidence } = projection;
  const amount = (/** @type {number} */ value) => formatAmount(dimension, value);
  const over = limit !== undefined && atEnd > limit ? `, above the limit of ${amount(limit)}` : "";
  const range = `${amount(low)} to ${amount(high)} in ${Math.round(confidence * 100)} of 100 cases`;
  return `Projected ${amount(atEnd)}${over}; ${range}.${unknown}`;
}

/** @param {Series} series */
function wordsOf(series) {
  const { by, dimension, total, steps } = series;
  const unit = by === "day" ? "days of this month" : "hours of today";
  return `${labelOf(dimension)}: ${formatAmount(dimension, total)} in ${steps.length} ${unit}. ${projectionWords(series)} The numbers are in the table below.`;
}

/** The same in numbers, the latest first. @param {readonly Series[]} series */
function drawTable(series) {
  const [first] = series;
  const head = [first?.by === "hour" ? "Hour (UTC)" : "Day", ...series.map(({ dimension }) => labelOf(dimension))];
  const titles = head.map((title, n) => element("th", { scope: "col", class: n > 0 && "number" }, title));
  const rows = (first?.steps ?? []).map((start, n) => {
    const when = first?.by === "hour" ? formatTime(start) : formatDay(start);
    const cells = series.map(({ dimension, usage }) =>
      element("td", { class: "number" }, formatAmount(dimension, usage[n] ?? 0)),
    );
    return element("tr", {}, element("th", { scope: "row" }, when), ...cells);
  });
  const table = element(
    "table",
    {},
    element("thead", {}, element("tr", {}, ...titles)),
    element("tbody", {}, ...rows.toReversed()),
  );
  setAttribute(table, "data-by", first?.by);
  const scroll = { class: "scroll", tabindex: 0, role: "region", "aria-label": "Usage over time in numbers" };
  return element("div", scroll, table);
}
