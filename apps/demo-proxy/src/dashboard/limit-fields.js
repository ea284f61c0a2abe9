import { limitOf } from "./backend-state.js";
import { element, setAttribute, setText } from "./dom.js";
import { formatExact, isBytes, labelOf } from "./format.js";
import { labelled } from "./setting-form.js";

/** @typedef {import("./format.js").Dimension} Dimension */
/** @typedef {{ dimension: Dimension, input: HTMLInputElement, now: HTMLElement, error: HTMLElement }} Field */

let lists = 0;

/** The limits of a list of dimensions, one field each. */
export class LimitFields {
  /** @type {Map<Dimension, Field>} */
  #fields = new Map();
  #path;
  #empty;
  node = element("div", { class: "limit-fields" });

  /**
   * @param {{ path: string, empty?: (dimension: Dimension) => string }} options where these limits are in the body of a change; what an
   * empty field means
   */
  constructor({ path, empty = () => "no limit" }) {
    this.#path = path;
    this.#empty = empty;
  }

  /** @param {readonly Dimension[]} dimensions @param {unknown} limits those in force */
  open(dimensions, limits) {
    lists += 1;
    const id = `limits-${lists}`;
    this.#fields = new Map(
      dimensions.map((dimension) => [dimension, fieldOf(`${id}-${dimension}`, dimension, limits)]),
    );
    const nodes = Array.from(this.#fields, ([dimension, { input, now, error }]) => {
      const node = labelled(input.id, labelOf(dimension), input, now, error);
      setAttribute(node, "data-limit", dimension);
      return node;
    });
    this.node.replaceChildren(...nodes);
  }

  /** @param {unknown} limits */
  showInForce(limits) {
    for (const [dimension, { input, now }] of this.#fields) {
      const limit = limitOf(Object(limits), dimension);
      const empty = this.#empty(dimension);
      setText(now, limit === undefined ? `Now ${empty}.` : `Now ${formatExact(dimension, limit)}. Empty: ${empty}.`);
      setAttribute(input, "placeholder", `${empty.slice(0, 1).toUpperCase()}${empty.slice(1)}`);
    }
  }

  /** What is typed, for the API; undefined where one of them is no limit, which is said there. */
  read() {
    /** @type {Record<Dimension, number | string>} */
    const limits = {};
    for (const [dimension, { input }] of this.#fields) {
      const text = input.value.trim();
      if (text === "") continue;
      const isNumber = /^(\d+|\d{1,3}([, _]\d{3})+)$/.test(text);
      // "5.000" is five to some and five thousand to others.
      if (!isNumber && !isBytes(dimension)) {
        this.tell(`${this.#path}.${dimension}: A whole number, such as 5000`);
        return undefined;
      }
      limits[dimension] = isNumber ? Number(text.replace(/\D/g, "")) : text;
    }
    return limits;
  }

  /** Says what is wrong where it stands; returns whether there is anything of these limits. @param {string} detail */
  tell(detail) {
    /** @type {HTMLInputElement[]} */
    const wrong = [];
    for (const [dimension, { input, error }] of this.#fields) {
      const [, own] = detail.split(`${this.#path}.${dimension}: `);
      setText(error, own?.split(/; limits\./)[0] ?? "");
      setAttribute(input, "aria-invalid", own === undefined ? undefined : "true");
      if (own !== undefined) wrong.push(input);
    }
    wrong[0]?.focus();
    return wrong.length > 0;
  }

  /** Whether somebody has typed or found a limit here. */
  get areAny() {
    return Array.from(this.#fields.values()).some(({ input }) => input.value !== "");
  }

  focus() {
    this.#fields.values().next().value?.input.focus();
  }
}

/** @param {string} id @param {Dimension} dimension @param {unknown} limits @returns {Field} */
function fieldOf(id, dimension, limits) {
  const [now, error] = [
    element("span", { class: "muted", id: `${id}-now` }),
    element("span", { class: "bad", id: `${id}-error` }),
  ];
  const limit = limitOf(Object(limits), dimension);
  const input = /** @type {HTMLInputElement} */ (
    element("input", {
      id,
      value: limit === undefined ? "" : formatExact(dimension, limit),
      autocomplete: "off",
      spellcheck: "false",
      "aria-describedby": `${now.id} ${error.id}`,
    })
  );
  return { dimension, input, now, error };
}
