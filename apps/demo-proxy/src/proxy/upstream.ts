import type { Clock } from "@usage/counter-core";
import { type Dispatcher, Pool } from "undici";
import type { Reserved } from "./reservation.ts";
import { assertDelay, assertTimeouts, type Timeouts } from "./timeouts.ts";
import { UpstreamTraffic } from "./upstream-traffic.ts";

export interface UpstreamOptions {
  /** The backend's name in the counts and limits. */
  readonly name: string;
  /** `http:` or `https:`; its path is put before that of every request. No credentials, query or fragment. */
  readonly url: URL;
  readonly timeouts: Timeouts;
  /** How long it gets no requests after it could not be connected to, in milliseconds. @default 5_000 */
  readonly unreachableMs?: number;
  /** Certificates (PEM) that an https upstream is trusted by, instead of the ones that Node brings along. */
  readonly ca?: string;
  readonly clock: Clock;
  /** What is admitted to the backend already, by another address of it. @default nothing */
  readonly reserved?: Reserved;
  /** What the backend was asked and answered before, at another address of it. @default nothing */
  readonly traffic?: UpstreamTraffic;
}

/** One metered upstream: its connections, what is admitted and not yet counted, and whether it can be reached. */
export class Upstream {
  readonly name: string;
  readonly url: URL;
  /** A draining upstream gets no new requests; running ones end. */
  draining = false;
  /** Requests that were given to this upstream and are not over. */
  inFlight = 0;
  readonly reserved: Reserved;
  readonly traffic: UpstreamTraffic;
  readonly #basePath: string;
  readonly #pool: Pool;
  readonly #clock: Clock;
  readonly #unreachableMs: number;
  #reachableAgain: (() => void) | undefined;

  constructor(options: UpstreamOptions) {
    const { name, url, timeouts, unreachableMs = 5_000, ca, clock } = options;
    assertUpstreamUrl(url);
    assertTimeouts(timeouts);
    assertDelay("unreachableMs", unreachableMs);
    this.name = name;
    this.url = url;
    this.reserved = options.reserved ?? { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };
    this.traffic = options.traffic ?? new UpstreamTraffic();
    this.#basePath = url.pathname.replace(/\/+$/, "");
    this.#clock = clock;
    this.#unreachableMs = unreachableMs;
    this.#pool = new Pool(url.origin, {
      // HTTP/2 would put every exchange on one connection, where a slow client slows the others.
      allowH2: false,
      connections: null,
      pipelining: 1,
      headersTimeout: timeouts.headersMs,
      bodyTimeout: timeouts.idleMs,
      connect: { timeout: timeouts.connectMs, ...(ca === undefined ? {} : { ca }) },
    });
  }

  isReachable(): boolean {
    return this.#reachableAgain === undefined;
  }

  /** It could not be connected to: no requests for a while. */
  markUnreachable(): void {
    this.#reachableAgain?.();
    this.#reachableAgain = this.#clock.after(this.#unreachableMs, () => {
      this.#reachableAgain = undefined;
    });
  }

  /** The path of this upstream for a path that a client asked for. */
  pathFor(path: string): string {
    return this.#basePath + path;
  }

  /** Sends a request once, on a connection of its own. Every outcome is told to the handler. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#pool.dispatch(options, handler);
  }

  /** Closes the connections once the running requests have ended. */
  async close(): Promise<void> {
    this.#reachableAgain?.();
    await this.#pool.close();
  }

  /** Closes the connections now; running requests fail. */
  async destroy(): Promise<void> {
    this.#reachableAgain?.();
    await this.#pool.destroy();
  }
}

function assertUpstreamUrl(url: URL): void {
  const plain = url.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (!plain || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new RangeError(
      `an upstream's url must be http:// or https:// without credentials, query and fragment, got ${url.href}`,
    );
  }
}
