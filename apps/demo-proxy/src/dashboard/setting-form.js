import { change, Refused } from "./client.js";
import { element, setAttribute, setText } from "./dom.js";
import { formatInstant, messageOf } from "./format.js";
import { sign, signature } from "./signature.js";

/** @typedef {import("../admin/api/settings/setting-report.ts").SettingReport} SettingReport */
/**
 * What of a setting is typed or chosen.
 *
 * @typedef {object} Fields
 * @property {HTMLElement} node
 * @property {(value: unknown) => void} open draws them anew with what is in force
 * @property {(value: unknown) => void} showInForce says beside them what is in force, and leaves alone what is typed
 * @property {() => object | undefined} read the body of a change; undefined where something is wrong, which they say
 * @property {(detail: string) => boolean} tell says what the API found wrong where that stands, "" being nothing; returns whether it stands there
 * @property {() => void} focus
 */

let forms = 0;

/** One setting, changed where it stands. What somebody has typed stays until it is saved or given up. */
export class SettingForm {
  #path;
  #what;
  #fields;
  #button;
  #back = element("button", { type: "button", class: "small" }, "Back to the file's");
  #source = element("p", { class: "muted" });
  #by = /** @type {HTMLInputElement} */ (element("input", { maxlength: 256 }));
  #reason = /** @type {HTMLInputElement} */ (element("input", { maxlength: 1_000, autocomplete: "off" }));
  #error = element("p", { class: "limit-error bad", role: "alert" });
  #form;
  /** What the proxy says is in force. @type {SettingReport} */
  #told = { from: "file", value: null, revision: 0, by: null, at: null };
  /** The last that this page has saved; what the proxy says is a second behind. @type {SettingReport | undefined} */
  #saved;
  /** Of what is in force, what whoever types has seen. A later one is never overwritten. */
  #seen = 0;
  #isSaving = false;
  #done;

  /**
   * @param {{ title: string, what: string, path: string, fields: Fields, button: HTMLElement, saved?: () => void }} options `what` it is,
   * such as "these limits"; `button` opens and closes it; `saved` is told of each change
   */
  constructor({ title, what, path, fields, button, saved = () => {} }) {
    forms += 1;
    const id = `setting-${forms}`;
    this.#path = path;
    this.#what = what;
    this.#fields = fields;
    this.#button = button;
    this.#done = saved;
    setAttribute(button, "aria-expanded", "false");
    const save = element("button", { class: "small primary" }, "Save");
    const cancel = element("button", { type: "button", class: "small" }, "Cancel");
    this.#form = element(
      "form",
      { class: "limits-form", hidden: true, "aria-label": title, novalidate: true },
      this.#source,
      fields.node,
      element(
        "div",
        { class: "limit-fields" },
        labelled(`${id}-by`, "Who changes them (optional)", this.#by),
        labelled(`${id}-reason`, "Reason (optional)", this.#reason),
      ),
      this.#error,
      element("p", { class: "limit-buttons" }, save, this.#back, cancel),
    );
    button.addEventListener("click", () => (this.#form.hidden ? this.open() : this.close()));
    cancel.addEventListener("click", () => this.close());
    this.#back.addEventListener("click", () => void this.#send("DELETE", {}));
    this.#form.addEventListener("keydown", ({ key }) => key === "Escape" && this.close());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
  }

  get node() {
    return this.#form;
  }

  get isOpen() {
    return !this.#form.hidden;
  }

  /** @param {SettingReport} report what is in force, and where it comes from */
  show(report) {
    this.#told = report;
    if (this.isOpen) this.#showInForce();
  }

  get #inForce() {
    return this.#saved !== undefined && this.#saved.revision > this.#told.revision ? this.#saved : this.#told;
  }

  open() {
    const { revision, value } = this.#inForce;
    this.#seen = revision;
    this.#fields.open(value);
    this.#by.value = signature();
    this.#tell("");
    this.#form.hidden = false;
    setAttribute(this.#button, "aria-expanded", "true");
    this.#showInForce();
    this.#fields.focus();
  }

  close() {
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
    const taken = at === null ? "" : `; taken back to it${who}${when}`;
    setText(
      this.#source,
      from === "api" ? `In place of the file's, changed${who}${when}.` : `From the configuration file${taken}.`,
    );
    this.#back.hidden = from === "file";
    this.#fields.showInForce(value);
  }

  #save() {
    const body = this.#fields.read();
    if (body === undefined) setText(this.#error, "Nothing was saved.");
    else void this.#send("PUT", body);
  }

  /** @param {"PUT" | "DELETE"} method @param {object} wanted */
  async #send(method, wanted) {
    if (this.#isSaving) return;
    this.#isSaving = true;
    const [by, reason] = [this.#by.value.trim(), this.#reason.value.trim()];
    sign(by);
    const body = { ...wanted, ...(by !== "" && { by }), ...(reason !== "" && { reason }) };
    this.#tell("");
    try {
      // fault: saves typed limits over what somebody else has changed meanwhile
      this.#saved = await change(method, this.#path, body, { "if-match": `"${this.#seen}"` });
      if (this.isOpen) this.close();
      this.#done();
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
      const isThere = error.status === 400 && this.#fields.tell(error.problem.detail ?? "");
      return setText(this.#error, isThere ? "Nothing was saved." : error.message);
    }
    // From now on it is known to whoever looks here, and may be overwritten.
    const now = /** @type {SettingReport} */ (error.problem);
    this.#saved = now;
    this.#seen = now.revision;
    this.#showInForce();
    const who = now.by === null ? "Somebody" : now.by;
    this.#tell(
      `Nothing was saved: ${who} has changed ${this.#what} meanwhile. What is in force now stands below each field, and what you typed is kept; Save puts it in place of that.`,
    );
  }

  /** @param {string} text */
  #tell(text) {
    this.#fields.tell("");
    setText(this.#error, text);
  }
}

/** @param {string} id @param {string} text @param {HTMLElement} input @param {...HTMLElement} more */
export function labelled(id, text, input, ...more) {
  input.id = id;
  return element("div", { class: "limit-field" }, element("label", { for: id }, text), input, ...more);
}
