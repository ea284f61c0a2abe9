import { randomUUID } from "node:crypto";
import type { Clock } from "@usage/counter-core";
import { PushTimeoutError, RefusedCountsError } from "./errors.ts";
import { assertPrefix, type Bucket, BucketKeys } from "./keys.ts";
import { dimensionsOf, mergeArgsOf } from "./merge-args.ts";
import { RedisCalls } from "./redis-calls.ts";
import type { RedisClient } from "./redis-client.ts";
import { refusalOf } from "./refusal.ts";
import { mergeReplyOf, readReplyOf, textOf } from "./replies.ts";
import { sharedUntilMs } from "./retention.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts.ts";
import type {
  Changes,
  ForgivenAmounts,
  MergedItem,
  MergeItem,
  MergeReply,
  Owed,
  Owing,
  ReadReply,
  SharedCounts,
  Silent,
  StoredUpTo,
} from "./shared-counts.ts";

export interface RedisSharedCountsOptions {
  readonly client: RedisClient;
  readonly prefix: string;
  readonly dimensions: readonly string[];
  readonly clock: Clock;
  /**
   * In a cluster, how long a node that hangs may hold up what others reply to the same call, in milliseconds: less than the
   * caller waits. @default 800
   */
  readonly replyTimeoutMs?: number;
}

const merge = new Script(scripts.merge);
const changed = new Script(scripts.changed);
const owing = new Script(scripts.owing);
const report = new Script(scripts.report);
const ripen = new Script(scripts.ripen);
const oweAll = new Script(scripts.oweAll);
const forgive = new Script(scripts.forgive);
const forget = new Script(scripts.forget);

/** The shared counts on a Redis server or cluster. Each call is of one bucket, so of one slot. */
export class RedisSharedCounts implements SharedCounts {
  readonly batchSize = 200;
  readonly isDivided: boolean;
  readonly #client: RedisClient;
  readonly #calls: RedisCalls;
  /** The prefix. */
  readonly name: string;
  readonly #dimensions: readonly string[];
  readonly #clock: Clock;
  readonly #replyTimeoutMs: number;
  readonly #keys = new WeakMap<Bucket, BucketKeys>();
  readonly #nonce = randomUUID();
  #called = 0;

  /** @throws RangeError for a prefix that would not work. */
  constructor({ client, prefix, dimensions, clock, replyTimeoutMs = 800 }: RedisSharedCountsOptions) {
    assertPrefix(prefix);
    this.#client = client;
    this.#calls = new RedisCalls(client);
    this.isDivided = client.isCluster;
    this.name = prefix;
    this.#dimensions = dimensions;
    this.#clock = clock;
    this.#replyTimeoutMs = replyTimeoutMs;
  }

  async merge(bucket: Bucket, run: string, items: readonly MergeItem[]): Promise<MergeReply> {
    try {
      return await this.#merge(bucket, run, items);
    } catch (error) {
      // A right that is missing for one key keeps a call from all others.
      if (items.length > 1 && error instanceof RefusedCountsError && error.isRight) {
        return this.#mergeEach(bucket, run, items);
      }
      throw error;
    }
  }

  async versions(buckets: readonly Bucket[]): Promise<readonly (string | undefined)[]> {
    const keys = buckets.map((bucket) => this.#keysOf(bucket).version);
    if (!this.#client.isCluster) return ((await this.#calls.call("mget", keys)) as readonly unknown[]).map(textOf);
    // In a cluster they are in as many slots.
    const late = Promise.withResolvers<never>();
    const timeout = new PushTimeoutError(this.#replyTimeoutMs);
    const cancel = this.#clock.after(this.#replyTimeoutMs, () => late.reject(timeout));
    const found = await Promise.allSettled(keys.map((key) => Promise.race([this.#versionAt(key), late.promise])));
    cancel();
    const [first] = found;
    if (first?.status === "rejected" && found.every(({ status }) => status === "rejected")) throw first.reason;
    return found.map((one) => (one.status === "fulfilled" ? one.value : undefined));
  }

  async changed(bucket: Bucket, epoch: string, cursor: number): Promise<Changes> {
    const keys = this.#keysOf(bucket);
    const [id, version, ...backends] = await this.#calls.run(
      changed,
      keys,
      [keys.epoch, keys.changes],
      [epoch, cursor],
    );
    return { epoch: String(id), version: Number(version), backends: names(backends) };
  }

  async count(bucket: Bucket, backends: readonly string[]): Promise<number> {
    const keys = this.#keysOf(bucket);
    const hashes = backends.map((backend) => keys.counts(backend));
    return Number(await this.#calls.refusable(keys.counts("*"), () => this.#calls.call("exists", hashes)));
  }

  async owing(bucket: Bucket): Promise<Owing> {
    const keys = this.#keysOf(bucket);
    const args = [this.#ttlMs(bucket), this.#nextNonce()];
    const [epoch, ...fields] = await this.#calls.run(owing, keys, [keys.epoch, keys.changes, keys.version], args);
    const owed: Owed[] = [];
    for (let i = 0; i < fields.length; i += 3) {
      owed.push({ run: String(fields[i]), since: Number(fields[i + 1]), last: Number(fields[i + 2]) });
    }
    return { epoch: String(epoch), owed };
  }

  async changedSince(bucket: Bucket, version: number): Promise<readonly string[]> {
    const { changes } = this.#keysOf(bucket);
    const found = await this.#calls.refusable(changes, () =>
      this.#calls.call("zrangebyscore", [changes, version, "+inf"]),
    );
    return names(found as readonly unknown[]);
  }

  tallies(bucket: Bucket, backends: readonly string[]): Promise<readonly ReadReply[]> {
    const keys = this.#keysOf(bucket);
    return Promise.all(
      backends.map(async (backend) => {
        const key = keys.counts(backend);
        try {
          return readReplyOf(await this.#calls.call("hgetall", [key]), key, bucket.period.key, backend);
        } catch (error) {
          const refusal = refusalOf(key, error);
          if (refusal === undefined) throw error;
          return { tallies: [], error: refusal };
        }
      }),
    );
  }

  async report(bucket: Bucket, epoch: string, stored: readonly StoredUpTo[]): Promise<void> {
    const keys = this.#keysOf(bucket);
    const args = stored.flatMap(({ run, version }) => [run, version]);
    await this.#calls.run(report, keys, [keys.epoch], [epoch, ...args]);
  }

  async oweAll(bucket: Bucket): Promise<void> {
    const keys = this.#keysOf(bucket);
    await this.#calls.run(oweAll, keys, [keys.epoch], []);
  }

  async ripen(bucket: Bucket, epoch: string): Promise<void> {
    const keys = this.#keysOf(bucket);
    await this.#calls.run(ripen, keys, [keys.epoch], [epoch]);
  }

  async forgive(
    bucket: Bucket,
    backend: string,
    { silentMs, writer = "" }: Silent,
  ): Promise<readonly ForgivenAmounts[]> {
    const keys = this.#keysOf(bucket);
    const args = [this.#ttlMs(bucket), backend, Math.ceil(silentMs), writer, ...this.#dimensions];
    const all = [keys.epoch, keys.changes, keys.version, keys.counts(backend)];
    const reply = await this.#calls.run(forgive, keys, all, args);
    const forgiven: ForgivenAmounts[] = [];
    const width = 1 + this.#dimensions.length;
    for (let i = 0; i < reply.length; i += width) {
      forgiven.push({ writer: String(reply[i]), amounts: reply.slice(i + 1, i + width).map(Number) });
    }
    return forgiven;
  }

  async forget(bucket: Bucket, backend: string): Promise<void> {
    const keys = this.#keysOf(bucket);
    await this.#calls.run(forget, keys, [keys.changes, keys.counts(backend)], [backend]);
  }

  close(): void {
    this.#calls.close();
  }

  async #merge(bucket: Bucket, run: string, items: readonly MergeItem[]): Promise<MergeReply> {
    const keys = this.#keysOf(bucket);
    const dimensions = dimensionsOf(this.#dimensions, items);
    const args = [this.#ttlMs(bucket), this.#nextNonce(), ...mergeArgsOf(run, dimensions, items)];
    const hashes = items.map(({ backend }) => keys.counts(backend));
    const reply = await this.#calls.run(merge, keys, [keys.epoch, keys.changes, keys.version, ...hashes], args);
    return mergeReplyOf(reply, hashes, dimensions.length, this.#dimensions.length);
  }

  /** Each by itself, as one call: their replies are those of one bucket at one time only while its epoch stays the same. */
  async #mergeEach(bucket: Bucket, run: string, items: readonly MergeItem[]): Promise<MergeReply> {
    let all: MergeReply | undefined;
    const taken: (MergedItem | Error)[] = [];
    let isContiguous = true;
    for (const item of items) {
      try {
        const one = await this.#merge(bucket, run, [item]);
        if (all !== undefined && all.epoch !== one.epoch) throw new Error("the bucket began anew between two merges");
        isContiguous &&= all === undefined || all.after === one.before;
        all = { ...one, before: all?.before ?? one.before };
        taken.push(...one.items);
      } catch (error) {
        if (!(error instanceof RefusedCountsError)) throw error;
        taken.push(error);
      }
    }
    if (all === undefined) throw taken[0];
    // What others changed in between is not known from these replies: no cursor is there.
    return { ...all, before: isContiguous ? all.before : -1, items: taken };
  }

  async #versionAt(key: string): Promise<string> {
    try {
      return textOf(await this.#calls.call("get", [key]));
    } catch (error) {
      // It is made anew with the next change.
      if (refusalOf(key, error) !== undefined) return "";
      throw error;
    }
  }

  #keysOf(bucket: Bucket): BucketKeys {
    const known = this.#keys.get(bucket);
    if (known !== undefined) return known;
    const keys = new BucketKeys(this.name, bucket);
    this.#keys.set(bucket, keys);
    return keys;
  }

  /** By our clock, which is the one that says when the period ends. */
  #ttlMs({ period }: Bucket): number {
    return Math.max(1, Math.ceil(sharedUntilMs(period) - this.#clock.now()));
  }

  #nextNonce(): string {
    this.#called += 1;
    return `${this.#nonce}-${this.#called}`;
  }
}

/** Without the one that keeps the set from being empty. */
function names(reply: readonly unknown[]): readonly string[] {
  return reply.map(String).filter((name) => name !== "");
}
