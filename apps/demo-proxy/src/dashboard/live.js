import { problemOf, send } from "./client.js";

// The proxy tells something every second. When it is silent for so long, the connection is as good as lost.
const SILENCE_MS = 6_000;
const LONGEST_PAUSE_MS = 5_000;

/** @typedef {import("./backend-state.js").LiveReport} LiveReport */
/** @typedef {import("./backend-state.js").LiveBackend} LiveBackend */

/**
 * How it stands between this page and the proxy.
 *
 * @typedef {{ kind: "connecting" } | { kind: "live" } | { kind: "token" } | { kind: "away", reason: string }} Connection
 */

/** The proxy's events, for as long as somebody looks; it connects again by itself, whatever happens. */
export class Live {
  #onReport;
  #onConnection;
  /** @type {AbortController | undefined} */
  #open;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  #failures = 0;
  /** Of the report that the events of this connection have told so far. @type {readonly LiveBackend[]} */
  #backends = [];

  /**
   * @param {{ onReport: (report: LiveReport) => void, onConnection: (connection: Connection) => void }} options
   */
  constructor({ onReport, onConnection }) {
    this.#onReport = onReport;
    this.#onConnection = onConnection;
    // A page that nobody sees asks for nothing.
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#close() : this.connect()));
    window.addEventListener("online", () => this.connect());
  }

  /** Connects now, instead of whatever goes on. */
  connect() {
    this.#close();
    const open = new AbortController();
    this.#open = open;
    this.#listen(open).then((next) => {
      // Somebody else has taken over.
      if (this.#open !== open) return;
      this.#onConnection(next);
      // Without a token there is nothing to try again.
      if (next.kind === "token") return;
      const pauseMs = Math.min(LONGEST_PAUSE_MS, 500 * 2 ** this.#failures);
      this.#failures += 1;
      this.#retry = setTimeout(() => this.connect(), pauseMs);
    });
  }

  #close() {
    clearTimeout(this.#retry);
    const open = this.#open;
    this.#open = undefined;
    open?.abort();
  }

  /**
   * Resolves when it is over, with what is then.
   *
   * @param {AbortController} open
   * @returns {Promise<Connection>}
   */
  async #listen(open) {
    let silence = setTimeout(() => open.abort(), SILENCE_MS);
    try {
      const response = await send("api/events", { signal: open.signal });
      if (response.status === 401) return { kind: "token" };
      if (!response.ok || response.body === null) return { kind: "away", reason: await problemOf(response) };
      let text = "";
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return { kind: "away", reason: "The proxy ended the connection." };
        if (this.#open !== open) return { kind: "connecting" };
        clearTimeout(silence);
        silence = setTimeout(() => open.abort(), SILENCE_MS);
        text = this.#take(text + value);
      }
    } catch {
      return { kind: "away", reason: "The proxy does not answer." };
    } finally {
      clearTimeout(silence);
    }
  }

  /**
   * Tells what the events that are complete come to; answers the beginning of the next.
   *
   * @param {string} text
   */
  #take(text) {
    const events = text.split("\n\n");
    const rest = events.pop() ?? "";
    const report = events.map((event) => this.#merge(JSON.parse(event.replace(/^data: /, "")))).at(-1);
    if (report === undefined) return rest;
    this.#failures = 0;
    this.#onConnection({ kind: "live" });
    try {
      this.#onReport(report);
    } catch (error) {
      // A mistake of the page, not of the connection.
      reportError(error);
    }
    return rest;
  }

  /** With all backends, of which most events have those that changed alone. @param {LiveReport} event @returns {LiveReport} */
  #merge(event) {
    const told = new Map(event.backends.map((backend) => [backend.name, backend]));
    const known = event.whole ? event.backends : this.#backends;
    this.#backends = known.map((backend) => told.get(backend.name) ?? backend);
    return { ...event, backends: this.#backends };
  }
}
