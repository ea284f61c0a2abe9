import { byId, element, setText, shape } from "./dom.js";
import { DIMENSIONS, formatAmount, formatPeriod, LABELS } from "./format.js";

/** @typedef {import("./format.js").Dimension} Dimension */
/** @typedef {{ period: string, backend: string, usage: Partial<Record<Dimension, number>> }} PeriodUsage */

const PERIODS = 12;
const [WIDTH, HEIGHT] = [240, 56];

/** What each backend used period by period, this one included as far as it is counted. */
export class History {
  /** @type {readonly PeriodUsage[]} */
  #past = [];
  #shown = "";

  /** @param {readonly PeriodUsage[]} past */
  load(past) {
    this.#past = past;
  }

  /** @param {import("../admin/api/live-report.ts").LiveReport} report */
  show({ period, backends }) {
    const now = backends.map(({ name, usage }) => ({ period: period.key, backend: name, usage }));
    const all = [...this.#past.filter((past) => past.period !== period.key), ...now];
    const keys = periodsOf(all.map(({ period }) => period));
    const names = [...new Set([...backends.map(({ name }) => name), ...all.map(({ backend }) => backend)])];
    const series = names.map((name) => ({
      name,
      limits: backends.find((backend) => backend.name === name)?.limits,
      usages: keys.map((key) => all.find((usage) => usage.backend === name && usage.period === key)?.usage ?? {}),
    }));
    // Drawn anew only when something of it would look different.
    const picture = JSON.stringify([keys, series.map(texts)]);
    if (picture === this.#shown) return;
    this.#shown = picture;
    setText(
      byId("history-summary"),
      keys.length === 1
        ? "This is the first period"
        : `The last ${keys.length} periods; a dashed line is today's limit`,
    );
    const table = byId("history").querySelector("details");
    byId("history").replaceChildren(
      element("div", { class: "history" }, ...series.map((each) => drawBackend(each, keys))),
      drawTable(series, keys, table?.open ?? false),
    );
  }
}

/** @typedef {{ name: string, limits: Partial<Record<Dimension, number>> | undefined, usages: Partial<Record<Dimension, number>>[] }} Series */

/** @param {Series} series */
function texts({ name, limits, usages }) {
  return [
    name,
    limits,
    usages.map((usage) => DIMENSIONS.map((dimension) => formatAmount(dimension, usage[dimension] ?? 0))),
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
 */
function drawBackend({ name, limits, usages }, keys) {
  return element(
    "div",
    { class: "history-backend" },
    element("h3", { title: name }, name, ...(limits ? [] : [element("span", { class: "muted" }, " (removed)")])),
    ...DIMENSIONS.map((dimension) => {
      const amounts = usages.map((usage) => usage[dimension] ?? 0);
      return element(
        "figure",
        {},
        element("figcaption", {}, LABELS[dimension], element("b", {}, formatAmount(dimension, amounts.at(-1) ?? 0))),
        drawBars({
          label: `${LABELS[dimension]} of ${name}`,
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
 * @param {boolean} open
 */
function drawTable(series, keys, open) {
  const head = ["Period", "Backend", ...DIMENSIONS.map((dimension) => LABELS[dimension])];
  const rows = keys.toReversed().flatMap((key) =>
    series.flatMap(({ name, usages }) => {
      const usage = usages[keys.indexOf(key)] ?? {};
      if (Object.keys(usage).length === 0) return [];
      const cells = DIMENSIONS.map((dimension) => formatAmount(dimension, usage[dimension] ?? 0));
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
