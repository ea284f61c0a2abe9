import { byId, setText } from "./dom.js";
import { formatExact, formatInstant, formatNumber, labelOf, messageOf } from "./format.js";
import { ListView } from "./list-view.js";
import { replaceIfNew, tableOf } from "./table.js";

/** @typedef {{ backend?: string, client?: string, plan?: string, setting: string, before: unknown, after: unknown, from: "file" | "api", by: string | null, reason: string | null, at: string }} Change */

/** Who changed what by API: limits, thresholds, drains, plans and grants, the latest first. */
export class Changes {
  /** @type {readonly Change[]} */
  #changes = [];
  #view = new ListView({ what: "changes", orders: { latest: "" }, pageSize: 10, changed: () => this.#draw() });

  constructor() {
    byId("changes").before(this.#view.tools);
    byId("changes").after(this.#view.pager);
  }

  /** @param {{ total: number, changes: readonly Change[], unused: readonly string[], unusedClients: readonly string[], unusedPlans: readonly string[] }} body */
  load({ total, changes, unused, unusedClients, unusedPlans }) {
    this.#changes = changes;
    byId("changes-section").hidden = changes.length === 0;
    const clients = unusedClients.map((client) => whoseOf({ client }));
    const all = [...unused, ...clients, ...unusedPlans.map((plan) => whoseOf({ plan }))];
    const gone = all.length === 0 ? "" : `; not in the file any more, so without effect: ${all.join(", ")}`;
    const latest = total > changes.length ? `, the latest ${changes.length} of them` : "";
    setText(byId("changes-summary"), `${formatNumber(total, "change")} by API${latest}${gone}`);
    this.#draw();
  }

  /** @param {unknown} error why they could not be read */
  fail(error) {
    setText(byId("changes-summary"), `Cannot be read now. ${messageOf(error)}`);
  }

  #draw() {
    const { search } = this.#view.choice;
    const matching = this.#changes.filter((change) => {
      return `${whoseOf(change)} ${change.by ?? ""}`.toLowerCase().includes(search);
    });
    const rows = this.#view.pageOf(matching, this.#changes.length).map(rowOf);
    const titles = ["Whose", "What", "Before", "After", "By", "Reason", "When"];
    replaceIfNew(byId("changes"), tableOf("Who changed what", titles, rows));
  }
}

/** @param {Pick<Change, "backend" | "client" | "plan">} change */
function whoseOf({ backend, client, plan }) {
  return backend ?? (client === undefined ? `plan ${plan}` : `client ${client}`);
}

/** @param {Change} change @returns {import("./table.js").Cell[]} */
function rowOf(change) {
  const { setting, before, after, from, by, reason, at } = change;
  const what = setting === "drained" ? "drain" : setting;
  const words = [wordsOf(setting, before, "api"), wordsOf(setting, after, from)].map((text) => ({
    text,
    kind: /** @type {const} */ ("reason"),
  }));
  return [whoseOf(change), what, ...words, by ?? "", { text: reason ?? "", kind: "reason" }, formatInstant(at)];
}

/** @param {string} setting @param {unknown} value @param {"file" | "api"} from */
function wordsOf(setting, value, from) {
  if (setting === "drained") return value === true ? "drained" : "takes requests";
  if (setting === "grant") return value === null ? "" : amountsOf(Object(value).amounts);
  if (from === "file") return "as in the file";
  if (setting === "plan") return value === null ? "no plan" : String(value);
  if (Array.isArray(value)) return value.map((part) => `${part * 100} %`).join(", ") || "none";
  return limitsOf(Object(value)) || "no limit";
}

/** By dimension, or by window. @param {Readonly<Record<string, number | Readonly<Record<string, number>>>>} limits */
function limitsOf(limits) {
  const texts = Object.entries(limits).map(([each, limit]) => {
    if (typeof limit === "number") return amountsOf({ [each]: limit });
    const amounts = amountsOf(limit);
    return amounts === "" ? "" : `${amounts} each ${each}`;
  });
  return texts.filter(Boolean).join(", ");
}

/** @param {Readonly<Record<string, number>>} amounts */
function amountsOf(amounts) {
  const texts = Object.entries(amounts).map(([each, amount]) => `${labelOf(each)} ${formatExact(each, amount)}`);
  return texts.join(", ");
}
