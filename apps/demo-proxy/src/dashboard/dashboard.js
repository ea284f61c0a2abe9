import { Audit } from "./audit.js";
import { Backends } from "./backends.js";
import { request, savedToken, saveToken } from "./client.js";
import { byId, setAttribute, setText } from "./dom.js";
import { formatInstant } from "./format.js";
import { Grants } from "./grants.js";
import { History } from "./history.js";
import { Live } from "./live.js";
import { Status } from "./status.js";

/** @typedef {import("../admin/api/live-report.ts").LiveReport} LiveReport */

const HISTORY_MS = 60_000;
const GRANTS_MS = 60_000;
const AUDIT_MS = 5_000;

const status = new Status({ flush });
const backends = new Backends({ drain: askToDrain, resume: (name) => void act(name, "resume") });
const grants = new Grants();
const history = new History();
const audit = new Audit();
const live = new Live({ onReport: show, onConnection: tell });

/** @type {LiveReport | undefined} */
let shown;
/** When what is asked for now and then was asked for. */
const asked = {
  history: Number.NEGATIVE_INFINITY,
  grants: Number.NEGATIVE_INFINITY,
  audit: Number.NEGATIVE_INFINITY,
};
/** What each backend was granted when the grants were asked for. */
let credit = "";

live.connect();

/** @param {LiveReport} report */
function show(report) {
  const changed = shown?.period.key !== report.period.key || shown.startedAt !== report.startedAt;
  shown = report;
  byId("content").hidden = false;
  byId("token-form").hidden = true;
  setText(byId("place"), `${report.proxy.address}, ${report.proxy.routing} routing`);
  status.show(report);
  backends.show(report);
  history.show(report);
  audit.show();
  showEmpty(report);
  showConfig(report);
  if (changed || performance.now() - asked.history > HISTORY_MS) void loadHistory();
  const granted = JSON.stringify(report.backends.map(({ name, granted }) => [name, granted]));
  if (changed || granted !== credit || performance.now() - asked.grants > GRANTS_MS) void loadGrants(granted);
  if (changed || performance.now() - asked.audit > AUDIT_MS) void loadAudit();
}

/** @param {LiveReport} report */
function showEmpty({ backends, proxy }) {
  const used = backends.some(
    ({ usage, inFlight }) => inFlight > 0 || Object.values(usage).some((amount) => amount > 0),
  );
  byId("empty").hidden = used;
  if (!used) setText(byId("empty-command"), `curl -i http://${proxy.address}/`);
}

/** Tells when the file of the configuration is not what the proxy runs on. @param {LiveReport} report */
function showConfig({ config }) {
  const { error, needRestart } = config;
  const texts = [
    error !== null && `The changed configuration is refused, and the old one stays in force. ${error}`,
    needRestart.length > 0 && `Changed, but only taken over at the next start: ${needRestart.join(", ")}.`,
  ];
  setText(byId("config-notice"), texts.filter(Boolean).join(" "));
  byId("config-notice").hidden = !texts.some(Boolean);
}

async function loadHistory() {
  asked.history = performance.now();
  try {
    history.load((await request("api/history")).history);
    if (shown !== undefined) history.show(shown);
  } catch (error) {
    setText(byId("history-summary"), `Cannot be read now. ${error instanceof Error ? error.message : error}`);
  }
}

/** @param {string} granted */
async function loadGrants(granted) {
  asked.grants = performance.now();
  credit = granted;
  try {
    grants.load(await request("api/grants"));
  } catch (error) {
    grants.fail(error);
  }
}

async function loadAudit() {
  asked.audit = performance.now();
  try {
    audit.load(await request("api/audit"));
  } catch (error) {
    audit.fail(error);
  }
}

async function flush() {
  await request("api/flush", { method: "POST" });
  await loadAudit();
}

/** @param {string} name */
function askToDrain(name) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("drain-dialog"));
  setText(byId("drain-title"), `Drain ${name}?`);
  dialog.returnValue = "cancel";
  dialog.showModal();
  dialog.addEventListener("close", () => dialog.returnValue === "drain" && act(name, "drain"), { once: true });
}

/**
 * @param {string} name
 * @param {"drain" | "resume"} action
 */
async function act(name, action) {
  try {
    await request(`api/backends/${encodeURIComponent(name)}/${action}`, { method: "POST" });
  } catch (error) {
    notify(`${name} does not ${action}. ${error instanceof Error ? error.message : error}`);
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
    const since = shown === undefined ? "" : ` The numbers are those of ${formatInstant(shown.at)}.`;
    notify(`${connection.reason}${since} Trying again by itself; if this stays, see whether the process runs.`);
  }
  if (connection.kind === "token") askForToken();
}

function askForToken() {
  notify("");
  byId("content").hidden = true;
  byId("token-form").hidden = false;
  byId("token-error").hidden = savedToken() === "";
  byId("token").focus();
}

/** @param {string} text nothing hides it */
function notify(text) {
  setText(byId("notice"), text);
  byId("notice").hidden = text === "";
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = /** @type {HTMLInputElement} */ (byId("token"));
  // What cannot stand in a header is no token; the proxy takes letters, digits and signs.
  saveToken(input.value.trim().replace(/[^\x21-\x7e]/g, "?"));
  input.value = "";
  live.connect();
});
