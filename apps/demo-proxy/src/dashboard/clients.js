import { byId, setText } from "./dom.js";
import { formatCount, formatPart, formatPercent, formatUsage, labelOf, messageOf } from "./format.js";
import { ListView } from "./list-view.js";
import { replaceIfNew, tableOf } from "./table.js";

/** @typedef {import("./format.js").Dimension} Dimension */
/** @typedef {{ usage: Record<Dimension, number>, limits: Record<Dimension, number> }} WindowUse */
/** @typedef {{ name: string, plan: string | null, refused: number, withinLimits: boolean, usedPart: number | null, window: string | null, dimension: Dimension | null, windows: Record<string, WindowUse> }} Client */

const PAGE_SIZE = 10;
/** While somebody types. */
const PAUSE_MS = 200;

/** Who uses it: the clients of one page, those nearest to a limit first. The proxy searches and sorts. */
export class Clients {
  #view;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pause;

  /** @param {{ choose: () => void }} options told when another page is to be loaded */
  constructor({ choose }) {
    const changed = () => {
      clearTimeout(this.#pause);
      this.#pause = setTimeout(choose, PAUSE_MS);
    };
    this.#view = new ListView({ what: "clients", orders: { worst: "" }, pageSize: PAGE_SIZE, changed });
    byId("clients").before(this.#view.tools);
    byId("clients").after(this.#view.pager);
  }

  /** What is to be loaded. */
  path() {
    const { search, page } = this.#view.choice;
    return `api/clients?search=${encodeURIComponent(search)}&limit=${PAGE_SIZE}&offset=${page * PAGE_SIZE}`;
  }

  /** @param {{ total: number, matching: number, clients: readonly Client[] }} body */
  load({ total, matching, clients }) {
    byId("clients-section").hidden = total === 0;
    this.#view.count(matching, total);
    setText(byId("clients-summary"), `${formatCount(total)} with keys of this proxy, those nearest to a limit first`);
    const head = ["Client", "Plan", numeric("Nearest limit"), numeric("Used of it"), "This month", numeric("Refused")];
    replaceIfNew(byId("clients"), tableOf("Clients", head, clients.map(rowOf)));
  }

  /** @param {unknown} error why they could not be read */
  fail(error) {
    setText(byId("clients-summary"), `Cannot be read now. ${messageOf(error)}`);
  }
}

/** @param {Client} client @returns {import("./table.js").Cell[]} */
function rowOf({ name, plan, refused, withinLimits, usedPart, window, dimension, windows }) {
  const month = formatUsage(windows.month?.usage ?? {});
  const use = window === null ? undefined : windows[window];
  const of =
    dimension === null || use === undefined
      ? ""
      : formatPart(dimension, use.usage[dimension] ?? 0, use.limits[dimension] ?? 0);
  const which = dimension === null ? "no limit" : `${labelOf(dimension).toLowerCase()} of the ${window}`;
  const part = usedPart === null ? "" : `${of}, ${formatPercent(usedPart)}`;
  const kind = withinLimits ? "number" : "number bad";
  return [
    name,
    plan ?? "",
    numeric(which),
    { text: part, kind },
    month || "nothing",
    { text: formatCount(refused), kind: refused > 0 ? "number bad" : "number" },
  ];
}

/** @param {string} text @returns {import("./table.js").Cell} */
function numeric(text) {
  return { text, kind: "number" };
}
