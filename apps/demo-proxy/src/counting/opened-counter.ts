import type { Clock, PeriodScheme, StorageDimension, Usage } from "@usage/counter-core";
import type { Forgiven, RedisCounterOptions, RedisEvent } from "@usage/counter-redis";
import type { TrackedCounter } from "@usage/tracker";
import { formatAddress } from "../config/address.ts";
import type { CounterConfig, RedisConfig } from "../config/proxy-config.ts";
import { connectAdvice, troubleOf } from "../proxy/upstream/trouble.ts";
import type { DurationBuckets } from "./duration-buckets.ts";
import type { RedisTally } from "./redis-tally.ts";

/** What is configured is held until the configuration has it no more, however seldom it is used. */
export const NEVER_IDLE_MS: number = Number.POSITIVE_INFINITY;

/** What operators see of a counter that shares its counts with other instances. */
export interface Sharing {
  isHealthy(): boolean;
  /** Why counts are not being exchanged, or what else Redis keeps from being done; undefined while all is well. */
  lastError(): unknown;
  /** When all counts were last exchanged, in milliseconds since the Unix epoch; undefined before the first time. */
  sharedAtMs(): number | undefined;
  /** What this instance counted of a backend and has not shared. */
  unpushedAll(backend: string): Usage;
  /** Gives to others what instances that died keep from them of a backend. Rejects while Redis is away. */
  forgive(backend: string): Promise<readonly Forgiven[]>;
  /** What happened to the shared counts. */
  readonly events: Pick<RedisTally, "lost" | "refused" | "away" | "failed">;
  /** How long commands took. */
  readonly durations: DurationBuckets;
}

export interface OpenedCounter {
  readonly counter: TrackedCounter<StorageDimension>;
  /** Absent when the counts stay in this process. */
  readonly sharing?: Sharing;
  /** Makes another one of the same kind, for other names. Whoever asked for it ends it, before this one, where it can be ended. */
  beside(options: CounterBeside): Promise<TrackedCounter<StorageDimension>>;
  /** Shares what is left, as far as it can, and ends. Does not reject. */
  close(): Promise<void>;
}

export interface CounterBeside {
  /** How time is divided; with `name` it tells its counts from those of others. */
  readonly periods: PeriodScheme;
  /** Part of the keys of what is shared. */
  readonly name: string;
  /** Where the configured one is exact, whether this one is, too. */
  readonly mayBeExact: boolean;
}

export interface CounterOptions {
  readonly clock: Clock;
  /** What is counted. @default STORAGE_DIMENSIONS */
  readonly dimensions?: readonly StorageDimension[];
  /** Is told of whatever happens to shared counts. @default nobody is */
  readonly onRedis?: ((event: RedisEvent) => void) | undefined;
  /** Notes once for all instances what they begin to share. @default it is waited for until nobody can have begun */
  readonly claim?: RedisCounterOptions["claim"];
}

/** The configured counter cannot be used, so nothing starts: limits are never open. */
export class CounterStartError extends Error {
  readonly code = "USAGE_PROXY_COUNTER";
  /** Which counter, without its password. */
  readonly counter: string;

  constructor(config: CounterConfig, cause: unknown) {
    const counter = describeCounter(config);
    super(`the counter (${counter}) cannot be used: ${reasonOf(config, cause)}`, { cause });
    this.name = "CounterStartError";
    this.counter = counter;
  }
}

function reasonOf(config: CounterConfig, cause: unknown): string {
  const { code } = troubleOf(cause);
  const said = cause instanceof Error && cause.message !== "" ? cause.message : code;
  // A Redis without TLS waits for more when it is greeted in TLS.
  const tls = code === "ETIMEDOUT" && config.kind === "redis" && speaksTls(config);
  const advice = connectAdvice(cause);
  if (advice === undefined) return said;
  return `${said}: ${advice}${tls ? ", or whether it speaks TLS at all, which rediss:// stands for" : ""}`;
}

/** A counter as messages name it: never with its user or password. */
export function describeCounter(config: CounterConfig): string {
  if (config.kind === "local") return "local";
  if ("socket" in config) return `Redis ${config.socket}`;
  if ("sentinel" in config) {
    const { name, nodes } = config.sentinel;
    return `Redis ${name} by Sentinels at ${nodes.map(formatAddress).join(", ")}`;
  }
  const places = urlsOf(config).map((url) => {
    const { host, pathname } = new URL(url);
    return `${host}${pathname}`;
  });
  return `Redis ${places.join(", ")}`;
}

function speaksTls(config: RedisConfig): boolean {
  return ("tls" in config && config.tls === true) || urlsOf(config).some((url) => url.startsWith("rediss:"));
}

function urlsOf(config: RedisConfig): readonly string[] {
  if ("url" in config) return [config.url];
  return "cluster" in config ? config.cluster : [];
}
