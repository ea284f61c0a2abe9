import { setTimeout as delay } from "node:timers/promises";
import { Pool } from "undici";
import type { SampleRequest } from "./scenario.ts";

export interface TrafficOptions {
  /** The proxy. */
  readonly url: URL;
  /** Sent in turn, again and again. */
  readonly requests: readonly SampleRequest[];
  readonly clients: number;
  readonly requestsPerSecond: number;
}

/** How requests were answered: 2xx, 429, or neither. */
export interface Answers {
  readonly served: number;
  readonly refused: number;
  readonly failed: number;
}

/** A handful of clients that together send requests at a steady rate. */
export class Traffic {
  readonly #options: TrafficOptions;
  readonly #pool: Pool;
  readonly #stop = new AbortController();
  readonly #answers = { served: 0, refused: 0, failed: 0 };
  #sent = 0;
  #running: Promise<void>[] = [];

  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#pool = new Pool(options.url, { connections: options.clients });
  }

  start(): void {
    this.#running = Array.from({ length: this.#options.clients }, () => this.#client());
  }

  answers(): Answers {
    return { ...this.#answers };
  }

  /** Sends nothing more; resolves when every request has its whole answer. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
    await this.#pool.close();
  }

  async #client(): Promise<void> {
    const { clients, requestsPerSecond } = this.#options;
    const turnMs = (1_000 * clients) / requestsPerSecond;
    let next = performance.now() + turnMs * Math.random();
    while (await this.#waitUntil(next)) {
      this.#answers[await this.#send()] += 1;
      next = Math.max(next + turnMs, performance.now());
    }
  }

  /** False when the traffic was stopped. */
  async #waitUntil(time: number): Promise<boolean> {
    const { signal } = this.#stop;
    await delay(Math.max(0, time - performance.now()), undefined, { signal }).catch(() => {});
    return !signal.aborted;
  }

  async #send(): Promise<keyof Answers> {
    const { requests } = this.#options;
    const { method, bytes } = requests[this.#sent++ % requests.length] ?? { method: "GET", bytes: 0 };
    const body = method === "PUT" ? Buffer.alloc(bytes, "x") : null;
    try {
      const response = await this.#pool.request({ path: `/objects/${bytes}`, method, body });
      await response.body.arrayBuffer();
      if (response.statusCode === 429) return "refused";
      return response.statusCode < 300 ? "served" : "failed";
    } catch {
      return "failed";
    }
  }
}
