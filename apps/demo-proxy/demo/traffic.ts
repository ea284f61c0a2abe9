import { setTimeout as delay } from "node:timers/promises";
import type { Usage } from "@usage/counter-core";
import { Pool } from "undici";
import { CLIENT_HEADER, sum } from "./sample-upstream.ts";
import type { SampleRequest } from "./scenario.ts";

export interface TrafficOptions {
  /** The proxies, which the clients take turns with. */
  readonly urls: readonly URL[];
  /** Sent in turn, again and again. */
  readonly requests: readonly SampleRequest[];
  readonly clients: number;
  /** By name: who the clients are, in turns. @default nobody */
  readonly keys?: ReadonlyMap<string, string>;
  readonly requestsPerSecond: number;
}

/** How requests were answered: 2xx, 429, neither, or by nobody: then the next proxy was asked. */
export interface Answers {
  readonly served: number;
  readonly refused: number;
  readonly failed: number;
  readonly broken: number;
}

/** A handful of clients that together send requests at a steady rate, as through a load balancer. */
export class Traffic {
  readonly #options: TrafficOptions;
  readonly #pools: readonly Pool[];
  readonly #stop = new AbortController();
  readonly #answers = { served: 0, refused: 0, failed: 0, broken: 0 };
  readonly #broken: Usage[] = [];
  #sent = 0;
  #running: Promise<void>[] = [];

  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#pools = options.urls.map((url) => new Pool(url, { connections: options.clients }));
  }

  start(): void {
    this.#running = Array.from({ length: this.#options.clients }, (_, client) => this.#client(client));
  }

  answers(): Answers {
    return { ...this.#answers };
  }

  /** What the requests would have used at most that were answered by nobody. */
  broken(): Usage {
    return sum(this.#broken);
  }

  /** Sends nothing more; resolves when every request has its whole answer. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
    await Promise.all(this.#pools.map((pool) => pool.close()));
  }

  async #client(client: number): Promise<void> {
    const { clients, requestsPerSecond } = this.#options;
    const headers = this.#headersOf(client);
    const turnMs = (1_000 * clients) / requestsPerSecond;
    let next = performance.now() + turnMs * Math.random();
    for (let turn = client; await this.#waitUntil(next); turn++) {
      this.#answers[await this.#send(turn, headers)] += 1;
      next = Math.max(next + turnMs, performance.now());
    }
  }

  /** False when the traffic was stopped. */
  async #waitUntil(time: number): Promise<boolean> {
    const { signal } = this.#stop;
    await delay(Math.max(0, time - performance.now()), undefined, { signal }).catch(() => {});
    return !signal.aborted;
  }

  #headersOf(client: number): Record<string, string> {
    const keys = [...(this.#options.keys ?? [])];
    const [name, key] = keys[client % keys.length] ?? [];
    return name === undefined ? {} : { authorization: `Bearer ${key}`, [CLIENT_HEADER]: name };
  }

  async #send(turn: number, headers: Record<string, string>): Promise<"served" | "refused" | "failed"> {
    const { requests } = this.#options;
    const request = requests[this.#sent++ % requests.length] ?? { method: "GET", bytes: 0 };
    for (let attempt = 0; attempt < this.#pools.length; attempt++) {
      const pool = this.#pools[(turn + attempt) % this.#pools.length];
      const status = pool && (await this.#ask(pool, request, headers));
      if (status !== undefined) return status === 429 ? "refused" : status < 300 ? "served" : "failed";
    }
    return "failed";
  }

  /** The status; undefined when there was no whole answer. */
  async #ask(
    pool: Pool,
    { method, bytes }: SampleRequest,
    headers: Record<string, string>,
  ): Promise<number | undefined> {
    const body = method === "PUT" ? Buffer.alloc(bytes, "x") : null;
    try {
      const response = await pool.request({ path: `/objects/${bytes}`, method, headers, body });
      await response.body.arrayBuffer();
      return response.statusCode;
    } catch {
      this.#answers.broken += 1;
      const [egressBytes, ingressBytes] = method === "GET" ? [bytes, 0] : [LONGEST_RECEIPT_BYTES, bytes];
      this.#broken.push({ apiRequests: 1, egressBytes, ingressBytes });
      return undefined;
    }
  }
}

/** What an upstream says to a PUT. */
const LONGEST_RECEIPT_BYTES = 64;
