import { byId, setText } from "./dom.js";
import { formatExact, formatInstant, formatNumber, labelOf, messageOf } from "./format.js";
import { ListView } from "./list-view.js";
import { replaceIfNew, tableOf } from "./table.js";

/** @typedef {{ backend: string, setting: string, before: unknown, after: unknown, by: string | null, reason: string | null, at: string }} Change */

/** Who changed what by API: limits, thresholds, drains and grants, the latest first. */
export class Changes {
  /** @type {readonly Change[]} */
  #changes = [];
  #view = new ListView({ what: "changes", orders: { latest: "" }, pageSize: 10, changed: () => this.#draw() });

  constructor() {
    byId("changes").before(this.#view.tools);
    byId("changes").after(this.#view.pager);
  }

  /** @param {{ changes: readonly Change[], unused: readonly string[] }} body */
  load({ changes, unused }) {
    this.#changes = changes;
    byId("changes-section").hidden = changes.length === 0;
    const gone = unused.length === 0 ? "" : `; not in the file any more, so without effect: ${unused.join(", ")}`;
    setText(byId("changes-summary"), `${formatNumber(changes.length, "change")} by API${gone}`);
    this.#draw();
  }

  /** @param {unknown} error why they could not be read */
  fail(error) {
    setText(byId("changes-summary"), `Cannot be read now. ${messageOf(error)}`);
  }

  #draw() {
    const { search } = this.#view.choice;
    const matching = this.#changes.filter(({ backend, by }) => `${backend} ${by ?? ""}`.toLowerCase().includes(search));
    const rows = this.#view.pageOf(matching, this.#changes.length).map(rowOf);
    const titles = ["Backend", "What", "Before", "After", "By", "Reason", "When"];
    replaceIfNew(byId("changes"), tableOf("Who changed what", titles, rows));
  }
}

/** @param {Change} change @returns {import("./table.js").Cell[]} */
function rowOf({ backend, setting, before, after, by, reason, at }) {
  const what = setting === "drained" ? "drain" : setting;
  const words = [before, after].map((value) => ({
    text: wordsOf(setting, value),
    kind: /** @type {const} */ ("reason"),
  }));
  return [backend, what, ...words, by ?? "", { text: reason ?? "", kind: "reason" }, formatInstant(at)];
}

/** @param {string} setting @param {unknown} value */
function wordsOf(setting, value) {
  if (setting === "drained") return value === true ? "drained" : "takes requests";
  if (setting === "grant") return value === null ? "" : amountsOf(Object(value).amounts);
  if (value === null) return "as in the file";
  if (Array.isArray(value)) return value.map((part) => `${part * 100} %`).join(", ") || "none";
  return amountsOf(Object(value)) || "no limit";
}

/** @param {Readonly<Record<string, number>>} amounts */
function amountsOf(amounts) {
  const texts = Object.entries(amounts).map(([each, amount]) => `${labelOf(each)} ${formatExact(each, amount)}`);
  return texts.join(", ");
}
