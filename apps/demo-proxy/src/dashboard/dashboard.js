import { Audit } from "./audit.js";
import { Backends } from "./backends.js";
import { Changes } from "./changes.js";
import { change, request, savedToken, saveToken } from "./client.js";
import { Clients } from "./clients.js";
import { byId, setAttribute, setText } from "./dom.js";
import { formatInstant, messageOf } from "./format.js";
import { Grants } from "./grants.js";
import { Instances } from "./instances.js";
import { Live } from "./live.js";
import { Months } from "./months.js";
import { Polls } from "./polls.js";
import { sign, signature } from "./signature.js";
import { Status } from "./status.js";
import { Thresholds } from "./thresholds.js";
import { Timeline } from "./timeline.js";
import { titleOf, Verdict } from "./verdict.js";

/** @typedef {import("./backend-state.js").LiveReport} LiveReport */

const verdict = new Verdict();
const status = new Status({ flush });
const backends = new Backends({ drain: askToDrain, resume: (name) => void act(name, "resume") });
const grants = new Grants();
const months = new Months();
const timeline = new Timeline({ choose: () => void polls.ask(timelinePoll) });
const clients = new Clients({
  choose: () => void polls.ask(clientsPoll),
  changed: () => void polls.ask(changesPoll),
});
const thresholds = new Thresholds();
const changes = new Changes();
const instances = new Instances();
const audit = new Audit();
const live = new Live({ onReport: show, onConnection: tell });

const auditPoll = { path: () => "api/audit", everyMs: 5_000, ...handlersOf(audit) };
const grantsPoll = { path: () => "api/grants", everyMs: 60_000, ...handlersOf(grants) };
const changesPoll = { path: () => "api/changes?limit=1000", everyMs: 10_000, ...handlersOf(changes) };
/** @type {import("./polls.js").Poll} */
const timelinePoll = { path: () => timeline.path(), everyMs: 60_000, ...handlersOf(timeline) };
/** @type {import("./polls.js").Poll} */
const clientsPoll = { path: () => clients.path(), everyMs: 5_000, ...handlersOf(clients) };
const polls = new Polls([
  { path: () => "api/thresholds", everyMs: 10_000, ...handlersOf(thresholds) },
  {
    path: () => "api/webhooks",
    everyMs: 10_000,
    ...handlersOf({ load: thresholds.loadWebhooks.bind(thresholds), fail: thresholds.fail.bind(thresholds) }),
  },
  clientsPoll,
  timelinePoll,
  { path: () => "api/history", everyMs: 60_000, ...handlersOf(months) },
  grantsPoll,
  changesPoll,
  { path: () => "api/instances", everyMs: 10_000, ...handlersOf(instances) },
  auditPoll,
]);

/** @type {LiveReport | undefined} */
let shown;
/** What each backend was granted when the grants were asked for. */
let credit = "";
/** What of each backend was changed or granted when the changes were asked for. */
let altered = "";

live.connect();

/**
 * What is asked for is what the panel takes: the API's tests hold it to its schemas.
 *
 * @template T
 * @param {{ load: (body: T) => void, fail: (error: unknown) => void }} panel
 */
function handlersOf(panel) {
  return {
    load: (/** @type {unknown} */ body) => panel.load(/** @type {T} */ (body)),
    fail: panel.fail.bind(panel),
  };
}

/** Draws all that comes with an event. @param {LiveReport} report */
function show(report) {
  if (shown?.period.key !== report.period.key || shown.startedAt !== report.startedAt) polls.expire();
  shown = report;
  byId("content").hidden = false;
  byId("token-form").hidden = true;
  document.title = titleOf(report);
  setText(byId("place"), `${report.proxy.address}, ${report.proxy.routing} routing`);
  verdict.show(report);
  status.show(report);
  backends.show(report);
  timeline.show(report);
  months.show(report);
  audit.show();
  showEmpty(report);
  showConfig(report);
  polls.tick();
  const granted = JSON.stringify(report.backends.map(({ name, granted }) => [name, granted]));
  if (granted !== credit && credit !== "") void polls.ask(grantsPoll);
  credit = granted;
  const settings = JSON.stringify(report.backends.map(({ name, changed, granted }) => [name, changed, granted]));
  if (settings !== altered && altered !== "") void polls.ask(changesPoll);
  altered = settings;
}

/** @param {LiveReport} report */
function showEmpty({ backends, proxy, refusals }) {
  const used = backends.some(
    ({ usage, inFlight }) => inFlight > 0 || Object.values(usage).some((amount) => amount > 0),
  );
  const isNew = !used && refusals.thisPeriod === 0;
  byId("empty").hidden = !isNew;
  if (isNew) setText(byId("empty-command"), `curl -i http://${proxy.address}/`);
}

/** Tells when the file of the configuration is not what the proxy runs on. @param {LiveReport} report */
function showConfig({ config }) {
  const { error, needRestart, complaints } = config;
  const texts = [
    error !== null && `The changed configuration is refused, and the old one stays in force. ${error}`,
    needRestart.length > 0 && `Changed, but only taken over at the next start: ${needRestart.join(", ")}.`,
    ...complaints.map((complaint) => `Changed by API, and not in force: ${complaint}.`),
  ];
  setText(byId("config-notice"), texts.filter(Boolean).join(" "));
  byId("config-notice").hidden = !texts.some(Boolean);
}

async function flush() {
  await request("api/flush", { method: "POST" });
  await polls.ask(auditPoll);
}

/** @param {string} name */
function askToDrain(name) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("drain-dialog"));
  setText(byId("drain-title"), `Drain ${name}?`);
  const [by, reason] = ["drain-by", "drain-reason"].map((id) => /** @type {HTMLInputElement} */ (byId(id)));
  if (by === undefined || reason === undefined) return;
  by.value = signature();
  reason.value = "";
  dialog.returnValue = "cancel";
  dialog.showModal();
  const closed = () => {
    if (dialog.returnValue !== "drain") return;
    sign(by.value.trim());
    void act(name, "drain", reason.value.trim());
  };
  dialog.addEventListener("close", closed, { once: true });
}

/**
 * @param {string} name
 * @param {"drain" | "resume"} action
 * @param {string} [reason]
 */
async function act(name, action, reason = "") {
  const by = signature();
  const body = { ...(by !== "" && { by }), ...(reason !== "" && { reason }) };
  try {
    await change("POST", `api/backends/${encodeURIComponent(name)}/${action}`, body, {});
    // What was wrong with the one before is over.
    notify("");
  } catch (error) {
    notify(`${name} does not ${action}. ${messageOf(error)}`);
  }
}

/** @param {import("./live.js").Connection} connection */
function tell(connection) {
  const before = byId("connection").dataset.state;
  if (connection.kind === "live" && before === "live") return;
  const texts = { connecting: "Connecting", live: "Live", token: "Locked", away: "Not connected" };
  setText(byId("connection"), texts[connection.kind]);
  setAttribute(byId("connection"), "data-state", connection.kind);
  document.body.classList.toggle("stale", connection.kind !== "live");
  if (connection.kind === "live") notify("");
  if (connection.kind === "away") {
    document.title = "Not connected · Usage";
    const since = shown === undefined ? "" : ` The numbers are those of ${formatInstant(shown.at)}.`;
    notify(`${connection.reason}${since} Trying again by itself; if this stays, see whether the process runs.`);
  }
  if (connection.kind === "token") askForToken();
}

function askForToken() {
  notify("");
  document.title = "Usage";
  byId("content").hidden = true;
  byId("token-form").hidden = false;
  byId("token-error").hidden = savedToken() === "";
  byId("token").focus();
}

/** @param {string} text nothing hides it */
function notify(text) {
  setText(byId("notice-text"), text);
  byId("notice").hidden = text === "";
}

// Enter in a field would press the first button, which cancels.
for (const id of ["drain-by", "drain-reason"]) {
  byId(id).addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
}

byId("notice-close").addEventListener("click", () => notify(""));

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = /** @type {HTMLInputElement} */ (byId("token"));
  // What cannot stand in a header is no token; the proxy takes letters, digits and signs.
  saveToken(input.value.trim().replace(/[^\x21-\x7e]/g, "?"));
  input.value = "";
  live.connect();
});
