import { element, setText } from "./dom.js";
import { formatAmount, formatDay, formatTime } from "./format.js";

/** @typedef {import("./timeline.js").Series} Series */
/** @typedef {import("uplot")} Plot */

// In a name, so that nobody looks for its types here: the proxy serves it from a package.
const FILE = "./uplot.js";
const HEIGHT = 150;
/** Bars take the lower part where a line is drawn above them. */
const BARS_BELOW = 2.6;

/** One dimension of a month by day, or of a day by hour: bars, what they add up to, and where that leads. */
export class Chart {
  #place = element("div", { class: "plot", role: "img" });
  #readout = element("p", { class: "plot-readout muted", "aria-hidden": "true" });
  node = element("div", { class: "chart" }, this.#place, this.#readout);
  /** @type {Plot | undefined} */
  #plot;
  /** @type {Series | undefined} */
  #series;

  constructor() {
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(this.#place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => void this.#draw());
  }

  /** @param {Series} series @param {string} words what it shows, for whom nothing can be drawn */
  async show(series, words) {
    this.#series = series;
    this.#place.setAttribute("aria-label", words);
    await this.#draw();
  }

  async #draw() {
    const series = this.#series;
    if (series === undefined) return;
    /** @type {{ default: typeof import("uplot") }} */
    const { default: UPlot } = await import(FILE);
    // Another one was given meanwhile.
    if (series !== this.#series) return;
    this.#plot?.destroy();
    this.#plot = new UPlot(this.#options(UPlot, series), dataOf(series), this.#place);
    this.#tell(series, undefined);
  }

  #size() {
    return { width: Math.max(120, this.#place.clientWidth), height: HEIGHT };
  }

  /**
   * @param {typeof import("uplot")} UPlot
   * @param {Series} series
   * @returns {import("uplot").Options}
   */
  #options(UPlot, series) {
    const colour = (/** @type {string} */ name) => colourOf(this.#place, name);
    const [accent, soft, muted] = /** @type {const} */ ([
      colour("--accent"),
      colour("--accent-soft"),
      colour("--muted"),
    ]);
    const font = `11px ${getComputedStyle(this.#place).fontFamily}`;
    const { dimension, limit } = series;
    const most = Math.max(...series.usage, 1);
    const top = topOf(series);
    const { bars } = UPlot.paths;
    const axis = { stroke: muted, font, ticks: { show: false }, gap: 4 };
    const hidden = { show: true, points: { show: false } };
    return {
      ...this.#size(),
      padding: [8, 10, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: {
        x: { time: false, range: [series.startMs, series.endMs] },
        y: { range: [0, top] },
        bars: { range: [0, most * (series.by === "day" ? BARS_BELOW : 1.08)] },
      },
      axes: [
        {
          ...axis,
          size: 22,
          grid: { show: false },
          splits: () => ticksOf(series),
          values: (_, ticks) => ticks.map((at) => tickText(series, at)),
        },
        {
          ...axis,
          scale: series.by === "day" ? "y" : "bars",
          size: 62,
          grid: { stroke: colour("--line"), width: 1 },
          splits: (_, __, min, max) => stepsTo(min, max, dimension.endsWith("Bytes")),
          values: (_, ticks) => ticks.map((amount) => formatAmount(dimension, amount)),
        },
      ],
      series: [
        {},
        {
          ...hidden,
          scale: "bars",
          fill: series.by === "day" ? soft : accent,
          width: 0,
          ...(bars && { paths: bars({ size: [0.8, 40] }) }),
        },
        { ...hidden, scale: "y", stroke: soft, width: 1, spanGaps: true },
        { ...hidden, scale: "y", stroke: soft, width: 1, spanGaps: true },
        { ...hidden, scale: "y", stroke: accent, width: 2, spanGaps: true },
        { ...hidden, scale: "y", stroke: accent, width: 1.5, dash: [5, 4], spanGaps: true },
        {
          ...hidden,
          scale: "y",
          stroke: colour("--bad-fill"),
          width: 1.5,
          dash: [4, 3],
          spanGaps: true,
          show: limit !== undefined && limit <= top,
        },
      ],
      bands: [{ series: [2, 3], fill: soft }],
      hooks: { setCursor: [({ cursor }) => this.#tell(series, cursor.idx ?? undefined)] },
    };
  }

  /** What is under the pointer, in numbers. @param {Series} series @param {number | undefined} index of the data */
  #tell({ by, dimension, steps, usage, sums }, index) {
    const step = index === undefined ? -1 : Math.floor((index - 1) / 2);
    const startMs = steps[step];
    if (startMs === undefined) return setText(this.#readout, "");
    const when = by === "day" ? formatDay(startMs) : `${formatTime(startMs)} UTC`;
    const so = by === "day" ? `, ${formatAmount(dimension, sums[step] ?? 0)} by then` : "";
    setText(this.#readout, `${when}: ${formatAmount(dimension, usage[step] ?? 0)}${so}`);
  }
}

/**
 * The columns that are drawn: the first is time. A bar is in the middle of its step, and a sum at the end of it; what has no value at a
 * time is left out there.
 *
 * @param {Series} series
 * @returns {import("uplot").AlignedData}
 */
function dataOf({ by, startMs, endMs, atMs, steps, usage, undated, sums, projection, limit }) {
  const isDay = by === "day";
  const lengthMs = isDay ? 86_400_000 : 3_600_000;
  const ends = steps.map((start) => Math.min(start + lengthMs, Math.max(atMs, start)));
  const times = [
    startMs,
    ...steps.flatMap((start, n) => [start + lengthMs / 2, Math.max(ends[n] ?? start, start + lengthMs / 2 + 1)]),
    endMs,
  ];
  const gap = undefined;
  const bars = [gap, ...usage.flatMap((amount) => [amount, gap]), gap];
  const line = isDay ? [undated, ...sums.flatMap((sum) => [null, sum]), null] : times.map(() => null);
  const last = times.length - 2;
  const from = sums.at(-1) ?? undated;
  /** @param {number | undefined} to */
  const ahead = (to) => times.map((_, n) => (to === undefined ? null : n === last ? from : n === last + 1 ? to : null));
  const ceiling = times.map((_, n) => (limit !== undefined && isDay && (n === 0 || n === last + 1) ? limit : null));
  return /** @type {import("uplot").AlignedData} */ ([
    times,
    bars,
    ahead(projection?.high),
    ahead(projection?.low),
    line,
    ahead(projection?.atEnd),
    ceiling,
  ]);
}

/** What the scale ends at: a limit far above everything would leave nothing to see of the rest. @param {Series} series */
function topOf({ sums, undated, projection, limit }) {
  const most = Math.max(1, undated, sums.at(-1) ?? 0, projection?.high ?? 0, projection?.atEnd ?? 0);
  return (limit !== undefined && limit <= most * 2.5 ? Math.max(most, limit) : most) * 1.08;
}

/** Few enough that their texts never touch, on a telephone either. @param {Series} series */
function ticksOf({ by, startMs, endMs }) {
  if (by === "hour") return [0, 6, 12, 18, 24].map((hour) => startMs + hour * 3_600_000).filter((at) => at <= endMs);
  return [0, 7, 14, 21, 28].map((day) => startMs + day * 86_400_000).filter((at) => at < endMs);
}

/** @param {Series} series @param {number} at */
function tickText({ by, startMs }, at) {
  if (by === "hour") return at - startMs === 86_400_000 ? "24:00" : formatTime(at);
  return at === startMs ? formatDay(at) : String(new Date(at).getUTCDate());
}

/**
 * Some three round numbers, of bytes round in their units.
 *
 * @param {number} min
 * @param {number} max
 * @param {boolean} isBytes
 */
function stepsTo(min, max, isBytes) {
  const base = isBytes ? 1024 ** Math.max(0, Math.floor(Math.log(Math.max(1, max / 2)) / Math.log(1024))) : 1;
  const rough = max / base / 3;
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1e-9)));
  const step = Math.max(1 / base, ([1, 2, 5, 10].find((times) => times * power >= rough) ?? 10) * power) * base;
  const whole = base === 1 ? Math.max(1, Math.round(step)) : step;
  const steps = [];
  for (let at = Math.ceil(min / whole) * whole; at <= max; at += whole) steps.push(at);
  return steps;
}

/** A colour of the page as it is now, for a canvas, which knows no variables. @param {Element} place @param {string} name */
function colourOf(place, name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  place.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
