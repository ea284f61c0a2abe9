import { problemOf, send } from "./client.js";

// The proxy tells something every second. When it is silent for so long, the connection is as good as lost.
const SILENCE_MS = 6_000;
const LONGEST_PAUSE_MS = 5_000;

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

  /**
   * @param {{ onReport: (report: import("../admin/api/live-report.ts").LiveReport) => void, onConnection: (connection: Connection) => void }} options
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
   * Tells the last of the events that are complete; answers the beginning of the next.
   *
   * @param {string} text
   */
  #take(text) {
    const events = text.split("\n\n");
    const rest = events.pop() ?? "";
    const last = events.at(-1);
    if (last === undefined) return rest;
    this.#failures = 0;
    this.#onConnection({ kind: "live" });
    try {
      this.#onReport(JSON.parse(last.replace(/^data: /, "")));
    } catch (error) {
      // A mistake of the page, not of the connection.
      reportError(error);
    }
    return rest;
  }
}
