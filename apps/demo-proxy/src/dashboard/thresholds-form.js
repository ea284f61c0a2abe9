import { element, setAttribute, setText } from "./dom.js";
import { labelled, SettingForm } from "./setting-form.js";

/** @typedef {import("./backend-state.js").LiveBackend} LiveBackend */

/** A part of a limit, in percent, as somebody may write it. */
const PERCENT = /^(\d+(?:[.,]\d+)?)\s*%?$/;
let fields = 0;

/** The parts of its limits at which somebody is told of one backend, changed where it stands. */
export class ThresholdsForm {
  #form;
  button;

  /** @param {string} name */
  constructor(name) {
    const title = `Thresholds of ${name}`;
    this.button = element("button", { type: "button", class: "small", "aria-label": title }, "Thresholds");
    const path = `api/backends/${encodeURIComponent(name)}/thresholds`;
    this.#form = new SettingForm({
      title,
      what: "these thresholds",
      path,
      button: this.button,
      fields: percentField(),
    });
  }

  get form() {
    return this.#form.node;
  }

  get isOpen() {
    return this.#form.isOpen;
  }

  /** @param {LiveBackend} backend */
  show({ configured, changed, thresholds }) {
    this.button.hidden = !configured;
    this.#form.show(changed.thresholds ?? { from: "file", value: thresholds, revision: 0, by: null, at: null });
  }
}

/** @returns {import("./setting-form.js").Fields} */
function percentField() {
  fields += 1;
  const id = `thresholds-${fields}`;
  const [now, error] = [
    element("span", { class: "muted", id: `${id}-now` }),
    element("span", { class: "bad", id: `${id}-error` }),
  ];
  const input = /** @type {HTMLInputElement} */ (
    element("input", {
      autocomplete: "off",
      placeholder: "Nobody is told",
      "aria-describedby": `${now.id} ${error.id}`,
    })
  );
  const tell = (/** @type {string} */ text) => {
    setText(error, text);
    setAttribute(input, "aria-invalid", text === "" ? undefined : "true");
    if (text !== "") input.focus();
  };
  return {
    node: element("div", { class: "limit-fields" }, labelled(id, "Tell at, of a limit", input, now, error)),
    open(value) {
      input.value = percentsOf(value);
    },
    showInForce: (value) => setText(now, `Now ${percentsOf(value) || "nobody is told"}. Empty: nobody is told.`),
    read() {
      // What is between two digits may be a decimal comma.
      const parts = input.value.split(/[;\s]+|,(?!\d)|(?<=%),/).filter((part) => part !== "" && part !== "%");
      const percents = parts.map((part) => Number(PERCENT.exec(part)?.[1]?.replace(",", ".")));
      if (percents.some(Number.isNaN)) {
        tell("Percentages with a space between, such as 50 % 80 % 100 %");
        return undefined;
      }
      return { thresholds: percents.map((percent) => percent / 100) };
    },
    tell(detail) {
      const [, own] = detail.split(/thresholds(?:\.\d+)?: /);
      tell(own ?? "");
      return own !== undefined;
    },
    focus: () => input.focus(),
  };
}

/** @param {unknown} parts */
function percentsOf(parts) {
  // 0.07 is a little more than 7 %.
  const texts = Array.isArray(parts) ? parts.map((part) => `${Number((100 * part).toPrecision(12))} %`) : [];
  return texts.join(", ");
}
