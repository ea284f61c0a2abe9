import { element, setAttribute, setText } from "./dom.js";
import { formatCount } from "./format.js";

/** Fewer than that are seen at a glance: nothing to search or sort. */
const FEW = 6;

/**
 * @typedef {object} Choice
 * @property {string} search what was typed, in lower case; empty for all
 * @property {string} sort the key of the chosen order
 * @property {number} page from 0
 */

/** The search, the order and the pages of a long list. What it shows is drawn by who has it. */
export class ListView {
  #search;
  #sort;
  #tools;
  #pager;
  #place = element("span", { class: "muted", role: "status" });
  #back = element("button", { type: "button", class: "small" }, "Previous");
  #next = element("button", { type: "button", class: "small" }, "Next");
  #pageSize;
  #changed;
  #page = 0;
  #matching = 0;

  /**
   * @param {{ what: string, orders: Readonly<Record<string, string>>, pageSize: number, changed: () => void }} options `what` is in the
   * list, in the plural; `orders` are labels by key, the first is in force at first
   */
  constructor({ what, orders, pageSize, changed }) {
    this.#pageSize = pageSize;
    this.#changed = changed;
    const label = `Search ${what}`;
    this.#search = /** @type {HTMLInputElement} */ (
      element("input", {
        type: "search",
        placeholder: label,
        "aria-label": label,
        autocomplete: "off",
        spellcheck: "false",
      })
    );
    const options = Object.entries(orders).map(([key, text]) => element("option", { value: key }, text));
    this.#sort = /** @type {HTMLSelectElement} */ (element("select", { "aria-label": `Order of ${what}` }, ...options));
    this.#tools = element("div", { class: "list-tools", hidden: true }, this.#search);
    if (options.length > 1) this.#tools.append(this.#sort);
    setAttribute(this.#back, "aria-label", `Previous page of ${what}`);
    setAttribute(this.#next, "aria-label", `Next page of ${what}`);
    this.#pager = element(
      "nav",
      { class: "pager", "aria-label": `Pages of ${what}`, hidden: true },
      this.#back,
      this.#place,
      this.#next,
    );
    this.#search.addEventListener("input", () => this.#turnTo(0));
    this.#sort.addEventListener("change", () => this.#turnTo(0));
    this.#back.addEventListener("click", () => this.#turnTo(this.#page - 1));
    this.#next.addEventListener("click", () => this.#turnTo(this.#page + 1));
  }

  /** To be put above the list. */
  get tools() {
    return this.#tools;
  }

  /** To be put below it. */
  get pager() {
    return this.#pager;
  }

  /** @returns {Choice} */
  get choice() {
    return { search: this.#search.value.trim().toLowerCase(), sort: this.#sort.value, page: this.#page };
  }

  /** The page of these that is chosen. @template T @param {readonly T[]} matching @param {number} total @returns {readonly T[]} */
  pageOf(matching, total) {
    this.count(matching.length, total);
    return matching.slice(this.#page * this.#pageSize, (this.#page + 1) * this.#pageSize);
  }

  /** Tells how many there are; the page is the last one where there are fewer than before. @param {number} matching @param {number} total */
  count(matching, total) {
    this.#matching = matching;
    this.#page = Math.min(this.#page, this.#lastPage);
    this.#tools.hidden = total < FEW && this.#search.value === "";
    this.#pager.hidden = matching <= this.#pageSize && matching === total;
    const from = this.#page * this.#pageSize;
    const to = Math.min(matching, from + this.#pageSize);
    const of = matching === total ? formatCount(total) : `${formatCount(matching)} that match`;
    setText(this.#place, matching === 0 ? "None match" : `${formatCount(from + 1)}–${formatCount(to)} of ${of}`);
    setAttribute(this.#back, "aria-disabled", this.#page === 0 ? "true" : undefined);
    setAttribute(this.#next, "aria-disabled", this.#page === this.#lastPage ? "true" : undefined);
  }

  get #lastPage() {
    return Math.max(0, Math.ceil(this.#matching / this.#pageSize) - 1);
  }

  /** @param {number} page */
  #turnTo(page) {
    this.#page = Math.max(0, Math.min(page, this.#lastPage));
    this.#changed();
  }
}
