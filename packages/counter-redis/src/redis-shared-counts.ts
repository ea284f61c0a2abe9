import type { Clock, Period } from "@usage/counter-core";
import { ConnectionErrors } from "./connection-errors.ts";
import { NotConnectedError, PushTimeoutError, RefusedCountsError } from "./errors.ts";
import { assertPrefix, backendsKey, countsKey } from "./keys.ts";
import type { RedisClient } from "./redis-client.ts";
import { refusalOf } from "./refusal.ts";
import { RETENTION_MS } from "./retention.ts";
import { Script } from "./script.ts";
import type { MergeReply, MergeRequest, ReadReply, SharedCounts, SwapReply } from "./shared-counts.ts";

export interface RedisSharedCountsOptions {
  readonly client: RedisClient;
  readonly prefix: string;
  readonly dimensions: readonly string[];
  readonly clock: Clock;
  /** How long one backend's reply may take that comes in a call of its own, in milliseconds: less than all of them together. */
  readonly replyTimeoutMs: number;
}

const merge = new Script("merge.lua");
const swap = new Script("swap.lua");
/** Whatever else a store may hold cannot be a count. */
const DIMENSION = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;
/** `SADD` of this many names takes Redis less than a millisecond. */
const NAMES_PER_CALL = 1_000;

/** The shared counts on a Redis server or cluster: a hash per period and backend, written by scripts only. */
export class RedisSharedCounts implements SharedCounts {
  readonly batchSize = 100;
  readonly #client: RedisClient;
  readonly #connectionErrors: ConnectionErrors;
  readonly #prefix: string;
  readonly #dimensions: readonly string[];
  readonly #clock: Clock;
  readonly #replyTimeoutMs: number;

  /** @throws RangeError for a prefix that would not work. */
  constructor({ client, prefix, dimensions, clock, replyTimeoutMs }: RedisSharedCountsOptions) {
    assertPrefix(prefix);
    this.#client = client;
    this.#connectionErrors = new ConnectionErrors(client);
    this.#prefix = prefix;
    this.#dimensions = dimensions;
    this.#clock = clock;
    this.#replyTimeoutMs = replyTimeoutMs;
  }

  async merge(period: Period, requests: readonly MergeRequest[]): Promise<readonly (MergeReply | Error)[]> {
    this.#assertReady();
    // In a cluster one script touches one slot.
    if (this.#client.isCluster && requests.length > 1) return this.#mergeEach(period, requests);
    try {
      return await this.#mergeAll(period, requests);
    } catch (error) {
      if (refusalOf("", error) === undefined) throw error;
      return this.#mergeEach(period, requests);
    }
  }

  async swap(period: Period, backend: string, dimension: string): Promise<SwapReply> {
    this.#assertReady();
    const [amount, taken] = numbers(await swap.run(this.#client, [this.#key(period, backend)], [dimension]));
    return { amount: amount ?? 0, taken: taken ?? 0 };
  }

  async read(period: Period, backends: readonly string[]): Promise<readonly ReadReply[]> {
    this.#assertReady();
    return Promise.all(
      backends.map(async (backend) => {
        const key = this.#key(period, backend);
        try {
          return replyOf(fieldsOf(await this.#client.call("hgetall", [key])), key, period.key, backend);
        } catch (error) {
          const refusal = refusalOf(key, error);
          if (refusal === undefined) throw error;
          return { tallies: [], error: refusal };
        }
      }),
    );
  }

  async forget(period: Period, backend: string): Promise<void> {
    this.#assertReady();
    await this.#client.call("del", [this.#key(period, backend)]);
  }

  async register(period: Period, backends: readonly string[]): Promise<void> {
    this.#assertReady();
    const key = backendsKey(this.#prefix, period.key);
    try {
      for (let start = 0; start < backends.length; start += NAMES_PER_CALL) {
        await this.#client.call("sadd", [key, ...backends.slice(start, start + NAMES_PER_CALL)]);
      }
      await this.#client.call("pexpire", [key, this.#ttlMs(period)]);
    } catch (error) {
      throw refusalOf(key, error) ?? error;
    }
  }

  async registered(period: Period): Promise<readonly string[]> {
    this.#assertReady();
    const key = backendsKey(this.#prefix, period.key);
    try {
      return Array.from((await this.#client.call("smembers", [key])) as Iterable<unknown>, String);
    } catch (error) {
      throw refusalOf(key, error) ?? error;
    }
  }

  close(): void {
    this.#connectionErrors.close();
  }

  async #mergeAll(period: Period, requests: readonly MergeRequest[]): Promise<readonly MergeReply[]> {
    const args: (string | number)[] = [this.#ttlMs(period), this.#dimensions.length, ...this.#dimensions];
    for (const request of requests) {
      const fields = this.#fieldsOf(request);
      args.push(request.writer, request.mark ?? "", fields.length / 2);
      for (const field of fields) args.push(field);
    }
    const keys = requests.map(({ backend }) => this.#key(period, backend));
    const reply = (await merge.run(this.#client, keys, args)) as readonly unknown[];
    const width = 1 + 3 * this.#dimensions.length;
    return requests.map((_, i) => ({
      mark: String(reply[i * width]),
      amounts: numbers(reply.slice(i * width + 1, (i + 1) * width)),
    }));
  }

  /** One call each, so that one that is refused, or whose node hangs or is away, stops no other. */
  async #mergeEach(period: Period, requests: readonly MergeRequest[]): Promise<readonly (MergeReply | Error)[]> {
    const late = Promise.withResolvers<never>();
    const cancel = this.#clock.after(this.#replyTimeoutMs, () =>
      late.reject(new PushTimeoutError(this.#replyTimeoutMs)),
    );
    const outcomes = await Promise.allSettled(
      requests.map((request) => Promise.race([this.#mergeAll(period, [request]), late.promise])),
    );
    cancel();
    const failures = outcomes.filter(
      (outcome) => outcome.status === "rejected" && refusalOf("", outcome.reason) === undefined,
    );
    const [failure] = failures;
    const isDown = failures.length === outcomes.length || !this.#client.isCluster;
    if (failure?.status === "rejected" && isDown) throw failure.reason;
    return outcomes.map((outcome, i) => {
      if (outcome.status === "fulfilled") return outcome.value[0] as MergeReply;
      const key = this.#key(period, (requests[i] as MergeRequest).backend);
      return refusalOf(key, outcome.reason) ?? new RefusedCountsError(key, outcome.reason, "it is tried again");
    });
  }

  #fieldsOf({ writer, own, others = [], taken }: MergeRequest): (string | number)[] {
    const fields: (string | number)[] = [];
    own.forEach((amount, d) => {
      if (amount > 0) fields.push(`${writer}/${this.#dimensions[d]}`, amount);
    });
    for (const tally of others) {
      for (const [dimension, amount] of Object.entries(tally.usage)) {
        if (amount > 0 && DIMENSION.test(dimension)) fields.push(`${tally.writer}/${dimension}`, amount);
      }
    }
    taken?.forEach((amount, d) => {
      if (amount > 0) fields.push(`${this.#dimensions[d]}:taken`, amount);
    });
    return fields;
  }

  /** By our clock, which is the one that says when the period ends. */
  #ttlMs({ end }: Period): number {
    return Math.max(1, Math.ceil(end + RETENTION_MS - this.#clock.now()));
  }

  #key(period: Period, backend: string): string {
    return countsKey(this.#prefix, period.key, backend);
  }

  /** Otherwise commands would pile up in the client until it is connected again. */
  #assertReady(): void {
    const { status } = this.#client;
    if (status !== "ready") throw new NotConnectedError(status, this.#connectionErrors.last);
    this.#connectionErrors.forget();
  }
}

function numbers(reply: unknown): readonly number[] {
  return Array.from(reply as Iterable<unknown>, Number);
}

/** A client may answer a hash as an object, as a map, or as a list. */
function fieldsOf(hash: unknown): readonly (readonly [field: string, value: string])[] {
  if (hash instanceof Map) return Array.from(hash, ([field, value]) => [String(field), String(value)]);
  if (!Array.isArray(hash)) return Object.entries(hash as object).map(([field, value]) => [field, String(value)]);
  return Array.from({ length: hash.length / 2 }, (_, i) => [String(hash[2 * i]), String(hash[2 * i + 1])]);
}

function replyOf(
  fields: readonly (readonly [string, string])[],
  key: string,
  period: string,
  backend: string,
): ReadReply {
  const byWriter = new Map<string, [string, number][]>();
  let spoilt: string | undefined;
  for (const [field, value] of fields) {
    const slash = field.lastIndexOf("/");
    if (slash < 0) continue;
    if (!/^\d{1,16}$/.test(value) || !Number.isSafeInteger(Number(value))) {
      spoilt ??= field;
      continue;
    }
    const writer = field.slice(0, slash);
    const amounts = byWriter.get(writer) ?? [];
    amounts.push([field.slice(slash + 1), Number(value)]);
    byWriter.set(writer, amounts);
  }
  const tallies = Array.from(byWriter, ([writer, amounts]) => {
    return { writer, period, backend, usage: Object.fromEntries(amounts) };
  });
  if (spoilt === undefined) return { tallies };
  return { tallies, error: new RefusedCountsError(key, `it holds no count in the field ${spoilt}`) };
}
