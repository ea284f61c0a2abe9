import { formatAmount, formatDuration, formatInstant, formatPercent, labelOf } from "./format.js";

// What the numbers of a backend mean. No part of it draws.

/** @typedef {import("../admin/api/live/live-report.ts").LiveReport} LiveReport */
/** @typedef {import("../admin/api/live/live-report.ts").LiveBackend} LiveBackend */
/** @typedef {import("./format.js").Dimension} Dimension */
/** @typedef {import("./format.js").Amounts} Amounts */
/** @typedef {"unreachable" | "exhausted" | "draining" | "active" | "ready"} State */

/** From this part of a limit on it is worth a look. */
export const NEAR = 0.8;

/** @param {LiveBackend} backend */
export function takesRequests({ draining, reachable, withinLimits }) {
  return !draining && reachable && withinLimits;
}

/**
 * The one thing that matters most about it.
 *
 * @param {LiveBackend} backend
 * @returns {{ state: State, text: string }}
 */
export function stateOf(backend) {
  const { draining, configured, reachable, withinLimits, inFlight, perSecond } = backend;
  if (draining && inFlight > 0) return { state: "draining", text: `Draining, ${inFlight} running` };
  if (draining) return { state: "draining", text: configured ? "Drained" : "Removed" };
  if (!withinLimits) {
    const full = usedUpOf(backend);
    const which = full.map((dimension) => labelOf(dimension).toLowerCase()).join(", ");
    const word = isClosed(backend, full) ? "Closed" : "Exhausted";
    return { state: "exhausted", text: which === "" ? word : `${word}: ${which}` };
  }
  if (!reachable) return { state: "unreachable", text: "Unreachable" };
  return perSecond.apiRequests > 0 ? { state: "active", text: "In use" } : { state: "ready", text: "Ready" };
}

/** What is in the way of a plain GET, which has no body: what it adds to and is used up, and all that is passed. @param {LiveBackend} backend */
export function usedUpOf({ usage, limits }) {
  const amounts = /** @type {Amounts} */ (usage);
  return dimensionsOf(usage).filter((dimension) => {
    const [used, limit] = [amounts[dimension] ?? 0, limitOf(limits, dimension)];
    return limit !== undefined && (dimension === "ingressBytes" ? used > limit : used >= limit);
  });
}

/**
 * Whether nothing may be used at all.
 *
 * @param {LiveBackend} backend
 * @param {readonly Dimension[]} full
 */
function isClosed({ limits }, full) {
  return full.length > 0 && full.every((dimension) => limitOf(limits, dimension) === 0);
}

/** @param {object} usage @returns {readonly Dimension[]} */
export function dimensionsOf(usage) {
  return Object.keys(usage);
}

/** @param {object} limits @param {Dimension} dimension @returns {number | undefined} */
export function limitOf(limits, dimension) {
  return /** @type {Partial<Record<Dimension, number>>} */ (limits)[dimension];
}

/**
 * How much of a limit an amount is: nothing where there is none, all of it where the limit is 0.
 *
 * @param {number} amount
 * @param {number | undefined} limit
 */
export function partOf(amount, limit) {
  if (limit === undefined) return 0;
  return limit === 0 ? 1 : amount / limit;
}

/** The largest part of any limit that is used. @param {LiveBackend} backend */
export function usedPartOf({ usage, limits }) {
  const amounts = /** @type {Amounts} */ (usage);
  return Math.max(0, ...dimensionsOf(usage).map((each) => partOf(amounts[each] ?? 0, limitOf(limits, each))));
}

/**
 * What runs out next: of a backend that takes requests, the limit that is reached soonest in this period.
 *
 * @param {LiveBackend} backend
 * @returns {{ dimension: Dimension, limitAtMs: number } | undefined}
 */
export function runsOutOf(backend) {
  if (!takesRequests(backend)) return undefined;
  const { usage, limits, outlook } = backend;
  const amounts = /** @type {Amounts} */ (usage);
  const ends = Object.entries(outlook).flatMap(([dimension, { limitAt }]) => {
    const limit = limitOf(limits, dimension);
    const isOpen = limit !== undefined && (amounts[dimension] ?? 0) < limit;
    return limitAt === null || !isOpen ? [] : [{ dimension, limitAtMs: Date.parse(limitAt) }];
  });
  return ends.sort((one, other) => one.limitAtMs - other.limitAtMs)[0];
}

/**
 * How much it needs somebody, 0 most: what is out of reach, what is used up, what fails, what will be used up; then by the part of
 * its limits that is used, in steps, so that the order stays as it is for long; what an operator took out is last.
 *
 * @param {LiveBackend} backend
 * @returns {number}
 */
export function urgencyOf(backend) {
  const { draining, reachable, withinLimits, trouble, broken } = backend;
  if (draining) return 20;
  if (!reachable) return 0;
  if (!withinLimits) return 1;
  if (trouble !== null) return 2;
  if (broken.lastMinute > 0) return 3;
  const part = usedPartOf(backend);
  if (part >= NEAR) return 4;
  if (runsOutOf(backend) !== undefined) return 5;
  return 16 - Math.floor(part * 10);
}

/**
 * Why it is not used, or why its last request failed, and what to do.
 *
 * @param {LiveBackend} backend
 * @param {number} nowMs
 */
export function troubleOf({ reachable, trouble, broken, brokenBy }, nowMs) {
  if (trouble !== null) {
    const { code, reason, since } = trouble;
    const age = formatDuration(Math.max(0, nowMs - Date.parse(since)));
    return `${reachable ? "The last request failed" : "Unreachable"}: ${sentence(reason)} ${code}, for ${age}`;
  }
  if (broken.lastMinute === 0 || brokenBy === null) return "";
  const answers = broken.lastMinute === 1 ? "an answer" : `${broken.lastMinute} answers`;
  return `Broke off ${answers} in the last minute: ${sentence(brokenBy.reason)} ${brokenBy.code}`;
}

/** @param {string} reason */
export function sentence(reason) {
  return /[.?!]$/.test(reason) ? reason : `${reason}.`;
}

/**
 * Where the use of one dimension leads, in words.
 *
 * @param {LiveBackend} backend
 * @param {Dimension} dimension
 * @param {{ nowMs: number, endMs: number }} time
 */
export function outlookWords(backend, dimension, { nowMs, endMs }) {
  const used = /** @type {Amounts} */ (backend.usage)[dimension] ?? 0;
  const limit = limitOf(backend.limits, dimension);
  const outlook = /** @type {Record<Dimension, LiveBackend["outlook"]["apiRequests"]>} */ (backend.outlook)[dimension];
  if (limit === 0) return "The limit is 0: nothing may be used.";
  if (limit !== undefined && used >= limit) return `Limit reached. It opens again ${formatInstant(endMs)}.`;
  const { atEnd = null, limitAt = null } = outlook ?? {};
  if (atEnd === null) return used === 0 ? "Not used in this period" : "Too little was seen to project it";
  if (atEnd === used) return "Not growing at present";
  const projected = `Projected ${formatAmount(dimension, atEnd)}`;
  if (limit === undefined) return projected;
  // What takes no requests is not on its way to a limit.
  if (limitAt === null || !takesRequests(backend)) {
    return `${projected}, ${formatPercent(atEnd / limit)} of the limit`;
  }
  return `${projected}; limit reached ${formatWhen(Date.parse(limitAt), nowMs)}`;
}

/** `in 3 h 20 min, 27 Nov 14:05 UTC`; of what is days away the instant alone. @param {number} atMs @param {number} nowMs */
export function formatWhen(atMs, nowMs) {
  const inMs = atMs - nowMs;
  return inMs < 86_400_000 ? `in ${formatDuration(inMs)}, ${formatInstant(atMs)}` : formatInstant(atMs);
}
