import type { Period, Tally } from "@usage/counter-core";
import type { MergeReply, MergeRequest, SwapReply } from "@usage/counter-redis";

interface Hash {
  readonly amounts: ReadonlyMap<string, number>;
  readonly mark: string;
}
/** Everything at one instant: hashes and sets by key. */
export interface RedisSnapshot {
  readonly hashes: ReadonlyMap<string, Hash>;
  readonly sets: ReadonlyMap<string, ReadonlySet<string>>;
}

const EMPTY: Hash = { amounts: new Map(), mark: "" };

/** What the scripts do to a server's data, without the server. A test holds it to the real one. */
export class ModelRedis {
  #hashes = new Map<string, Hash>();
  #sets = new Map<string, ReadonlySet<string>>();

  merge(period: Period, dimensions: readonly string[], requests: readonly MergeRequest[]): readonly MergeReply[] {
    return requests.map((request) => {
      const known = this.#hashes.get(keyOf(period, request.backend)) ?? EMPTY;
      const hash = new Map(known.amounts);
      const mark = known.mark || (request.mark ?? "");
      const own: Tally = tallyOf(request, period, dimensions);
      const before = dimensions.map((dimension) => hash.get(`${request.writer}/${dimension}`) ?? 0);
      for (const { writer, usage } of [own, ...(request.others ?? [])]) {
        for (const [dimension, amount] of Object.entries(usage)) mergeField(hash, writer, dimension, amount);
      }
      dimensions.forEach((dimension, d) => {
        const taken = `${dimension}:taken`;
        const amount = request.taken?.[d] ?? 0;
        if (amount > (hash.get(taken) ?? 0)) hash.set(taken, amount);
      });
      if (hash.size > 0 || mark !== "") this.#hashes.set(keyOf(period, request.backend), { amounts: hash, mark });
      return {
        mark,
        amounts: dimensions.flatMap((dimension, d) => [
          hash.get(dimension) ?? 0,
          before[d] as number,
          hash.get(`${dimension}:taken`) ?? 0,
        ]),
      };
    });
  }

  swap(period: Period, backend: string, dimension: string): SwapReply {
    const { amounts, mark } = this.#hashes.get(keyOf(period, backend)) ?? EMPTY;
    const hash = new Map(amounts);
    const sum = hash.get(dimension) ?? 0;
    const before = hash.get(`${dimension}:taken`) ?? 0;
    const taken = Math.max(before, sum);
    if (taken > before) {
      hash.set(`${dimension}:taken`, taken);
      this.#hashes.set(keyOf(period, backend), { amounts: hash, mark });
    }
    return { amount: taken - before, taken };
  }

  read(period: Period, backends: readonly string[]): readonly Tally[] {
    return backends.flatMap((backend) => {
      const byWriter = new Map<string, Record<string, number>>();
      for (const [field, amount] of (this.#hashes.get(keyOf(period, backend)) ?? EMPTY).amounts) {
        const slash = field.lastIndexOf("/");
        if (slash < 0) continue;
        const usage = byWriter.get(field.slice(0, slash)) ?? {};
        usage[field.slice(slash + 1)] = amount;
        byWriter.set(field.slice(0, slash), usage);
      }
      return Array.from(byWriter, ([writer, usage]) => ({ writer, period: period.key, backend, usage }));
    });
  }

  forget(period: Period, backend: string): void {
    this.#hashes.delete(keyOf(period, backend));
  }

  register(period: Period, backends: readonly string[]): void {
    this.#sets.set(period.key, new Set([...(this.#sets.get(period.key) ?? []), ...backends]));
  }

  registered(period: Period): readonly string[] {
    return [...(this.#sets.get(period.key) ?? [])];
  }

  /** What a writer has there. */
  amountOf(period: string, backend: string, writer: string, dimension: string): number {
    return this.#hashes.get(`${period} ${backend}`)?.amounts.get(`${writer}/${dimension}`) ?? 0;
  }

  isRegistered(period: string, backend: string): boolean {
    return this.#sets.get(period)?.has(backend) ?? false;
  }

  keys(): readonly string[] {
    return [...this.#hashes.keys()];
  }

  evict(key: string): void {
    this.#hashes.delete(key);
  }

  snapshot(): RedisSnapshot {
    return { hashes: new Map(this.#hashes), sets: new Map(this.#sets) };
  }

  /** Begins again with what was there once; with nothing, when it is not said. */
  restore({ hashes, sets }: RedisSnapshot = { hashes: new Map(), sets: new Map() }): void {
    this.#hashes = new Map(hashes);
    this.#sets = new Map(sets);
  }
}

function mergeField(hash: Map<string, number>, writer: string, dimension: string, amount: number): void {
  const field = `${writer}/${dimension}`;
  const before = hash.get(field) ?? 0;
  if (amount <= before) return;
  // fault: the model of Redis adds instead of keeping the maximum
  hash.set(field, amount);
  hash.set(dimension, (hash.get(dimension) ?? 0) + amount - before);
}

function tallyOf({ backend, writer, own }: MergeRequest, period: Period, dimensions: readonly string[]): Tally {
  return {
    writer,
    backend,
    period: period.key,
    usage: Object.fromEntries(dimensions.map((name, d) => [name, own[d] ?? 0])),
  };
}

function keyOf(period: Period, backend: string): string {
  return `${period.key} ${backend}`;
}
