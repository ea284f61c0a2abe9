import { element } from "./dom.js";

/**
 * A cell: text, or text that is a number, a sentence or bad; or a button about `of`.
 *
 * @typedef {string | { text: string, kind: "number" | "reason" | "bad" | "number bad" } | { text: string, kind: "action", of: string }} Cell
 */

/**
 * A table that scrolls by itself where it is too wide, by keyboard as well. The first cell of a row names it.
 *
 * @param {string} label
 * @param {readonly Cell[]} head
 * @param {readonly (readonly Cell[])[]} rows
 */
export function tableOf(label, head, rows) {
  const titles = head.map((cell) => element("th", { scope: "col", class: kindOf(cell) }, textOf(cell)));
  const lines = rows.map(([first = "", ...rest]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row", class: kindOf(first) }, textOf(first)),
      ...rest.map((cell) => element("td", { class: kindOf(cell) }, contentOf(cell))),
    ),
  );
  const table = element(
    "table",
    {},
    element("thead", {}, element("tr", {}, ...titles)),
    element("tbody", {}, ...lines),
  );
  return element("div", { class: "scroll panel", tabindex: 0, role: "region", "aria-label": label }, table);
}

/** Draws what is new only, so that a selection, the focus and the place that was scrolled to stay. @param {Element} place @param {HTMLElement} drawn */
export function replaceIfNew(place, drawn) {
  if (place.childElementCount === 1 && place.firstElementChild?.isEqualNode(drawn)) return;
  const [old, had] = [place.firstElementChild, place.contains(document.activeElement)];
  const left = old?.scrollLeft ?? 0;
  place.replaceChildren(drawn);
  drawn.scrollLeft = left;
  if (had) drawn.focus();
}

/** @param {Cell} cell */
function contentOf(cell) {
  if (typeof cell === "string" || cell.kind !== "action") return textOf(cell);
  const { text, of } = cell;
  return element("button", { type: "button", class: "small", "aria-label": `${text} ${of}`, "data-of": of }, text);
}

/** @param {Cell} cell */
function textOf(cell) {
  return typeof cell === "string" ? cell : cell.text;
}

/** @param {Cell} cell */
function kindOf(cell) {
  return typeof cell === "string" ? undefined : cell.kind;
}
