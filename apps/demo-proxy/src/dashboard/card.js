import { dimensionsOf, stateOf, troubleOf } from "./backend-state.js";
import { element, setAttribute, setText } from "./dom.js";
import { formatCount, formatInstant, formatRate, formatUsage, labelOf } from "./format.js";
import { LimitsForm } from "./limits-form.js";
import { Meter } from "./meter.js";
import { Sparkline } from "./sparkline.js";
import { ThresholdsForm } from "./thresholds-form.js";

/** @typedef {import("./backend-state.js").LiveBackend} LiveBackend */
/** @typedef {import("./format.js").Dimension} Dimension */
/** @typedef {{ drain: (name: string) => void, resume: (name: string) => void }} CardActions `drain` asks first. */

let cards = 0;

/** One backend. It stays and changes its texts, so that the focus stays, too. */
export class Card {
  #state = element("span", { class: "pill" });
  #url = element("p", { class: "url muted" });
  #trouble = element("p", { class: "card-trouble bad" });
  #note = element("p", { class: "card-note muted" });
  #rateList = element("dl", { class: "rates" });
  #meterList = element("div", { class: "meters" });
  /** @type {Map<Dimension, { meter: Meter, rate: HTMLElement }>} */
  #dimensions = new Map();
  #spark = new Sparkline();
  #name;
  #draining = false;
  #limits;
  #thresholds;
  /** Drains, or resumes. */
  #switch = element("button", { type: "button", class: "small" });
  node;

  /**
   * @param {string} name
   * @param {CardActions} actions
   */
  constructor(name, { drain, resume }) {
    this.#name = name;
    this.#limits = new LimitsForm(name);
    this.#thresholds = new ThresholdsForm(name);
    cards += 1;
    const id = `backend-${cards}`;
    this.#switch.addEventListener("click", () => (this.#draining ? resume : drain)(name));
    const title = element("h3", { id, title: name }, name);
    const side = element("div", { class: "card-side" }, element("p", { class: "side-title" }, "Now"));
    side.append(this.#spark.node, this.#rateList);
    this.node = element(
      "article",
      { class: "card", "aria-labelledby": id, "data-backend": name },
      element(
        "div",
        { class: "card-head" },
        title,
        this.#state,
        this.#url,
        element("div", { class: "card-buttons" }, this.#switch, this.#limits.button, this.#thresholds.button),
      ),
      this.#meterList,
      side,
      element("div", { class: "card-notes" }, this.#trouble, this.#note, this.#limits.form, this.#thresholds.form),
    );
  }

  /** Whether somebody types something into it. */
  get isBeingChanged() {
    return this.#limits.isOpen || this.#thresholds.isOpen;
  }

  /**
   * @param {LiveBackend} backend
   * @param {{ nowMs: number, endMs: number }} time
   */
  show(backend, time) {
    const { state, text } = stateOf(backend);
    setAttribute(this.node, "data-state", state);
    setText(this.#state, text);
    setText(this.#url, backend.url);
    setAttribute(this.#url, "title", backend.url);
    const perSecond = /** @type {Record<Dimension, number>} */ (backend.perSecond);
    for (const dimension of dimensionsOf(backend.usage)) {
      const { meter, rate } = this.#of(dimension);
      meter.show(backend, time);
      setText(rate, formatRate(dimension, perSecond[dimension] ?? 0));
    }
    this.#spark.add(backend.perSecond.apiRequests);
    this.#draining = backend.draining;
    const action = backend.draining ? "Resume" : "Drain";
    setText(this.#switch, action);
    setAttribute(this.#switch, "aria-label", `${action} ${this.#name}`);
    this.#switch.hidden = !backend.configured;
    this.#limits.show(backend);
    this.#thresholds.show(backend);
    setText(this.#trouble, troubleOf(backend, time.nowMs));
    setText(this.#note, noteOn(backend));
  }

  /** @param {Dimension} dimension */
  #of(dimension) {
    let found = this.#dimensions.get(dimension);
    if (found === undefined) {
      found = { meter: new Meter(this.#name, dimension), rate: element("dd") };
      this.#dimensions.set(dimension, found);
      this.#meterList.append(found.meter.node);
      this.#rateList.append(element("div", {}, element("dt", {}, labelOf(dimension)), found.rate));
    }
    return found;
  }
}

/** @param {LiveBackend} backend */
function noteOn(backend) {
  const { unstored, unpushed, held, excess, problem, reachable, draining, configured, inFlight, passedBy, changed } =
    backend;
  const [stored, shared, kept, beyond] = [unstored, unpushed, held, excess].map(formatUsage);
  const now = passedBy.lastMinute > 0 ? `, ${formatCount(passedBy.lastMinute)} in the last minute` : "";
  return [
    inFlight > 0 && `${inFlight} running`,
    passedBy.thisPeriod > 0 &&
      `found no room here: ${formatUsage({ apiRequests: passedBy.thisPeriod })} this period${now}`,
    kept !== "" && `held: ${kept}`,
    beyond !== "" && `beyond what was held: ${beyond}`,
    problem === "unready" && "what others have is not known yet",
    problem === "offline" && "others cannot be asked for room",
    stored !== "" && `not yet stored: ${stored}`,
    shared !== "" && `not yet shared: ${shared}`,
    !reachable && "it is tried again within seconds",
    draining && configured && `gets no new requests until it is resumed${signedBy("drained", changed.drained)}`,
    changed.thresholds?.from === "api" && `thresholds are not the file's${signedBy("changed", changed.thresholds)}`,
    changed.limits?.from === "api" && `limits are not the file's${signedBy("changed", changed.limits)}`,
    !configured && "is not in the configuration any more, and gets no new requests; add it again, and it resumes",
  ]
    .filter(Boolean)
    .join(" · ");
}

/** @param {string} done @param {import("../admin/api/settings/setting-report.ts").SettingReport | undefined} report */
function signedBy(done, report) {
  if (report === undefined || report.at === null) return "";
  return `; ${done}${report.by === null ? "" : ` by ${report.by}`} ${formatInstant(report.at)}`;
}
