import { byId, setText } from "./dom.js";
import { formatDuration, formatInstant, formatNumber, formatUsage, messageOf } from "./format.js";
import { replaceIfNew, tableOf } from "./table.js";

/** @typedef {import("../admin/api/instances.ts").InstanceState} InstanceState */
/** @typedef {import("../admin/api/instances.ts").InstanceReport} Instance */
/** @typedef {import("../admin/api/instances.ts").InstancesReport} InstancesReport */

/** @type {Readonly<Record<InstanceState, string>>} */
const STATES = { live: "Running", silent: "Not heard of", stopped: "Stopped", unknown: "Never said who it is" };
/** Those that ended long ago tell little. */
const ROWS = 20;

/** Which instances count, what each has stored of this period, and when it was last heard of. */
export class Instances {
  /** @param {InstancesReport} body */
  load({ at, instances, others }) {
    byId("instances-section").hidden = false;
    const nowMs = Date.parse(at);
    const of = (/** @type {InstanceState} */ state) => instances.filter((instance) => instance.state === state).length;
    const silent = of("silent");
    const parts = [`${formatNumber(of("live"), "instance")} running`, silent > 0 && `${silent} not heard of any more`];
    setText(byId("instances-summary"), parts.filter(Boolean).join(", "));
    const rows = instances.slice(0, ROWS).map((instance) => rowOf(instance, nowMs));
    const rest = formatUsage(others);
    if (rest !== "") rows.push(["Others, such as imports", "", "", "", rest]);
    if (instances.length > ROWS)
      rows.push([`and ${instances.length - ROWS} more`, "", "", "", "api/instances has all"]);
    const head = ["Instance", "State", "Began", "Last heard", "Stored of this period"];
    replaceIfNew(byId("instances"), tableOf("Instances", head, rows));
  }

  /** @param {unknown} error why they could not be read */
  fail(error) {
    setText(byId("instances-summary"), `Cannot be read now. ${messageOf(error)}`);
  }
}

/**
 * @param {Instance} instance
 * @param {number} nowMs
 * @returns {import("./table.js").Cell[]}
 */
function rowOf({ id, self, state, startedAt, seenAt, stoppedAt, host, pid, address, usage }, nowMs) {
  const place = [address, host !== null && pid !== null && `${host}, process ${pid}`].filter(Boolean).join(" on ");
  const name = `${place || id}${self ? " (this one)" : ""}`;
  const heard = seenAt === null ? "" : `${formatDuration(Math.max(0, nowMs - Date.parse(seenAt)))} ago`;
  const ended = stoppedAt === null ? heard : `Ended ${formatInstant(stoppedAt)}`;
  const shown =
    state === "silent" ? /** @type {const} */ ({ text: STATES[state], kind: "bad" }) : (STATES[state] ?? state);
  return [name, shown, formatInstant(startedAt), ended, formatUsage(usage) || "nothing"];
}
