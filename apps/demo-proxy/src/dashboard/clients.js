import { ClientForm } from "./client-form.js";
import { byId, element, setText } from "./dom.js";
import { formatCount, formatPart, formatPercent, formatUsage, labelOf, messageOf } from "./format.js";
import { ListView } from "./list-view.js";
import { replaceIfNew, tableOf } from "./table.js";

/** @typedef {import("./format.js").Dimension} Dimension */
/** @typedef {{ usage: Record<Dimension, number>, limits: Record<Dimension, number> }} WindowUse */
/** @typedef {import("../admin/api/settings/setting-report.ts").ClientSettingsReport} ClientSettings */
/** By name and window. @typedef {Readonly<Record<string, Readonly<Record<string, Readonly<Record<Dimension, number>> | undefined>>>>} Plans */
/** @typedef {{ name: string, plan: string | null, missingPlan: string | null, settings: ClientSettings, refused: number, withinLimits: boolean, usedPart: number | null, window: string | null, dimension: Dimension | null, windows: Record<string, WindowUse> }} Client */

const PAGE_SIZE = 10;
/** While somebody types. */
const PAUSE_MS = 200;

/** Who uses it: the clients of one page, those nearest to a limit first. The proxy searches and sorts. */
export class Clients {
  #view;
  #options;
  /** Those of the page that is shown. @type {readonly Client[]} */
  #clients = [];
  /** @type {Plans} */
  #plans = {};
  /** What is being changed, also of other pages. @type {Map<string, ClientForm>} */
  #forms = new Map();
  #place = element("div", { class: "client-forms" });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pause;

  /** @param {{ choose: () => void, changed: () => void }} options told when the page is to be loaded anew, and of each change */
  constructor(options) {
    const { choose } = options;
    this.#options = options;
    const changed = () => {
      clearTimeout(this.#pause);
      this.#pause = setTimeout(choose, PAUSE_MS);
    };
    this.#view = new ListView({ what: "clients", orders: { worst: "" }, pageSize: PAGE_SIZE, changed });
    byId("clients").before(this.#view.tools);
    byId("clients").after(this.#view.pager, this.#place);
    byId("clients").addEventListener("click", ({ target }) => {
      const name = /** @type {Element} */ (target).closest("[data-of]")?.getAttribute("data-of");
      const client = this.#clients.find((each) => each.name === name);
      if (client !== undefined) this.#open(client);
    });
  }

  /** @param {Client} client */
  #open(client) {
    const { name } = client;
    const { choose, changed } = this.#options;
    const saved = () => {
      choose();
      changed();
    };
    const closed = () => {
      this.#forms.get(name)?.node.remove();
      this.#forms.delete(name);
      const button = [...byId("clients").querySelectorAll("button")].find((each) => each.dataset.of === name);
      button?.focus();
    };
    const form = this.#forms.get(name) ?? new ClientForm(client, this.#plans, { saved, closed });
    this.#forms.set(name, form);
    if (!this.#place.contains(form.node)) this.#place.append(form.node);
    form.focus();
  }

  /** What is to be loaded. */
  path() {
    const { search, page } = this.#view.choice;
    return `api/clients?search=${encodeURIComponent(search)}&limit=${PAGE_SIZE}&offset=${page * PAGE_SIZE}`;
  }

  /** @param {{ total: number, matching: number, plans: Plans, clients: readonly Client[] }} body */
  load({ total, matching, plans, clients }) {
    this.#clients = clients;
    this.#plans = plans;
    for (const client of clients) this.#forms.get(client.name)?.show(client, plans);
    byId("clients-section").hidden = total === 0;
    this.#view.count(matching, total);
    setText(byId("clients-summary"), `${formatCount(total)} with keys of this proxy, those nearest to a limit first`);
    const head = [
      "Client",
      "Plan",
      numeric("Nearest limit"),
      numeric("Used of it"),
      "This month",
      numeric("Refused"),
      "Settings",
    ];
    replaceIfNew(byId("clients"), tableOf("Clients", head, clients.map(rowOf)));
  }

  /** @param {unknown} error why they could not be read */
  fail(error) {
    setText(byId("clients-summary"), `Cannot be read now. ${messageOf(error)}`);
  }
}

/** @param {Client} client @returns {import("./table.js").Cell[]} */
function rowOf({ name, plan, missingPlan, refused, withinLimits, usedPart, window, dimension, windows }) {
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
    missingPlan === null ? (plan ?? "") : { text: `${plan ?? "none"}, since ${missingPlan} is gone`, kind: "bad" },
    numeric(which),
    { text: part, kind },
    month || "nothing",
    { text: formatCount(refused), kind: refused > 0 ? "number bad" : "number" },
    { text: "Change", kind: "action", of: name },
  ];
}

/** @param {string} text @returns {import("./table.js").Cell} */
function numeric(text) {
  return { text, kind: "number" };
}
