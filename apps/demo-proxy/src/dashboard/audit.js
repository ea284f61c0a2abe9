import { byId, element, setText } from "./dom.js";
import { formatCount, formatDuration, labelOf, messageOf } from "./format.js";

/** @typedef {import("../admin/api/audit/audit.ts").AuditReport} AuditReport */

/** @type {Readonly<Record<import("../admin/api/audit/audit.ts").AuditVerdict, string>>} */
const VERDICTS = {
  equal: "Equal",
  unstored: "Waits for the next flush",
  unheard: "Stored by another instance, not heard of here yet",
  missing: "The store holds less than it confirmed: was it restored from a backup, or rows deleted?",
};

/** More rows that differ tell nothing more. */
const ROWS = 30;

/** What was counted, shared and stored, where these differ. */
export class Audit {
  /** @type {AuditReport | undefined} */
  #report;
  #readAtMs = 0;

  /** @param {AuditReport} report */
  load(report) {
    this.#report = report;
    this.#readAtMs = performance.now();
    const different = report.rows.filter(
      ({ counted, shared, stored }) => stored !== counted || (shared ?? counted) !== counted,
    );
    byId("audit").replaceChildren(...(different.length === 0 ? [] : draw(different)));
    byId("audit").dataset.verdict = report.rows.some(({ verdict }) => verdict === "missing") ? "missing" : "fine";
    this.show();
  }

  /** @param {unknown} error why the store could not be read */
  fail(error) {
    this.#report = undefined;
    byId("audit").replaceChildren();
    setText(byId("audit-summary"), `Cannot be made now. ${messageOf(error)}`);
  }

  /** Says how things stand. */
  show() {
    if (this.#report === undefined) return;
    const { rows } = this.#report;
    const equal = rows.filter(({ verdict }) => verdict === "equal").length;
    const numbers = equal === rows.length ? `All ${rows.length} numbers are` : `${equal} of ${rows.length} numbers are`;
    const age = performance.now() - this.#readAtMs;
    const when = age < 2_000 ? "just now" : `${formatDuration(age)} ago`;
    setText(byId("audit-summary"), `${numbers} the same counted and stored, read ${when}`);
  }
}

/** What is wrong is first. @param {AuditReport["rows"]} rows */
function draw(rows) {
  const sorted = rows.toSorted((one, other) => Number(other.verdict === "missing") - Number(one.verdict === "missing"));
  const more = element("p", { class: "muted" }, `and ${formatCount(rows.length - ROWS)} more; api/audit has all`);
  return [drawTable(sorted.slice(0, ROWS)), ...(rows.length > ROWS ? [more] : [])];
}

/** @param {AuditReport["rows"]} rows */
function drawTable(rows) {
  const shared = rows.some((row) => row.shared !== null);
  const head = ["Backend", "Dimension", "Counted", ...(shared ? ["Shared"] : []), "Stored", "Difference", ""];
  const titles = head.map((title, index) =>
    title === ""
      ? element("th", { scope: "col" }, "Meaning")
      : element("th", { scope: "col", class: index > 1 && "number" }, title),
  );
  const lines = rows.map((row) => {
    const numbers = [row.counted, ...(shared ? [row.shared ?? row.counted] : []), row.stored, row.stored - row.counted];
    const line = element("tr", { "data-verdict": row.verdict });
    line.append(
      element("th", { scope: "row" }, row.backend),
      element("td", {}, labelOf(row.dimension)),
      ...numbers.map((number) => element("td", { class: "number" }, number.toLocaleString("en"))),
      element("td", { class: "verdict" }, VERDICTS[row.verdict]),
    );
    return line;
  });
  const table = element(
    "table",
    {},
    element("thead", {}, element("tr", {}, ...titles)),
    element("tbody", {}, ...lines),
  );
  const scroll = { class: "scroll panel", tabindex: 0, role: "region", "aria-label": "Numbers that differ" };
  return element("div", scroll, table);
}
