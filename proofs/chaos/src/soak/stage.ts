import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startPostgres, startRedis } from "@usage/test-servers";
import { StoredUsage } from "../fleet/stored-usage.ts";
import { aheadOfMonthEnd } from "../report/next-month.ts";
import { configurationOf, type Places } from "./configuration.ts";
import { ProxyProcess } from "./proxy-process.ts";
import { SoakUpstream } from "./soak-upstream.ts";

const BACKENDS = ["oci", "b2"] as const;
const PROXIES = 2;

/** Everything that a soak runs on: two proxies, their servers, and an upstream for each backend. */
export class Stage implements AsyncDisposable {
  readonly versions: readonly string[];
  readonly proxies: readonly ProxyProcess[];
  /** By the name of the backend. */
  readonly upstreams: ReadonlyMap<string, SoakUpstream>;
  readonly stored: StoredUsage;
  readonly #places: Places;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    parts: Pick<Stage, "versions" | "proxies" | "upstreams" | "stored">,
    places: Places,
    stack: AsyncDisposableStack,
  ) {
    this.versions = parts.versions;
    this.proxies = parts.proxies;
    this.upstreams = parts.upstreams;
    this.stored = parts.stored;
    this.#places = places;
    this.#stack = stack;
  }

  /** @param monthEndsInMs - By the clocks of the proxies, from when the servers are there. */
  static async start(monthEndsInMs: number): Promise<Stage> {
    await using stack = new AsyncDisposableStack();
    const redis = stack.adopt(await startRedis(), (server) => server.stop());
    const postgres = stack.adopt(await startPostgres(), (server) => server.stop());
    const upstreams = new Map<string, SoakUpstream>();
    for (const name of BACKENDS)
      upstreams.set(
        name,
        stack.adopt(await SoakUpstream.start(), (one) => one.close()),
      );
    const urls = new Map([...upstreams].map(([name, { url }]) => [name, url]));
    const places: Places = { redis: redis.url, postgres: postgres.url, upstreams: urls };
    const aheadMs = aheadOfMonthEnd(monthEndsInMs);
    const proxies: ProxyProcess[] = [];
    for (let i = 0; i < PROXIES; i++) {
      const folder = await mkdtemp(join(tmpdir(), "usage-soak-"));
      stack.defer(() => rm(folder, { recursive: true, force: true }));
      const proxy = await ProxyProcess.start(folder, configurationOf(places, 0), aheadMs);
      proxies.push(stack.adopt(proxy, (one) => one.kill()));
    }
    const stored = stack.adopt(new StoredUsage(postgres.url), (one) => one.end());
    const parts = { versions: [redis.version, postgres.version], proxies, upstreams, stored };
    return new Stage(parts, places, stack.move());
  }

  /** Writes the next configuration for all proxies. */
  async reload(reloads: number): Promise<void> {
    await Promise.all(this.proxies.map((proxy) => proxy.configure(configurationOf(this.#places, reloads))));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
