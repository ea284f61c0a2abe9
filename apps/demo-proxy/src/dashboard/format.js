// Numbers, times and names for people. Everything is in UTC, as periods are.

/** @typedef {string} Dimension What is counted, as the API calls it. */
/** @typedef {Readonly<Record<Dimension, number>>} Amounts */

/** @type {Readonly<Record<Dimension, string>>} */
const LABELS = { apiRequests: "Requests", egressBytes: "Egress", ingressBytes: "Ingress" };

/** A dimension for people: `Egress`, and of those that the configuration adds `Class A` for `classA`. @param {Dimension} dimension */
export function labelOf(dimension) {
  const words = dimension.replace(/Bytes$/, "").replace(/([a-z0-9])([A-Z])/g, "$1 $2");
  return LABELS[dimension] ?? words.charAt(0).toUpperCase() + words.slice(1);
}

/** Whether amounts are bytes, and not a number of something. @param {Dimension} dimension */
export function isBytes(dimension) {
  return dimension.endsWith("Bytes");
}

const COUNT_UNITS = ["", "k", "M", "G", "T", "P"];
const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/**
 * An amount: `9,876 requests` are told one by one, more as `12.3k`; bytes as `4.2 GiB`.
 *
 * @param {Dimension} dimension
 * @param {number} amount
 */
export function formatAmount(dimension, amount) {
  return !isBytes(dimension) ? formatCount(amount) : join(...scaled(amount, 1024, BYTE_UNITS));
}

/**
 * Exactly that amount, as it can be typed, too: `40,000,000`, `512 GiB`.
 *
 * @param {Dimension} dimension
 * @param {number} amount
 */
export function formatExact(dimension, amount) {
  if (!isBytes(dimension)) return amount.toLocaleString("en");
  let [whole, unit] = [amount, 0];
  while (whole > 0 && whole % 1024 === 0 && unit < BYTE_UNITS.length - 1) [whole, unit] = [whole / 1024, unit + 1];
  return join(String(whole), BYTE_UNITS[unit] ?? "");
}

/** @param {number} count */
export function formatCount(count) {
  if (count < 10_000) return Math.round(count).toLocaleString("en");
  const [number, unit] = scaled(count, 1000, COUNT_UNITS);
  return number + unit;
}

/**
 * What is used of a limit, the unit once where both have the same: `4.2 of 10 GiB`.
 *
 * @param {Dimension} dimension
 * @param {number} used
 * @param {number} limit
 */
export function formatPart(dimension, used, limit) {
  if (!isBytes(dimension)) return `${formatCount(used)} of ${formatCount(limit)}`;
  const [[number, unit], [whole, of]] = [scaled(used, 1024, BYTE_UNITS), scaled(limit, 1024, BYTE_UNITS)];
  return `${unit === of || used === 0 ? number : join(number, unit)} of ${join(whole, of)}`;
}

/**
 * @param {Dimension} dimension
 * @param {number} perSecond
 */
export function formatRate(dimension, perSecond) {
  if (isBytes(dimension)) return `${formatAmount(dimension, Math.round(perSecond))}/s`;
  return `${perSecond > 0 && perSecond < 10 ? Math.max(0.1, perSecond).toFixed(1) : formatCount(perSecond)}/s`;
}

/**
 * The part of a limit that is used. 100 % only when the limit is reached.
 *
 * @param {number} part
 */
export function formatPercent(part) {
  if (part > 0 && part < 0.01) return "< 1 %";
  return `${Math.floor(part * 100).toLocaleString("en")} %`;
}

/**
 * @param {number} amount
 * @param {number} base
 * @param {readonly string[]} units
 * @returns {[string, string]}
 */
function scaled(amount, base, units) {
  let [value, power] = [amount, 0];
  // What would be shown with four digits has the next unit, bytes too: 1 MiB, not 1023 KiB.
  while (value >= 999.5 && power < units.length - 1) {
    value /= base;
    power += 1;
  }
  const digits = power === 0 || value >= 99.95 ? 0 : 1;
  return [value.toFixed(digits).replace(/\.0$/, ""), units[power] ?? ""];
}

/**
 * @param {string} number
 * @param {string} unit
 */
function join(number, unit) {
  return `${number} ${unit}`;
}

/**
 * A span of time by its two largest units, on one line: `6 d 4 h`, `3 min 20 s`.
 *
 * @param {number} ms
 */
export function formatDuration(ms) {
  return spanOf(ms).replaceAll(" ", "\u00a0");
}

/** @param {number} ms */
function spanOf(ms) {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = Math.floor(ms / 1_000);
  const [d, h, m, s] = [seconds / 86_400, (seconds / 3_600) % 24, (seconds / 60) % 60, seconds % 60].map(Math.floor);
  if (d) return d < 10 && h ? `${d} d ${h} h` : `${d} d`;
  if (h) return m ? `${h} h ${m} min` : `${h} h`;
  if (m) return m < 10 && s ? `${m} min ${s} s` : `${m} min`;
  return `${s} s`;
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
const MONTH = new Intl.DateTimeFormat("en-GB", { month: "long", year: "numeric", timeZone: "UTC" });
const SHORT_MONTH = new Intl.DateTimeFormat("en-GB", { month: "short", year: "2-digit", timeZone: "UTC" });

/** `27 Nov 14:05 UTC`, on one line. @param {string | number} instant */
export function formatInstant(instant) {
  const date = new Date(instant);
  return `${DAY.format(date)} ${TIME.format(date)} UTC`.replaceAll(" ", "\u00a0");
}

/** `27 Nov`, of a day in UTC. @param {string | number} instant */
export function formatDay(instant) {
  return DAY.format(new Date(instant)).replaceAll(" ", "\u00a0");
}

/** `14:05`, in UTC. @param {string | number} instant */
export function formatTime(instant) {
  return TIME.format(new Date(instant));
}

/**
 * A period for a heading, `November 2026`, or for an axis, `Nov 26`. Periods that are not months are called by their key.
 *
 * @param {string} key
 * @param {"long" | "short"} [length]
 */
export function formatPeriod(key, length = "long") {
  if (!/^\d{4}-\d{2}$/.test(key)) return key;
  return (length === "long" ? MONTH : SHORT_MONTH).format(new Date(`${key}-01T00:00:00Z`));
}

/**
 * The parts of a usage that are not zero: `12 requests, 4.2 MiB out`; empty when all are.
 *
 * @param {Amounts} usage
 */
export function formatUsage(usage) {
  return Object.entries(usage)
    .filter(([, amount]) => amount > 0)
    .map(([dimension, amount]) => {
      const word = WORDS[dimension] ?? labelOf(dimension).toLowerCase();
      const noun = dimension === "apiRequests" && amount === 1 ? "request" : word;
      return `${formatAmount(dimension, amount)} ${noun}`;
    })
    .join(", ");
}

/** @type {Readonly<Record<Dimension, string>>} */
const WORDS = { apiRequests: "requests", egressBytes: "out", ingressBytes: "in" };

/**
 * A number of things: `1 backend`, `12 backends`.
 *
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export function formatNumber(count, one, many = `${one}s`) {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** The sum of some usages, by dimension. @param {Iterable<Amounts>} usages @returns {Record<Dimension, number>} */
export function sumOf(usages) {
  /** @type {Record<Dimension, number>} */
  const total = {};
  for (const usage of usages) {
    for (const [dimension, amount] of Object.entries(usage)) total[dimension] = (total[dimension] ?? 0) + amount;
  }
  return total;
}

/** Why something failed, in words. @param {unknown} error */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
