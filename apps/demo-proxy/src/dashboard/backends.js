import { takesRequests, urgencyOf, usedPartOf } from "./backend-state.js";
import { Card } from "./card.js";
import { byId, setText } from "./dom.js";
import { formatCount } from "./format.js";
import { ListView } from "./list-view.js";

/** @typedef {import("./backend-state.js").LiveReport} LiveReport */
/** @typedef {import("./backend-state.js").LiveBackend} LiveBackend */

const PAGE_SIZE = 10;

const ORDERS = {
  worst: "Worst first",
  used: "Most used first",
  busy: "Busiest first",
  preferred: "As they are preferred",
  name: "By name",
};

/** What comes first in an order; those of which it says the same are as they are preferred. @type {Record<string, (one: LiveBackend, other: LiveBackend) => number>} */
const COMPARE = {
  worst: (one, other) => urgencyOf(one) - urgencyOf(other),
  used: (one, other) => usedPartOf(other) - usedPartOf(one),
  busy: (one, other) => other.perSecond.apiRequests - one.perSecond.apiRequests,
  preferred: () => 0,
  name: (one, other) => (one.name < other.name ? -1 : 1),
};

/** The backends of one page, a card each. */
export class Backends {
  #actions;
  #view = new ListView({ what: "backends", orders: ORDERS, pageSize: PAGE_SIZE, changed: () => this.#chosen() });
  /** @type {Map<string, Card>} */
  #cards = new Map();
  /** Of other pages, in which something is typed. @type {Map<string, Card>} */
  #aside = new Map();
  /** @type {LiveReport | undefined} */
  #report;

  /** @param {import("./card.js").CardActions} actions */
  constructor(actions) {
    this.#actions = actions;
    byId("backends").before(this.#view.tools);
    byId("backends").after(this.#view.pager);
  }

  /** @param {LiveReport} report */
  show(report) {
    this.#report = report;
    const { backends } = report;
    const open = backends.filter(takesRequests).length;
    setText(byId("backends-summary"), `${formatCount(open)} of ${formatCount(backends.length)} take requests`);
    // While somebody is at a card, the others stay where they are.
    const isBusy = byId("backends").contains(document.activeElement) || this.#typed.length > 0;
    this.#draw(isBusy ? this.#inPlace(backends) : this.#page(backends));
  }

  get #typed() {
    return [...this.#cards].filter(([, card]) => card.isBeingChanged);
  }

  #chosen() {
    if (this.#report !== undefined) this.#draw(this.#page(this.#report.backends));
  }

  /** @param {readonly LiveBackend[]} backends */
  #inPlace(backends) {
    const byName = new Map(backends.map((backend) => [backend.name, backend]));
    const same = [...this.#cards.keys()].flatMap((name) => byName.get(name) ?? []);
    return same.length === this.#cards.size ? same : this.#page(backends);
  }

  /** @param {readonly LiveBackend[]} backends */
  #page(backends) {
    const { search, sort } = this.#view.choice;
    const matching =
      search === "" ? backends : backends.filter(({ name, url }) => `${name} ${url}`.toLowerCase().includes(search));
    return this.#view.pageOf(matching.toSorted(COMPARE[sort]), backends.length);
  }

  /** @param {readonly LiveBackend[]} page */
  #draw(page) {
    const report = /** @type {LiveReport} */ (this.#report);
    const time = { nowMs: Date.parse(report.at), endMs: Date.parse(report.period.end) };
    const list = byId("backends");
    const cards = new Map([...this.#aside, ...this.#cards]);
    const kept = new Map(page.map(({ name }) => [name, cards.get(name) ?? new Card(name, this.#actions)]));
    this.#aside = new Map([...cards].filter(([name, card]) => card.isBeingChanged && !kept.has(name)));
    for (const [name, card] of this.#cards) if (!kept.has(name)) card.node.remove();
    this.#cards = kept;
    for (const [index, backend] of page.entries()) {
      const card = /** @type {Card} */ (kept.get(backend.name));
      // Only what is out of place is moved, since that takes the focus from it.
      const there = list.children[index] ?? null;
      if (there !== card.node) list.insertBefore(card.node, there);
      card.show(backend, time);
    }
  }
}
