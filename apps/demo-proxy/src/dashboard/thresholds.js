import { byId, setText } from "./dom.js";
import { formatInstant, formatNumber, formatPart, formatPercent, labelOf, messageOf } from "./format.js";
import { ListView } from "./list-view.js";
import { replaceIfNew, tableOf } from "./table.js";

/** @typedef {import("../admin/api/thresholds.ts").ReachedThresholds | import("../admin/api/thresholds.ts").ReachedByClient} Reached */
/** @typedef {{ name: string, url: string, delivered: number, failed: number, failures: number, lastDelivery: string | null, trouble: { code: string, reason: string } | null }} Webhook */

/** The parts of limits that were reached in this period, and whether those who are to be told of them are. */
export class Thresholds {
  /** @type {readonly Reached[]} */
  #reached = [];
  #view = new ListView({ what: "thresholds", orders: { used: "" }, pageSize: 10, changed: () => this.#draw() });
  /** @type {{ thresholds: readonly number[], webhooks: readonly Webhook[] }} */
  #told = { thresholds: [], webhooks: [] };

  constructor() {
    byId("thresholds").before(this.#view.tools);
    byId("thresholds").after(this.#view.pager);
  }

  /** @param {{ reached: readonly Reached[] }} body */
  load({ reached }) {
    const part = (/** @type {Reached} */ { usage, limit }) => usage / limit;
    this.#reached = reached.toSorted((one, other) => part(other) - part(one));
    this.#draw();
  }

  /** @param {{ thresholds: readonly number[], webhooks: readonly Webhook[] }} body */
  loadWebhooks(body) {
    this.#told = body;
    this.#draw();
  }

  /** @param {unknown} error why they could not be read */
  fail(error) {
    setText(byId("thresholds-summary"), `Cannot be read now. ${messageOf(error)}`);
  }

  #draw() {
    const [reached, { thresholds, webhooks }] = [this.#reached, this.#told];
    byId("thresholds-section").hidden = reached.length === 0 && webhooks.length === 0;
    const at = thresholds.map(formatPercent).join(", ");
    const nobody = webhooks.length === 0 ? "; no webhook is told" : "";
    const number = reached.length === 0 ? "None reached" : `Reached of ${formatNumber(reached.length, "limit")}`;
    setText(byId("thresholds-summary"), `${number} in this period${at === "" ? "" : `, at ${at}`}${nobody}`);
    const { search } = this.#view.choice;
    const matching = reached.filter((one) => nameOf(one).toLowerCase().includes(search));
    const rows = this.#view.pageOf(matching, reached.length).map(rowOf);
    const head = ["Backend or client", "What", numeric("Used"), numeric("Part"), "Reached"];
    if (reached.length > 0) replaceIfNew(byId("thresholds"), tableOf("Thresholds that are reached", head, rows));
    else byId("thresholds").replaceChildren();
    const hooks = ["Webhook", "Address", numeric("Told"), "Last told", "Now"];
    if (webhooks.length > 0) replaceIfNew(byId("webhooks"), tableOf("Webhooks", hooks, webhooks.map(hookRow)));
    else byId("webhooks").replaceChildren();
  }
}

/** @param {Reached} one */
function rowOf(one) {
  const { dimension, limit, usage, reached } = one;
  const [used, part] = [formatPart(dimension, usage, limit), formatPercent(usage / limit)];
  const what = "window" in one ? `${labelOf(dimension)} of the ${one.window}` : labelOf(dimension);
  return [nameOf(one), what, numeric(used), numeric(part), reached.map(formatPercent).join(", ")];
}

/** @param {Reached} one */
function nameOf(one) {
  return "client" in one ? one.client : one.backend;
}

/** @param {Webhook} webhook @returns {import("./table.js").Cell[]} */
function hookRow({ name, url, delivered, failures, lastDelivery, trouble }) {
  const last = lastDelivery === null ? "Not in this run" : formatInstant(lastDelivery);
  const now =
    trouble === null
      ? "Fine"
      : `${formatNumber(failures, "attempt")} failed, and it is tried again: ${trouble.reason} (${trouble.code})`;
  return [name, url, numeric(String(delivered)), last, { text: now, kind: trouble === null ? "reason" : "bad" }];
}

/** @param {string} text @returns {import("./table.js").Cell} */
function numeric(text) {
  return { text, kind: "number" };
}
