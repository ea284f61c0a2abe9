import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Usage } from "@usage/counter-core";
import { Pool } from "undici";
import { LARGEST_BYTES, type SoakUpstream } from "./soak-upstream.ts";

const CLIENTS = 20;
/** One request in so many is left by its client half-way. */
const LEAVES_EVERY = 50;
const PATIENCE_MS = 10_000;
const BODY = Buffer.alloc(LARGEST_BYTES, "x");

export interface SoakLoadOptions {
  /** The proxy. */
  readonly url: URL;
  readonly upstreams: readonly SoakUpstream[];
  readonly requestsPerSecond: number;
}

/** Clients that together send requests at a fixed rate, on connections that stay open, and know what they sent and got. */
export class SoakLoad {
  readonly #options: SoakLoadOptions;
  readonly #pool: Pool;
  readonly #end = new AbortController();
  readonly #seen = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };
  readonly #failures = new Map<string, number>();
  readonly #running: readonly Promise<void>[];
  #sent = 0;
  left = 0;

  constructor(options: SoakLoadOptions) {
    this.#options = options;
    this.#pool = new Pool(options.url, { connections: CLIENTS });
    this.#running = Array.from({ length: CLIENTS }, () => this.#client());
  }

  /** What all clients have sent and received. */
  seen(): Usage {
    return { ...this.#seen };
  }

  /** What went wrong, and how often. */
  failures(): readonly string[] {
    return [...this.#failures].map(([failure, times]) => `${times} requests: ${failure}`);
  }

  /** Sends nothing more; resolves when every request is over. */
  async stop(): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#running);
    if (!this.#pool.closed) await this.#pool.close();
  }

  async #client(): Promise<void> {
    const { signal } = this.#end;
    const turnMs = (1_000 * CLIENTS) / this.#options.requestsPerSecond;
    let next = performance.now() + turnMs * Math.random();
    while (!signal.aborted) {
      await sleep(Math.max(0, next - performance.now()), undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      await this.#send().catch((error: unknown) => {
        const failure = error instanceof Error ? error.message : String(error);
        this.#failures.set(failure, (this.#failures.get(failure) ?? 0) + 1);
      });
      next = Math.max(next + turnMs, performance.now());
    }
  }

  async #send(): Promise<void> {
    this.#sent += 1;
    this.#seen.apiRequests += 1;
    const leaves = this.#sent % LEAVES_EVERY === 0;
    const isUpload = Math.random() < 0.4;
    // Most are small, some are large.
    const bytes = Math.max(2, Math.floor(LARGEST_BYTES * Math.random() ** 15));
    if (!leaves) return isUpload ? this.#put(bytes) : this.#get(bytes);
    this.left += 1;
    return isUpload ? this.#leaveUpload(bytes) : this.#leaveDownload(bytes);
  }

  async #get(bytes: number): Promise<void> {
    const { statusCode, body } = await this.#pool.request({ path: `/?bytes=${bytes}`, method: "GET" });
    const { byteLength } = await body.arrayBuffer();
    this.#seen.egressBytes += byteLength;
    if (statusCode !== 200 || byteLength !== bytes) throw new Error(`GET got ${statusCode}`);
  }

  async #put(bytes: number): Promise<void> {
    const { statusCode, body } = await this.#pool.request({ path: "/", method: "PUT", body: BODY.subarray(0, bytes) });
    this.#seen.egressBytes += (await body.arrayBuffer()).byteLength;
    this.#seen.ingressBytes += bytes;
    if (statusCode !== 200) throw new Error(`PUT got ${statusCode}`);
  }

  /** Goes away with half of the answer, when the upstream holds back the rest. */
  async #leaveDownload(bytes: number): Promise<void> {
    const half = Math.ceil(bytes / 2);
    const { body } = await this.#pool.request({ path: `/?bytes=${bytes}&hold=${half}`, method: "GET" });
    let received = 0;
    for await (const chunk of body) {
      received += (chunk as Buffer).length;
      if (received >= half) break;
    }
    this.#seen.egressBytes += received;
    if (received !== half) throw new Error("a held GET brought more than was sent");
  }

  /** Goes away when half of the body has arrived at the upstream. */
  async #leaveUpload(bytes: number): Promise<void> {
    const half = Math.ceil(bytes / 2);
    const id = crypto.randomUUID();
    const sent = request(new URL(`/?id=${id}`, this.#options.url), {
      method: "PUT",
      headers: { "content-length": bytes },
      agent: false,
    });
    // That it was left half-way is an error to the client, too.
    sent.on("error", () => {});
    const closed = new Promise((resolve) => sent.once("close", resolve));
    sent.write(BODY.subarray(0, half));
    const deadline = performance.now() + PATIENCE_MS;
    while (!this.#options.upstreams.some((upstream) => upstream.received(id) >= half)) {
      if (performance.now() > deadline) throw new Error(`half of a PUT does not arrive within ${PATIENCE_MS} ms`);
      await sleep(2);
    }
    this.#seen.ingressBytes += half;
    sent.destroy();
    await closed;
  }
}
