import { limitOf } from "./backend-state.js";
import { element, setAttribute, setText } from "./dom.js";
import { formatExact } from "./format.js";
import { LimitFields } from "./limit-fields.js";
import { labelled, SettingForm } from "./setting-form.js";

/** @typedef {import("./clients.js").Client} Client */
/** @typedef {import("./clients.js").Plans} Plans */
/** @typedef {import("./format.js").Dimension} Dimension */
/** @typedef {Readonly<Record<string, Readonly<Record<Dimension, number>>>>} ByWindow */

const WINDOWS = ["month", "week", "day", "hour", "minute"];
let selects = 0;

/** The plan of one client, and the limits that it has beside it, changed where the client stands. */
export class ClientForm {
  /** @type {Client} */
  #client;
  /** @type {Plans} */
  #plans;
  #plan;
  #limits;
  node;

  /**
   * @param {Client} client
   * @param {Plans} plans
   * @param {{ saved: () => void, closed: () => void }} told of each change, and once it is given up
   */
  constructor(client, plans, { saved, closed }) {
    this.#client = client;
    this.#plans = plans;
    const { name } = client;
    const path = `api/clients/${encodeURIComponent(name)}`;
    const [plan, limits] = [buttonFor("Plan of", name, "Plan"), buttonFor("Limits of", name, "Limits")];
    this.#plan = new SettingForm({
      title: `Plan of ${name}`,
      what: "this plan",
      path: `${path}/plan`,
      button: plan,
      saved,
      fields: planField(() => Object.keys(this.#plans)),
    });
    this.#limits = new SettingForm({
      title: `Limits of ${name}`,
      what: "these limits",
      path: `${path}/limits`,
      button: limits,
      saved,
      fields: this.#windowFields(),
    });
    const close = buttonFor("Close", `the settings of ${name}`, "Close");
    close.addEventListener("click", closed);
    this.node = element(
      "div",
      { class: "panel client-settings", role: "group", "aria-label": `Settings of ${name}` },
      element("div", { class: "limit-buttons" }, element("h3", {}, name), plan, limits, close),
      this.#plan.node,
      this.#limits.node,
    );
    this.show(client, plans);
  }

  focus() {
    this.node.querySelector("button")?.focus();
  }

  /** @param {Client} client @param {Plans} plans */
  show(client, plans) {
    this.#client = client;
    this.#plans = plans;
    this.#plan.show(client.settings.plan);
    this.#limits.show(client.settings.limits);
  }

  /** @returns {import("./setting-form.js").Fields} */
  #windowFields() {
    const windows = WINDOWS.map((window) => {
      const empty = (/** @type {Dimension} */ dimension) => {
        const { plan } = this.#client;
        const limit = plan === null ? undefined : limitOf(this.#plans[plan]?.[window] ?? {}, dimension);
        return limit === undefined ? "no limit" : `${formatExact(dimension, limit)} of the plan`;
      };
      const fields = new LimitFields({ path: `limits.${window}`, empty });
      const node = element("details", { class: "limit-window" }, element("summary", {}, `Each ${window}`), fields.node);
      setAttribute(node, "data-window", window);
      return { window, fields, node: /** @type {HTMLDetailsElement} */ (node) };
    });
    const ofWindow = (/** @type {unknown} */ value, /** @type {string} */ window) =>
      /** @type {ByWindow} */ (Object(value))[window] ?? {};
    return {
      node: element("div", {}, ...windows.map(({ node }) => node)),
      open: (value) => {
        const { plan, windows: counted } = this.#client;
        for (const { window, fields, node } of windows) {
          fields.open(Object.keys(counted.month?.usage ?? {}), ofWindow(value, window));
          const ofPlan = plan === null ? undefined : this.#plans[plan]?.[window];
          node.open = fields.areAny || ofPlan !== undefined;
        }
      },
      showInForce: (value) => {
        for (const { window, fields, node } of windows) {
          const limits = ofWindow(value, window);
          fields.showInForce(limits);
          // Somebody else may have limited it meanwhile.
          // fault: folds away what another operator has changed
          node.open = node.open || Object.keys(limits).length > 0;
        }
      },
      read: () => {
        /** @type {Record<string, object>} */
        const limits = {};
        for (const { window, fields, node } of windows) {
          const amounts = fields.read();
          if (amounts === undefined) {
            // Once more, since nothing that is folded away gets the focus.
            node.open = true;
            return fields.read();
          }
          if (Object.keys(amounts).length > 0) limits[window] = amounts;
        }
        return { limits };
      },
      tell: (detail) => {
        const wrong = windows.filter(({ fields }) => fields.tell(detail));
        for (const { node, fields } of wrong) {
          node.open = true;
          fields.tell(detail);
        }
        return wrong.length > 0;
      },
      focus: () => /** @type {HTMLElement | null} */ (windows[0]?.node.querySelector("summary"))?.focus(),
    };
  }
}

/** @param {string} words @param {string} name @param {string} text */
function buttonFor(words, name, text) {
  return element("button", { type: "button", class: "small", "aria-label": `${words} ${name}` }, text);
}

/** @param {() => readonly string[]} plans @returns {import("./setting-form.js").Fields} */
function planField(plans) {
  selects += 1;
  const select = /** @type {HTMLSelectElement} */ (element("select"));
  const now = element("span", { class: "muted" });
  const error = element("span", { class: "bad" });
  return {
    node: element("div", { class: "limit-fields" }, labelled(`plan-${selects}`, "Plan", select, now, error)),
    open: (value) => {
      const options = plans().map((plan) => element("option", { value: plan }, plan));
      select.replaceChildren(element("option", { value: "" }, "No plan"), ...options);
      select.value = typeof value === "string" ? value : "";
    },
    showInForce: (value) => setText(now, `Now ${typeof value === "string" ? value : "no plan"}.`),
    // No plan can be called nothing.
    read: () => ({ plan: select.value === "" ? null : select.value }),
    tell: (detail) => {
      const [, own = ""] = detail.split("plan: ");
      setText(error, own);
      setAttribute(select, "aria-invalid", own === "" ? undefined : "true");
      return own !== "";
    },
    focus: () => select.focus(),
  };
}
