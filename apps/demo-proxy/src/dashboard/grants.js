import { byId, element, setText } from "./dom.js";
import { formatInstant, formatNumber, formatPeriod, formatUsage, messageOf } from "./format.js";

/** @typedef {import("../admin/api/grants/grant-report.ts").GrantReport & { readonly backend: string }} BackendGrant */
/** @typedef {{ period: string, grants: readonly BackendGrant[] }} GrantList */

/** What was granted on top of limits for this period, and why; hidden while nothing was. */
export class Grants {
  /** @param {GrantList} list */
  load({ period, grants }) {
    byId("grants-section").hidden = grants.length === 0;
    setText(
      byId("grants-summary"),
      `${formatNumber(grants.length, "grant")} for ${formatPeriod(period)}, and for no other period`,
    );
    byId("grants").replaceChildren(...(grants.length === 0 ? [] : [draw(grants)]));
  }

  /** @param {unknown} error why they could not be read */
  fail(error) {
    setText(byId("grants-summary"), `Cannot be read now. ${messageOf(error)}`);
  }
}

/** @param {GrantList["grants"]} grants */
function draw(grants) {
  const titles = ["Backend", "Granted", "Reason", "By", "When", "Id"];
  const lines = grants.map(({ backend, amounts, reason, by, grantedAt, id }) => {
    const given = formatUsage(amounts);
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, backend),
      ...[given, reason, by ?? "", formatInstant(grantedAt), id].map((text, index) =>
        element("td", { class: index === 1 && "reason" }, text),
      ),
    );
  });
  const head = element("tr", {}, ...titles.map((title) => element("th", { scope: "col" }, title)));
  const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...lines));
  return element(
    "div",
    { class: "scroll panel", tabindex: 0, role: "region", "aria-label": "What was granted, and why" },
    table,
  );
}
