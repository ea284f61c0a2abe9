import { randomUUID } from "node:crypto";
import type { Clock, Tally } from "@usage/counter-core";
import { NotConnectedError, RefusedCountsError } from "./errors.ts";
import { assertPrefix, type Bucket, BucketKeys } from "./keys.ts";
import type { RedisClient } from "./redis-client.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts.ts";
import type {
  Changes,
  MergedItem,
  MergeItem,
  MergeReply,
  Owed,
  Owing,
  SharedCounts,
  StoredUpTo,
} from "./shared-counts.ts";

export interface RedisSharedCountsOptions {
  readonly client: RedisClient;
  readonly prefix: string;
  readonly dimensions: readonly string[];
  readonly clock: Clock;
}

/** How long counts stay after their period: whoever was away for longer has stored them by itself. */
export const RETENTION_MS: number = 40 * 86_400_000;

const merge = new Script(scripts.merge);
const changed = new Script(scripts.changed);
const owing = new Script(scripts.owing);
const report = new Script(scripts.report);
const oweAll = new Script(scripts.oweAll);
const forget = new Script(scripts.forget);
/** Whatever else a store may hold cannot be a count. */
const DIMENSION = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;
const REFUSED = "USAGE_REFUSED ";

/** The shared counts on a Redis server or cluster. Each call is of one bucket, so of one slot. */
export class RedisSharedCounts implements SharedCounts {
  readonly batchSize = 200;
  readonly isDivided: boolean;
  readonly #client: RedisClient;
  readonly #prefix: string;
  readonly #dimensions: readonly string[];
  readonly #clock: Clock;
  readonly #nonce = randomUUID();
  #calls = 0;

  /** @throws RangeError for a prefix that would not work. */
  constructor({ client, prefix, dimensions, clock }: RedisSharedCountsOptions) {
    assertPrefix(prefix);
    this.#client = client;
    this.isDivided = client.isCluster;
    this.#prefix = prefix;
    this.#dimensions = dimensions;
    this.#clock = clock;
  }

  async merge(bucket: Bucket, run: string, items: readonly MergeItem[]): Promise<MergeReply> {
    const keys = new BucketKeys(this.#prefix, bucket);
    const dimensions = this.#dimensionsOf(items);
    const args: (string | number)[] = [this.#ttlMs(bucket), this.#nextNonce(), run, dimensions.length, ...dimensions];
    for (const { backend, writer, own, rows = [], mark = "" } of items) {
      const others = rows.filter((row) => row.writer !== writer);
      args.push(backend, writer, packed(dimensions.map((_, d) => own[d] ?? 0)), mark, others.length);
      for (const row of others) args.push(row.writer, packed(dimensions.map((name) => amountOf(row.usage, name))));
    }
    const hashes = items.map(({ backend }) => keys.counts(backend));
    const reply = await this.#run(merge, [keys.epoch, keys.changes, keys.version, ...hashes], args);
    let at = 3;
    const taken = hashes.map((key): MergedItem | Error => {
      const first = reply[at++];
      if (typeof first === "string" && first.startsWith(REFUSED)) {
        return new RefusedCountsError(key, first.slice(REFUSED.length));
      }
      const isWhole = Number(reply[at++]) === 1;
      const amounts = reply.slice(at, at + 2 * dimensions.length).map(Number);
      at += 2 * dimensions.length;
      const every = (offset: number): number[] => this.#dimensions.map((_, d) => amounts[2 * d + offset] as number);
      return { exists: Number(first) === 1, isWhole, sums: every(0), own: every(1) };
    });
    return { epoch: String(reply[0]), before: Number(reply[1]), after: Number(reply[2]), items: taken };
  }

  async versions(buckets: readonly Bucket[]): Promise<readonly (string | undefined)[]> {
    const keys = buckets.map((bucket) => new BucketKeys(this.#prefix, bucket).version);
    if (!this.#client.isCluster) return ((await this.#call("mget", keys)) as readonly unknown[]).map(textOf);
    // In a cluster they are in as many slots.
    const found = await Promise.allSettled(keys.map((key) => this.#call("get", [key])));
    const [first] = found;
    if (first?.status === "rejected" && found.every(({ status }) => status === "rejected")) throw first.reason;
    return found.map((one) => (one.status === "fulfilled" ? textOf(one.value) : undefined));
  }

  async changed(bucket: Bucket, epoch: string, cursor: number): Promise<Changes> {
    const keys = new BucketKeys(this.#prefix, bucket);
    const [id, version, ...backends] = await this.#run(changed, [keys.epoch, keys.changes], [epoch, cursor]);
    return { epoch: String(id), version: Number(version), backends: names(backends) };
  }

  async count(bucket: Bucket, backends: readonly string[]): Promise<number> {
    const keys = new BucketKeys(this.#prefix, bucket);
    return Number(
      await this.#call(
        "exists",
        backends.map((backend) => keys.counts(backend)),
      ),
    );
  }

  async owing(bucket: Bucket): Promise<Owing> {
    const keys = new BucketKeys(this.#prefix, bucket);
    const args = [this.#ttlMs(bucket), this.#nextNonce()];
    const [epoch, ...fields] = await this.#run(owing, [keys.epoch, keys.changes, keys.version], args);
    const owed: Owed[] = [];
    for (let i = 0; i < fields.length; i += 3) {
      owed.push({ run: String(fields[i]), since: Number(fields[i + 1]), last: Number(fields[i + 2]) });
    }
    return { epoch: String(epoch), owed };
  }

  async changedSince(bucket: Bucket, version: number): Promise<readonly string[]> {
    const { changes } = new BucketKeys(this.#prefix, bucket);
    return names((await this.#call("zrangebyscore", [changes, version, "+inf"])) as readonly unknown[]);
  }

  async tallies(bucket: Bucket, backends: readonly string[]): Promise<readonly Tally[]> {
    const keys = new BucketKeys(this.#prefix, bucket);
    const hashes = await Promise.all(backends.map((backend) => this.#hashOf(keys.counts(backend))));
    return hashes.flatMap((hash, i) => talliesOf(hash, bucket.period.key, backends[i] as string));
  }

  async report(bucket: Bucket, epoch: string, stored: readonly StoredUpTo[]): Promise<void> {
    const args = stored.flatMap(({ run, version }) => [run, version]);
    await this.#run(report, [new BucketKeys(this.#prefix, bucket).epoch], [epoch, ...args]);
  }

  async oweAll(bucket: Bucket): Promise<void> {
    await this.#run(oweAll, [new BucketKeys(this.#prefix, bucket).epoch], []);
  }

  async forget(bucket: Bucket, backend: string): Promise<void> {
    const keys = new BucketKeys(this.#prefix, bucket);
    await this.#run(forget, [keys.changes, keys.counts(backend)], [backend]);
  }

  /** Whoever pushes to a key that holds something else says so; all others can be read. */
  async #hashOf(key: string): Promise<ReadonlyMap<string, string>> {
    try {
      return fieldsOf(await this.#call("hgetall", [key]));
    } catch (error) {
      if (error instanceof Error && error.message.includes("WRONGTYPE")) return new Map();
      throw error;
    }
  }

  /** Ours, then what else the store's rows have. */
  #dimensionsOf(items: readonly MergeItem[]): readonly string[] {
    const dimensions = new Set(this.#dimensions);
    for (const { rows = [] } of items) {
      for (const { usage } of rows) for (const name in usage) if (DIMENSION.test(name)) dimensions.add(name);
    }
    return [...dimensions];
  }

  /** By our clock, which is the one that says when the period ends. */
  #ttlMs({ period }: Bucket): number {
    return Math.max(1, Math.ceil(period.end + RETENTION_MS - this.#clock.now()));
  }

  #nextNonce(): string {
    this.#calls += 1;
    return `${this.#nonce}-${this.#calls}`;
  }

  async #run(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<readonly unknown[]> {
    this.#assertReady();
    const reply = await script.run(this.#client, keys, args);
    return Array.isArray(reply) ? reply : [reply];
  }

  async #call(command: string, args: (string | number)[]): Promise<unknown> {
    this.#assertReady();
    return this.#client.call(command, args);
  }

  /** Otherwise commands would pile up in the client until it is connected again. */
  #assertReady(): void {
    if (this.#client.status !== "ready") throw new NotConnectedError(this.#client.status);
  }
}

function textOf(reply: unknown): string {
  return reply === null ? "" : String(reply);
}

function packed(amounts: readonly number[]): string {
  return amounts.join(" ");
}

function amountOf(usage: Readonly<Record<string, number>>, dimension: string): number {
  return Object.hasOwn(usage, dimension) ? (usage[dimension] as number) : 0;
}

/** Without the one that keeps the set from being empty. */
function names(reply: readonly unknown[]): readonly string[] {
  return reply.map(String).filter((name) => name !== "");
}

/** A client may return a hash as an object, as a map, or as a list. */
function fieldsOf(hash: unknown): ReadonlyMap<string, string> {
  if (hash instanceof Map) return new Map(Array.from(hash, ([field, value]) => [String(field), String(value)]));
  if (!Array.isArray(hash))
    return new Map(Object.entries(hash as object).map(([field, value]) => [field, String(value)]));
  return new Map(Array.from({ length: hash.length / 2 }, (_, i) => [String(hash[2 * i]), String(hash[2 * i + 1])]));
}

function talliesOf(hash: ReadonlyMap<string, string>, period: string, backend: string): readonly Tally[] {
  const dimensions = (hash.get(":d") ?? "").split(" ");
  return Array.from(hash).flatMap(([field, value]) => {
    if (!field.startsWith("/")) return [];
    const amounts = value.split(" ");
    // What is no count is reported where it is pushed to; here, all others are what is wanted.
    const usage = dimensions.flatMap((name, d) => {
      const amount = /^\d{1,16}$/.test(amounts[d] ?? "") ? Number(amounts[d]) : 0;
      return DIMENSION.test(name) && amount > 0 && Number.isSafeInteger(amount) ? [[name, amount] as const] : [];
    });
    return usage.length === 0 ? [] : [{ writer: field.slice(1), period, backend, usage: Object.fromEntries(usage) }];
  });
}
