import { dimensionsOf, limitOf } from "./backend-state.js";
import { change, Refused } from "./client.js";
import { element, setAttribute, setText } from "./dom.js";
import { formatExact, formatInstant, isBytes, labelOf, messageOf } from "./format.js";

/** @typedef {import("./backend-state.js").LiveBackend} LiveBackend */
/** @typedef {import("./format.js").Dimension} Dimension */
/** @typedef {import("../admin/api/setting-report.ts").SettingReport} SettingReport */
/** @typedef {{ input: HTMLInputElement, now: HTMLElement, error: HTMLElement }} Field */

let forms = 0;
/** Who changes them, for the next form of this page. */
let signature = "";

/** The limits of one backend, changed where they stand. What somebody has typed stays until it is saved or given up. */
export class LimitsForm {
  #name;
  #id;
  #button = element("button", { type: "button", class: "small", "aria-expanded": "false" }, "Limits");
  #back = element("button", { type: "button", class: "small" }, "Back to the file's");
  #source = element("p", { class: "muted" });
  #fields = element("div", { class: "limit-fields" });
  #by = /** @type {HTMLInputElement} */ (element("input", { maxlength: 256 }));
  #reason = /** @type {HTMLInputElement} */ (element("input", { maxlength: 1_000, autocomplete: "off" }));
  #error = element("p", { class: "limit-error bad", role: "alert" });
  #form;
  /** @type {Map<Dimension, Field>} */
  #inputs = new Map();
  /** @type {LiveBackend | undefined} */
  #backend;
  /** The last that this page has saved; events are a second behind. @type {SettingReport | undefined} */
  #saved;
  /** Of the limits that whoever types has seen. A later one is never overwritten. */
  #seen = 0;
  #isSaving = false;

  /** @param {string} name */
  constructor(name) {
    forms += 1;
    this.#id = `limits-${forms}`;
    this.#name = name;
    setAttribute(this.#button, "aria-label", `Limits of ${name}`);
    const save = element("button", { class: "small primary" }, "Save");
    const cancel = element("button", { type: "button", class: "small" }, "Cancel");
    this.#form = element(
      "form",
      { class: "limits-form", hidden: true, "aria-label": `Limits of ${name}`, novalidate: true },
      this.#source,
      this.#fields,
      element(
        "div",
        { class: "limit-fields" },
        labelled(`${this.#id}-by`, "Who changes them (optional)", this.#by),
        labelled(`${this.#id}-reason`, "Reason (optional)", this.#reason),
      ),
      this.#error,
      element("p", { class: "limit-buttons" }, save, this.#back, cancel),
    );
    this.#button.addEventListener("click", () => (this.#form.hidden ? this.#open() : this.#close()));
    cancel.addEventListener("click", () => this.#close());
    this.#back.addEventListener("click", () => void this.#send("DELETE", {}));
    this.#form.addEventListener("keydown", ({ key }) => key === "Escape" && this.#close());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
  }

  get button() {
    return this.#button;
  }

  get form() {
    return this.#form;
  }

  get isOpen() {
    return !this.#form.hidden;
  }

  /** @param {LiveBackend} backend */
  show(backend) {
    this.#backend = backend;
    this.#button.hidden = !backend.configured;
    if (this.isOpen) this.#showInForce();
  }

  /** Those that are in force, without what was granted, and where they come from. @returns {SettingReport} */
  get #inForce() {
    const { changed = {}, limits = {}, granted = {} } = this.#backend ?? {};
    const known = changed.limits;
    if (this.#saved !== undefined && this.#saved.revision > (known?.revision ?? 0)) return this.#saved;
    if (known !== undefined) return known;
    const own = Object.entries(limits).map(([each, limit]) => [each, limit - (limitOf(granted, each) ?? 0)]);
    return { from: "file", value: Object.fromEntries(own), revision: 0, by: null, at: null };
  }

  #open() {
    if (this.#backend === undefined) return;
    const { revision, value } = this.#inForce;
    this.#seen = revision;
    this.#inputs.clear();
    const fields = dimensionsOf(this.#backend.usage).map((dimension) => this.#fieldOf(dimension, value));
    this.#fields.replaceChildren(...fields);
    this.#by.value = signature;
    this.#tell("");
    this.#form.hidden = false;
    setAttribute(this.#button, "aria-expanded", "true");
    this.#showInForce();
    this.#inputs.values().next().value?.input.focus();
  }

  /** @param {Dimension} dimension @param {unknown} limits */
  #fieldOf(dimension, limits) {
    const id = `${this.#id}-${dimension}`;
    const [now, error] = [
      element("span", { class: "muted", id: `${id}-now` }),
      element("span", { class: "bad", id: `${id}-error` }),
    ];
    const limit = limitOf(Object(limits), dimension);
    const input = /** @type {HTMLInputElement} */ (
      element("input", {
        value: limit === undefined ? "" : formatExact(dimension, limit),
        placeholder: "No limit",
        autocomplete: "off",
        spellcheck: "false",
        "aria-describedby": `${now.id} ${error.id}`,
      })
    );
    this.#inputs.set(dimension, { input, now, error });
    const field = labelled(id, labelOf(dimension), input, now, error);
    setAttribute(field, "data-limit", dimension);
    return field;
  }

  #close() {
    this.#form.hidden = true;
    this.#reason.value = "";
    setAttribute(this.#button, "aria-expanded", "false");
    this.#button.focus();
  }

  /** Beside what is typed, which is left alone. */
  #showInForce() {
    const { from, value, by, at } = this.#inForce;
    const when = at === null ? "" : ` ${formatInstant(at)}`;
    const who = by === null ? "" : ` by ${by}`;
    const taken = at === null ? "" : `, to which they were taken back${who}${when}`;
    setText(
      this.#source,
      from === "api" ? `In place of the file's, changed${who}${when}.` : `From the configuration file${taken}.`,
    );
    this.#back.hidden = from === "file";
    for (const [dimension, { now }] of this.#inputs) {
      const limit = limitOf(Object(value), dimension);
      const words = limit === undefined ? "no limit" : formatExact(dimension, limit);
      setText(now, `Now ${words}. Empty: no limit`);
    }
  }

  #save() {
    /** @type {Record<Dimension, number | string>} */
    const limits = {};
    for (const [dimension, { input }] of this.#inputs) {
      const text = input.value.trim();
      if (text === "") continue;
      const isNumber = /^(\d+|\d{1,3}([, _]\d{3})+)$/.test(text);
      // "5.000" is five to some and five thousand to others.
      if (!isNumber && !isBytes(dimension)) return this.#tell("A whole number, such as 5000", [dimension]);
      limits[dimension] = isNumber ? Number(text.replace(/\D/g, "")) : text;
    }
    void this.#send("PUT", { limits });
  }

  /** @param {"PUT" | "DELETE"} method @param {object} wanted */
  async #send(method, wanted) {
    if (this.#isSaving) return;
    this.#isSaving = true;
    const [by, reason] = [this.#by.value.trim(), this.#reason.value.trim()];
    signature = by;
    const body = { ...wanted, ...(by !== "" && { by }), ...(reason !== "" && { reason }) };
    const path = `api/backends/${encodeURIComponent(this.#name)}/limits`;
    this.#tell("");
    try {
      // fault: saves typed limits over what somebody else has changed meanwhile
      this.#saved = await change(method, path, body, { "if-match": `"${this.#seen}"` });
      if (this.isOpen) this.#close();
    } catch (error) {
      this.#explain(error);
    } finally {
      this.#isSaving = false;
    }
  }

  /** @param {unknown} error */
  #explain(error) {
    if (!(error instanceof Refused)) return this.#tell(`Not saved, as far as is known. ${messageOf(error)}`);
    if (error.status !== 412) {
      const detail = error.problem.detail ?? "";
      const wrong = [...this.#inputs.keys()].filter((dimension) => detail.includes(`limits.${dimension}: `));
      return this.#tell(error.status === 400 && wrong.length > 0 ? detail : error.message, wrong);
    }
    // From now on it is known to whoever looks here, and may be overwritten.
    const now = /** @type {SettingReport} */ (error.problem);
    this.#saved = now;
    this.#seen = now.revision;
    this.#showInForce();
    const who = now.by === null ? "Somebody" : now.by;
    this.#tell(
      `Nothing was saved: ${who} has changed these limits meanwhile. What is in force now stands below each field, and what you typed is kept; Save puts it in place of that.`,
    );
  }

  /** Says what is wrong where it stands, or below where it is about no field. @param {string} text @param {readonly Dimension[]} [wrong] */
  #tell(text, wrong = []) {
    for (const [dimension, { input, error }] of this.#inputs) {
      const isWrong = wrong.includes(dimension);
      const [, own = text] = text.split(`limits.${dimension}: `);
      setText(error, isWrong ? (own.split(/; limits\./)[0] ?? own) : "");
      setAttribute(input, "aria-invalid", isWrong ? "true" : undefined);
    }
    const [first] = wrong;
    if (first !== undefined) this.#inputs.get(first)?.input.focus();
    setText(this.#error, wrong.length === 0 ? text : "Nothing was saved.");
  }
}

/** @param {string} id @param {string} text @param {HTMLInputElement} input @param {...HTMLElement} more */
function labelled(id, text, input, ...more) {
  input.id = id;
  return element("div", { class: "limit-field" }, element("label", { for: id }, text), input, ...more);
}
