import { formatWhen, runsOutOf, sentence, takesRequests, usedUpOf } from "./backend-state.js";
import { byId, element, setAttribute, setText } from "./dom.js";
import { formatCount, formatDuration, formatInstant, formatNumber, labelOf } from "./format.js";

/** @typedef {import("./backend-state.js").LiveReport} LiveReport */
/** @typedef {import("./backend-state.js").LiveBackend} LiveBackend */
/** @typedef {{ value: string, text: string, lines: readonly string[], isBad: boolean }} Answer */

/** Lines of one answer; more of the kind are in the list of backends. */
const LINES = 3;

/** @type {Readonly<Record<string, string>>} */
const CAUSES = {
  limit: "no room within limits",
  client: "a client's own limit",
  held: "room only reserved",
  unready: "others' counts not known",
  unreachable: "no backend in reach",
  drained: "all drained",
  failed: "a backend broke off",
};

/**
 * What an operator wants to know first: is anybody refused, what runs out, and why is something out of reach. The state of the whole is
 * `bad` while nothing takes requests, and `watch` while somebody is refused or something is used up or out of reach.
 */
export class Verdict {
  #refused = cell("refused", "Refused in the last minute");
  #limits = cell("limits", "Limits");
  #reach = cell("reach", "Out of reach");

  constructor() {
    byId("answers").append(this.#refused.node, this.#limits.node, this.#reach.node);
  }

  /** @param {LiveReport} report */
  show(report) {
    const { state, headline, detail } = headlineOf(report);
    setAttribute(byId("verdict"), "data-state", state);
    setText(byId("verdict-headline"), headline);
    setText(byId("verdict-detail"), detail);
    this.#refused.show(refusedOf(report));
    this.#limits.show(limitsOf(report));
    this.#reach.show(reachOf(report));
  }
}

/**
 * The name of the tab, by which what is wrong is seen without looking.
 *
 * @param {LiveReport} report
 */
export function titleOf(report) {
  const { refusals, backends } = report;
  if (!backends.some(takesRequests)) return "Nothing takes requests · Usage";
  const refused = refusedNow(refusals);
  if (refused > 0) return `${formatCount(refused)} refused · Usage`;
  return "Usage";
}

/** Those of the last minute that were not to be: a client that has used up what it may is refused as it is meant to be. @param {LiveReport["refusals"]} refusals */
function refusedNow({ lastMinute, causes }) {
  return lastMinute - (causes.find(({ cause }) => cause === "client")?.lastMinute ?? 0);
}

/**
 * @param {LiveReport} report
 * @returns {{ state: "good" | "watch" | "bad", headline: string, detail: string }}
 */
function headlineOf({ backends, refusals, period }) {
  const open = backends.filter(takesRequests).length;
  const full = backends.filter((backend) => !backend.draining && !backend.withinLimits);
  const away = backends.filter(({ draining, withinLimits, reachable }) => !draining && withinLimits && !reachable);
  const drained = backends.filter(({ draining }) => draining).length;
  const parts = [
    full.length > 0 && `${full.length} used up`,
    away.length > 0 && `${away.length} out of reach`,
    drained > 0 && `${drained} drained`,
  ].filter(Boolean);
  if (open === 0) {
    const opens =
      full.length > 0 && `What is used up opens again ${formatInstant(period.end)}, or when it is granted more.`;
    const tried = away.length > 0 && "What is out of reach is tried again within seconds.";
    const why = backends.length === 0 ? "There is no backend." : `${sentence(parts.join(", "))}`;
    const detail = [why, tried, opens].filter(Boolean).join(" ");
    return { state: "bad", headline: "Nothing takes requests", detail };
  }
  const all = open === backends.length;
  const number =
    backends.length === 1
      ? "The backend"
      : all
        ? `All ${backends.length} backends`
        : `${open} of ${backends.length} backends`;
  const isWorth = refusedNow(refusals) > 0 || full.length > 0 || away.length > 0;
  const headline = `${number} ${open === 1 ? "takes" : "take"} requests`;
  return { state: isWorth ? "watch" : "good", headline, detail: all ? "" : sentence(parts.join(", ")) };
}

/** @param {LiveReport} report @returns {Answer} */
function refusedOf({ refusals, startedAt, period }) {
  const { lastMinute, thisPeriod, since, causes } = refusals;
  const of = (/** @type {"lastMinute" | "thisPeriod"} */ which) =>
    causes
      .filter((cause) => cause[which] > 0)
      .map((cause) => `${CAUSES[cause.cause] ?? cause.cause}: ${formatCount(cause[which])}`);
  const scope = startedAt > period.start ? `since ${formatInstant(since)}` : "this period";
  return {
    value: lastMinute === 0 ? "Nobody" : formatNumber(lastMinute, "request"),
    text: thisPeriod === 0 ? `None ${scope}` : `${formatNumber(thisPeriod, "request")} ${scope}`,
    lines: of(lastMinute > 0 ? "lastMinute" : "thisPeriod"),
    isBad: refusedNow(refusals) > 0,
  };
}

/** @param {LiveReport} report @returns {Answer} */
function limitsOf({ backends, period, at }) {
  const nowMs = Date.parse(at);
  const full = backends.filter((backend) => !backend.draining && !backend.withinLimits);
  const ends = backends
    .flatMap((backend) => {
      const end = runsOutOf(backend);
      return end === undefined ? [] : [{ name: backend.name, ...end }];
    })
    .sort((one, other) => one.limitAtMs - other.limitAtMs);
  const [next] = ends;
  const used = full.map(
    (backend) => `${backend.name}: ${usedUpOf(backend).map(labelOf).join(", ").toLowerCase()} used up`,
  );
  const lines = ends.map(
    ({ name, dimension, limitAtMs }) => `${name}: ${labelOf(dimension).toLowerCase()} ${formatWhen(limitAtMs, nowMs)}`,
  );
  const value =
    full.length > 0
      ? `${full.length} used up`
      : next === undefined
        ? "Enough"
        : `Next in ${formatDuration(next.limitAtMs - nowMs)}`;
  const text =
    full.length > 0
      ? `Until ${formatInstant(period.end)}`
      : next === undefined
        ? `At this pace, until ${formatInstant(period.end)}`
        : `${formatNumber(ends.length, "backend")} will be used up, at this pace`;
  return { value, text, lines: [...used, ...lines], isBad: full.length > 0 };
}

/** @param {LiveReport} report @returns {Answer} */
function reachOf({ backends, at }) {
  const nowMs = Date.parse(at);
  const away = backends.filter(({ draining, reachable }) => !draining && !reachable);
  const lines = away.map(({ name, trouble }) => {
    if (trouble === null) return name;
    return `${name}, for ${formatDuration(Math.max(0, nowMs - Date.parse(trouble.since)))}: ${sentence(trouble.reason)} ${trouble.code}`;
  });
  const failing = backends.filter(({ broken, draining }) => !draining && broken.lastMinute > 0);
  for (const { name, broken, brokenBy, reachable } of failing) {
    if (reachable)
      lines.push(
        `${name} broke off ${formatNumber(broken.lastMinute, "answer")}: ${sentence(brokenBy?.reason ?? "it does not say why")}`,
      );
  }
  const value =
    away.length > 0 ? formatNumber(away.length, "backend") : failing.length > 0 ? "None, but some fail" : "None";
  const text =
    away.length > 0
      ? "Tried again within seconds"
      : failing.length > 0
        ? "Answers broke off in the last minute"
        : "All that are in use answer";
  return { value, text, lines, isBad: away.length > 0 || failing.length > 0 };
}

/** @param {string} name @param {string} title */
function cell(name, title) {
  const value = element("p", { class: "answer-value" });
  const text = element("p", { class: "answer-text muted" });
  const list = element("ul", { class: "answer-lines" });
  const node = element("div", { class: "answer", role: "group", "aria-label": title, "data-answer": name });
  node.append(element("h2", { class: "tile-title" }, title), value, text, list);
  let shown = "";
  /** @param {Answer} answer */
  const show = (answer) => {
    setText(value, answer.value);
    setText(text, answer.text);
    setAttribute(node, "data-state", answer.isBad ? "bad" : "good");
    const lines = answer.lines.slice(0, LINES);
    if (answer.lines.length > LINES)
      lines.push(`and ${formatCount(answer.lines.length - LINES)} more, worst first below`);
    const texts = lines.join("\n");
    if (texts === shown) return;
    shown = texts;
    list.replaceChildren(...lines.map((line) => element("li", {}, line)));
  };
  return { node, show };
}
