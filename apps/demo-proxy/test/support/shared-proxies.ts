import { randomUUID } from "node:crypto";
import { type Usage, utcMonths } from "@usage/counter-core";
import { bucketOf } from "@usage/counter-redis";
import { BucketKeys } from "@usage/counter-redis/internal";
import type { PostgresServer, RedisServer } from "@usage/test-servers";
import { onTestFinished } from "vitest";
import type { SampleUpstream } from "../../demo/sample-upstream.ts";
import { Traffic } from "../../demo/traffic.ts";
import type { BackendReport, UsageReport } from "../../src/admin/api/usage/usage-report.ts";
import type { Address } from "../../src/config/address.ts";
import type { ProxyConfig, RedisConfig } from "../../src/config/proxy-config.ts";
import { startUpstream, testConfig } from "./app.ts";
import { call } from "./call.ts";

/** Of what waits for an exchange, a reconnect or a flush; far more than any of them takes. */
export const SOON = { timeout: 20_000, interval: 20 };
export const NOTHING = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };

export interface Servers {
  readonly redis: RedisServer;
  readonly postgres: PostgresServer;
}

/** What the proxies of one test share: an upstream, and a backend's counts that no other test has. */
export interface Shared {
  readonly config: ProxyConfig;
  readonly upstream: SampleUpstream;
  /** The backend's name. */
  readonly name: string;
  readonly prefix: string;
  /** What all writers have shared, by dimension. */
  inRedis(): Promise<Record<string, number>>;
}

/** A configuration for several proxies, which flush only when told. `url` stands for that of the upstream. */
export async function share(
  { redis, postgres }: Servers,
  { enforcement, waitMs, ...limits }: Partial<Usage> & Pick<RedisConfig, "enforcement" | "waitMs"> = {},
  url?: URL,
): Promise<Shared> {
  const upstream = await startUpstream();
  const [name, prefix] = [`oci-${randomUUID()}`, `test-${randomUUID()}`];
  const config = testConfig([{ name, url: url ?? upstream.url, limits }], {
    counter: {
      kind: "redis",
      url: redis.url,
      prefix,
      ...(enforcement && { enforcement }),
      ...(waitMs !== undefined && { waitMs }),
    },
    store: { kind: "postgres", url: postgres.url },
  });
  return { config, upstream, name, prefix, inRedis: () => sumsIn(redis, countsKey(prefix, name)) };
}

/** The key of a backend's counts in this month. */
export function countsKey(prefix: string, name: string): string {
  return new BucketKeys(prefix, { period: utcMonths.at(Date.now()), number: bucketOf(name) }).counts(name);
}

/** What all writers have shared under a key, by dimension; only what is not zero. */
export async function sumsIn(redis: RedisServer, key: string): Promise<Record<string, number>> {
  const [dimensions, sums] = (await redis.command("HMGET", key, ":d", ":s")) as readonly (string | null)[];
  const amounts = sums?.split(" ").map(Number);
  const pairs = dimensions?.split(" ").map((dimension, d) => [dimension, amounts?.[d] ?? 0] as const) ?? [];
  return Object.fromEntries(pairs.filter(([, amount]) => amount > 0));
}

/** How many clients a Redis has, besides the one that asks. */
export async function connections(redis: RedisServer): Promise<number> {
  const clients = String(await redis.command("CLIENT", "LIST")).split("\n");
  return clients.filter((client) => client !== "" && !client.includes("cmd=client")).length;
}

/** What the admin listener tells, and of the only backend. */
export async function report(admin: Address): Promise<UsageReport & { readonly backend: BackendReport }> {
  const usage = (await call(admin, "/api/usage")).json as UsageReport;
  const [backend] = usage.backends;
  if (backend === undefined) throw new Error("there is no backend");
  return { ...usage, backend };
}

/** Steady requests to a proxy until they are stopped, at the latest with the test. */
export function startTraffic({ host, port }: Address, requestsPerSecond = 200): Traffic {
  const requests = [
    { method: "GET", bytes: 1_000 },
    { method: "PUT", bytes: 300 },
  ] as const;
  const traffic = new Traffic({ urls: [new URL(`http://${host}:${port}`)], requests, clients: 4, requestsPerSecond });
  // Most often the test has stopped it already.
  onTestFinished(() => traffic.stop().catch(() => {}));
  traffic.start();
  return traffic;
}
