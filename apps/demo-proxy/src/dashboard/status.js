import { byId, element, setAttribute, setText } from "./dom.js";
import { formatDuration, formatInstant, formatPeriod, formatRate, formatUsage, messageOf, sumOf } from "./format.js";
import { Sparkline } from "./sparkline.js";

/** @typedef {import("./backend-state.js").LiveReport} LiveReport */

/** The tiles below the verdict: the period, what goes on now, the counter and the store. */
export class Status {
  #period = tile("Period");
  #now = tile("Now");
  #counter = tile("Counter");
  #store = tile("Store");
  #elapsed = element("span", { class: "fill" });
  #spark = new Sparkline();
  #flush = element("button", { type: "button", class: "small" }, "Flush now");
  #flushResult = element("span", { role: "status" });
  /** When the last flush that was asked for ended, and the last good one of the store then. */
  #result = { atMs: 0, lastFlush: /** @type {string | null} */ (null) };
  /** @type {string | null} */
  #lastFlush = null;

  /** @param {{ flush: () => Promise<void> }} actions `flush` rejects with what went wrong */
  constructor({ flush }) {
    const tiles = [this.#period, this.#now, this.#counter, this.#store];
    byId("overview").append(...tiles.map(({ node }) => node));
    this.#period.node.append(element("div", { class: "bar", "aria-hidden": "true" }, this.#elapsed));
    this.#now.node.append(this.#spark.node);
    this.#store.node.append(element("p", { class: "action" }, this.#flush, this.#flushResult));
    this.#flush.addEventListener("click", () => this.#run(flush));
  }

  /** @param {() => Promise<void>} flush */
  async #run(flush) {
    setAttribute(this.#flush, "aria-disabled", "true");
    setText(this.#flushResult, "Flushing");
    this.#flushResult.className = "muted";
    try {
      await flush();
      setText(this.#flushResult, "Stored");
    } catch (error) {
      setText(this.#flushResult, messageOf(error));
      this.#flushResult.className = "bad";
    } finally {
      this.#result = { atMs: performance.now(), lastFlush: this.#lastFlush };
      setAttribute(this.#flush, "aria-disabled", undefined);
    }
  }

  /** @param {LiveReport} report */
  show(report) {
    this.#showPeriod(report);
    this.#showNow(report);
    this.#showCounter(report);
    this.#showStore(report);
  }

  /** @param {LiveReport} report */
  #showPeriod({ period, at }) {
    const [start, end, now] = [Date.parse(period.start), Date.parse(period.end), Date.parse(at)];
    const left = formatDuration(Math.max(0, end - now));
    this.#period.tell(formatPeriod(period.key), `${left} left, until ${formatInstant(end)}`);
    this.#elapsed.style.inlineSize = `${Math.min(100, ((now - start) * 100) / (end - start))}%`;
  }

  /** @param {LiveReport} report */
  #showNow({ backends, startedAt, at }) {
    const { apiRequests = 0, egressBytes = 0, ingressBytes = 0 } = sumOf(backends.map(({ perSecond }) => perSecond));
    const running = backends.reduce((sum, { inFlight }) => sum + inFlight, 0);
    this.#now.tell(
      `${formatRate("apiRequests", apiRequests).replace("/s", "")} requests/s`,
      `${formatRate("egressBytes", egressBytes)} out, ${formatRate("ingressBytes", ingressBytes)} in`,
      `${running} running, up for ${formatDuration(Date.parse(at) - Date.parse(startedAt))}`,
    );
    this.#spark.add(apiRequests);
  }

  /** @param {LiveReport} report */
  #showCounter({ counter, places, backends }) {
    if (counter.kind === "local") {
      return this.#counter.tell("Local", `Counts stay in this process; nothing to share. ${limitsOf(counter)}`);
    }
    const unpushed = formatUsage(sumOf(backends.map(({ unpushed }) => unpushed)));
    const [kind, place] = split(places.counter);
    const age = counter.sharedAgeMs === null ? "never shared" : `shared ${formatDuration(counter.sharedAgeMs)} ago`;
    this.#counter.tell(
      kind,
      `${place}; ${age}; ${unpushed === "" ? "everything is shared" : `not yet shared: ${unpushed}`}. ${limitsOf(counter)}`,
      counterTrouble(counter),
      counter.lastError === null ? "good" : "bad",
    );
  }

  /** What came of a flush is no news after a while, and why it failed is none once another one was good. @param {LiveReport["store"]} store */
  #forgetResult({ lastError, lastFlush }) {
    if (this.#flush.hasAttribute("aria-disabled")) return;
    const isMended = lastError === null && lastFlush !== this.#result.lastFlush;
    const isOld = this.#flushResult.className !== "bad" && performance.now() - this.#result.atMs > 10_000;
    if (isMended || isOld) setText(this.#flushResult, "");
  }

  /** @param {LiveReport} report */
  #showStore({ store, places, backends, at, flushIntervalMs }) {
    const unstored = formatUsage(sumOf(backends.map(({ unstored }) => unstored)));
    const [kind, place] = split(places.store);
    const age =
      store.lastFlush === null
        ? "not flushed yet"
        : `flushed ${formatDuration(Date.parse(at) - Date.parse(store.lastFlush))} ago`;
    const failed = `The last flush failed: ${store.lastError}. The counts are kept; the next flush stores them.`;
    this.#lastFlush = store.lastFlush;
    this.#forgetResult(store);
    setAttribute(this.#store.node, "title", places.store);
    this.#store.tell(
      kind,
      `${place}; ${age}, every ${formatDuration(flushIntervalMs)}; ${unstored === "" ? "everything is stored" : `not yet stored: ${unstored}`}`,
      store.lastError === null ? "" : failed,
      store.lastError === null ? "good" : "bad",
    );
  }
}

/** @param {LiveReport["counter"]} counter */
function limitsOf({ enforcement }) {
  return enforcement === "exact" ? "Limits are exact." : "Limits are approximate.";
}

/** @param {LiveReport["counter"]} counter */
function counterTrouble({ healthy, lastError }) {
  if (lastError === null) return "";
  return healthy
    ? `Counts are exchanged, but Redis refuses something else that is needed: ${lastError}.`
    : `Counts are not being exchanged: ${lastError}. Limits go by what is known; counting goes on.`;
}

/**
 * A kind and its place; of a long path only the file.
 *
 * @param {string} text
 * @returns {[string, string]}
 */
function split(text) {
  const [kind = "", ...rest] = text.split(" ");
  const place = rest.join(" ");
  return [kind, place.startsWith("/") && place.length > 36 ? `…${place.slice(place.lastIndexOf("/"))}` : place];
}

/** @param {string} title */
function tile(title) {
  const value = element("p", { class: "tile-value" });
  const text = element("p", { class: "tile-text muted" });
  const more = element("p", { class: "tile-more" });
  const node = element("div", { class: "tile", role: "group", "aria-label": title });
  node.append(element("h2", { class: "tile-title" }, title), value, text, more);
  /**
   * @param {string} main
   * @param {string} detail
   * @param {string} [further]
   * @param {"good" | "bad"} [state]
   */
  const tell = (main, detail, further = "", state = "good") => {
    setText(value, main);
    setText(text, detail);
    setText(more, further);
    setAttribute(node, "data-state", state);
  };
  return { node, tell };
}
