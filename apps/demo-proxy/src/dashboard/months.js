import { byId, element, setText, shape } from "./dom.js";
import { formatAmount, formatPeriod, labelOf, messageOf } from "./format.js";
import { ListView } from "./list-view.js";

/** @typedef {import("./format.js").Dimension} Dimension */
/** @typedef {{ period: string, backend: string, usage: Partial<Record<Dimension, number>> }} PeriodUsage */

const PERIODS = 12;
const [WIDTH, HEIGHT] = [240, 56];

/** Charts at once: each is some dozens of shapes. */
const PAGE_SIZE = 5;

/** What each backend used period by period, this one included as far as it is counted. */
export class Months {
  /** @type {ReadonlyMap<string, ReadonlyMap<string, PeriodUsage["usage"]>>} by backend and period */
  #past = new Map();
  /** @type {readonly string[]} */
  #periods = [];
  #view = new ListView({ what: "history", orders: { as: "" }, pageSize: PAGE_SIZE, changed: () => this.#draw() });
  /** @type {import("./backend-state.js").LiveReport | undefined} */
  #report;
  #shown = "";
  /** Why what was loaded last could not be read; empty when it could. */
  #trouble = "";

  constructor() {
    byId("history").before(this.#view.tools);
    byId("history").after(this.#view.pager);
  }

  /** @param {{ history: readonly PeriodUsage[] }} body */
  load({ history }) {
    const past = new Map();
    for (const { backend, period, usage } of history) {
      if (!past.has(backend)) past.set(backend, new Map());
      past.get(backend).set(period, usage);
    }
    this.#past = past;
    this.#periods = [...new Set(history.map(({ period }) => period))];
    this.#trouble = "";
    this.#draw();
  }

  /** @param {unknown} error why it could not be read */
  fail(error) {
    this.#trouble = `Cannot be read now. ${messageOf(error)}`;
    this.#draw();
  }

  /** @param {import("./backend-state.js").LiveReport} report */
  show(report) {
    this.#report = report;
    this.#draw();
  }

  #draw() {
    if (this.#report === undefined) return;
    const { period, backends } = this.#report;
    const keys = periodsOf([...this.#periods, period.key]);
    const now = new Map(backends.map((backend) => [backend.name, backend]));
    const { search } = this.#view.choice;
    const names = [...new Set([...now.keys(), ...this.#past.keys()])];
    const matching = names.filter((name) => name.toLowerCase().includes(search));
    const series = this.#view.pageOf(matching, names.length).map((name) => ({
      name,
      limits: now.get(name)?.limits,
      usages: keys.map((key) => (key === period.key && now.get(name)?.usage) || this.#past.get(name)?.get(key) || {}),
    }));
    const dimensions = [...new Set(backends.flatMap(({ usage }) => Object.keys(usage)))];
    setText(byId("history-summary"), this.#trouble || summaryOf(keys));
    // Drawn anew only when something of it would look different.
    const picture = JSON.stringify([keys, dimensions, series.map((each) => texts(each, dimensions))]);
    if (picture === this.#shown) return;
    this.#shown = picture;
    const table = byId("history").querySelector("details");
    byId("history").replaceChildren(
      element("div", { class: "history" }, ...series.map((each) => drawBackend(each, keys, dimensions))),
      drawTable(series, keys, dimensions, table?.open ?? false),
    );
  }
}

/** @param {readonly string[]} keys */
function summaryOf(keys) {
  if (keys.length === 1) return "This is the first period";
  return `The last ${keys.length} periods; a dashed line is today's limit`;
}

/** @typedef {{ name: string, limits: Partial<Record<Dimension, number>> | undefined, usages: Partial<Record<Dimension, number>>[] }} Series */

/** @param {Series} series @param {readonly Dimension[]} dimensions */
function texts({ name, limits, usages }, dimensions) {
  return [
    name,
    limits,
    usages.map((usage) => dimensions.map((dimension) => formatAmount(dimension, usage[dimension] ?? 0))),
  ];
}

/**
 * The last periods, those in between in which nothing was counted included.
 *
 * @param {readonly string[]} keys
 */
function periodsOf(keys) {
  const sorted = [...new Set(keys)].sort();
  const [first, last] = [sorted[0], sorted.at(-1)];
  if (first === undefined || last === undefined || !sorted.every((key) => /^\d{4}-\d{2}$/.test(key))) {
    return sorted.slice(-PERIODS);
  }
  const months = [];
  const month = new Date(`${last}-01T00:00:00Z`);
  for (let key = last; months.length < PERIODS && key >= first; key = month.toISOString().slice(0, 7)) {
    months.unshift(key);
    month.setUTCMonth(month.getUTCMonth() - 1);
  }
  return months;
}

/**
 * @param {Series} series
 * @param {readonly string[]} keys
 * @param {readonly Dimension[]} dimensions
 */
function drawBackend({ name, limits, usages }, keys, dimensions) {
  return element(
    "div",
    { class: "history-backend" },
    element("h3", { title: name }, name, ...(limits ? [] : [element("span", { class: "muted" }, " (removed)")])),
    ...dimensions.map((dimension) => {
      const amounts = usages.map((usage) => usage[dimension] ?? 0);
      return element(
        "figure",
        {},
        element("figcaption", {}, labelOf(dimension), element("b", {}, formatAmount(dimension, amounts.at(-1) ?? 0))),
        drawBars({
          label: `${labelOf(dimension)} of ${name}`,
          dimension,
          amounts,
          keys,
          limit: limits?.[dimension],
        }),
        element(
          "p",
          { class: "axis muted", "aria-hidden": "true" },
          ...(keys.length > 1 ? [element("span", {}, formatPeriod(keys[0] ?? "", "short"))] : []),
          element("span", {}, formatPeriod(keys.at(-1) ?? "", "short")),
        ),
      );
    }),
  );
}

/**
 * @param {{ label: string, dimension: Dimension, amounts: readonly number[], keys: readonly string[], limit: number | undefined }} chart
 */
function drawBars({ label, dimension, amounts, keys, limit }) {
  const used = Math.max(...amounts, 1);
  // A limit far above everything would leave nothing to see of the rest.
  const most = limit !== undefined && limit <= used * 2.5 ? Math.max(used, limit) : used;
  const step = WIDTH / PERIODS;
  const offset = WIDTH - amounts.length * step;
  const words = amounts.map((amount, index) => `${formatPeriod(keys[index] ?? "")} ${formatAmount(dimension, amount)}`);
  const bars = amounts.map((amount, index) => {
    const height = amount === 0 ? 1 : Math.max(2, (amount / most) * (HEIGHT - 2));
    const bar = shape("rect", {
      class: index === amounts.length - 1 ? "current" : amount === 0 ? "none" : undefined,
      x: offset + index * step + 1.5,
      y: HEIGHT - height,
      width: step - 3,
      height,
    });
    bar.append(shape("title", {}, words[index] ?? ""));
    return bar;
  });
  if (limit !== undefined && limit <= most) {
    const y = Math.min(HEIGHT - 1, Math.max(1, HEIGHT - (limit / most) * (HEIGHT - 2)));
    bars.push(shape("line", { class: "limit", x1: 0, x2: WIDTH, y1: y, y2: y, "vector-effect": "non-scaling-stroke" }));
  }
  const frame = { class: "bars", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" };
  return shape("svg", { ...frame, role: "img", "aria-label": `${label}: ${words.join(", ")}` }, ...bars);
}

/**
 * @param {readonly Series[]} series
 * @param {readonly string[]} keys
 * @param {readonly Dimension[]} dimensions
 * @param {boolean} open
 */
function drawTable(series, keys, dimensions, open) {
  const head = ["Period", "Backend", ...dimensions.map((dimension) => labelOf(dimension))];
  const rows = keys.toReversed().flatMap((key) =>
    series.flatMap(({ name, usages }) => {
      const usage = usages[keys.indexOf(key)] ?? {};
      if (Object.keys(usage).length === 0) return [];
      const cells = dimensions.map((dimension) => formatAmount(dimension, usage[dimension] ?? 0));
      const row = element("tr", {}, element("th", { scope: "row" }, formatPeriod(key)), element("td", {}, name));
      row.append(...cells.map((cell) => element("td", { class: "number" }, cell)));
      return [row];
    }),
  );
  const titles = head.map((title, index) => element("th", { scope: "col", class: index > 1 && "number" }, title));
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...titles)));
  table.append(element("tbody", {}, ...rows));
  const scroll = { class: "scroll", tabindex: 0, role: "region", "aria-label": "History in numbers" };
  return element(
    "details",
    { class: "numbers", open },
    element("summary", {}, "In numbers"),
    element("div", scroll, table),
  );
}
