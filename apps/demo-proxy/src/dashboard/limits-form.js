import { dimensionsOf, limitOf } from "./backend-state.js";
import { element } from "./dom.js";
import { LimitFields } from "./limit-fields.js";
import { SettingForm } from "./setting-form.js";

/** @typedef {import("./backend-state.js").LiveBackend} LiveBackend */
/** @typedef {import("./setting-form.js").SettingReport} SettingReport */

/** The limits of one backend, changed where they stand. */
export class LimitsForm {
  #fields = new LimitFields({ path: "limits" });
  #form;
  /** @type {LiveBackend | undefined} */
  #backend;
  button;

  /** @param {string} name */
  constructor(name) {
    const title = `Limits of ${name}`;
    this.button = element("button", { type: "button", class: "small", "aria-label": title }, "Limits");
    const fields = this.#fields;
    this.#form = new SettingForm({
      title,
      what: "these limits",
      path: `api/backends/${encodeURIComponent(name)}/limits`,
      button: this.button,
      fields: {
        node: fields.node,
        open: (value) => fields.open(dimensionsOf(this.#backend?.usage ?? {}), value),
        showInForce: (value) => fields.showInForce(value),
        read: () => {
          const limits = fields.read();
          return limits && { limits };
        },
        tell: (detail) => fields.tell(detail),
        focus: () => fields.focus(),
      },
    });
  }

  get form() {
    return this.#form.node;
  }

  get isOpen() {
    return this.#form.isOpen;
  }

  /** @param {LiveBackend} backend */
  show(backend) {
    this.#backend = backend;
    this.button.hidden = !backend.configured;
    this.#form.show(inForce(backend));
  }
}

/** Those that are in force, without what was granted, and where they come from. @param {LiveBackend} backend @returns {SettingReport} */
function inForce({ changed, limits, granted }) {
  if (changed.limits !== undefined) return changed.limits;
  const own = Object.entries(limits).map(([each, limit]) => [each, limit - (limitOf(granted, each) ?? 0)]);
  return { from: "file", value: Object.fromEntries(own), revision: 0, by: null, at: null };
}
