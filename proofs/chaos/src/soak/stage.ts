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

export interface StageOptions {
  /** By the clocks of the proxies, from when the servers are there. */
  readonly monthEndsInMs: number;
  /** The main file of the proxies. @default this checkout's */
  readonly main?: URL | undefined;
}

/** Everything that a soak runs on: two proxies, their servers, and an upstream for each backend. */
export class Stage implements AsyncDisposable {
  readonly versions: readonly string[];
  readonly proxies: ProxyProcess[] = [];
  /** By the name of the backend. */
  readonly upstreams: ReadonlyMap<string, SoakUpstream>;
  readonly stored: StoredUsage;
  readonly #places: Places;
  readonly #clockAheadMs: number;
  readonly #stack: AsyncDisposableStack;
  #reloads = 0;

  private constructor(
    parts: Pick<Stage, "versions" | "upstreams" | "stored">,
    places: Places,
    clockAheadMs: number,
    stack: AsyncDisposableStack,
  ) {
    this.versions = parts.versions;
    this.upstreams = parts.upstreams;
    this.stored = parts.stored;
    this.#places = places;
    this.#clockAheadMs = clockAheadMs;
    this.#stack = stack;
  }

  static async start({ monthEndsInMs, main }: StageOptions): Promise<Stage> {
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
    const stored = stack.adopt(new StoredUsage(postgres.url), (one) => one.end());
    const parts = { versions: [redis.version, postgres.version], upstreams, stored };
    await using stage = new AsyncDisposableStack();
    const made = stage.use(new Stage(parts, places, aheadOfMonthEnd(monthEndsInMs), stack.move()));
    for (let i = 0; i < PROXIES; i++) made.proxies.push(await made.#startProxy(main));
    stage.move();
    return made;
  }

  /** Starts one of this checkout in the place of another one, which it returns: that goes on until it is stopped. */
  async replace(place: number): Promise<ProxyProcess> {
    const [before] = this.proxies.splice(place, 1, await this.#startProxy());
    if (before === undefined) throw new RangeError(`there is no proxy ${place}`);
    return before;
  }

  /** Writes the next configuration for all proxies. */
  async reload(reloads: number): Promise<void> {
    this.#reloads = reloads;
    await Promise.all(this.proxies.map((proxy) => proxy.configure(configurationOf(this.#places, reloads))));
  }

  async #startProxy(main?: URL): Promise<ProxyProcess> {
    const folder = await mkdtemp(join(tmpdir(), "usage-soak-"));
    this.#stack.defer(() => rm(folder, { recursive: true, force: true }));
    const configuration = configurationOf(this.#places, this.#reloads);
    const proxy = await ProxyProcess.start({ folder, configuration, clockAheadMs: this.#clockAheadMs, main });
    return this.#stack.adopt(proxy, (one) => one.kill());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
