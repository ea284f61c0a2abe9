import { randomUUID } from "node:crypto";
import { systemClock, type Tally } from "@usage/counter-core";
import {
  type Bucket,
  bucketOf,
  type MergedItem,
  RedisSharedCounts,
  recommendedClientOptions,
} from "@usage/counter-redis";
import { BucketKeys } from "@usage/counter-redis/internal";
import { ModelRedis } from "@usage/simulation";
import type {} from "@usage/test-servers/redis-setup";
import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";

const DIMENSIONS = ["requests", "bytes"];
const WRITERS = ["w", "w.1", "v/x"];
/** Names of one bucket: that is what scripts are about. */
const BACKENDS = ["oci", "leo"];
const amount = fc.oneof(fc.nat(50), fc.constantFrom(0, 2 ** 31, 2 ** 49));
const amounts = fc.tuple(amount, amount);
const pair = fc.record({ granted: amount, returned: amount, forgiven: amount });
/** Some of nothing that is limited. */
const ask = fc.option(fc.record({ limit: amount, target: amount, need: fc.nat(20) }), { nil: undefined });
const backend = fc.constantFrom(...BACKENDS);
/** An epoch by its place among those that were seen; 0 for none. */
const epoch = fc.nat(4);
const version = fc.nat(12);

const command = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("merge" as const),
      run: fc.constantFrom("w", "v"),
      items: fc.uniqueArray(
        fc.record({
          backend,
          writer: fc.constantFrom(...WRITERS),
          own: amounts,
          rows: fc.dictionary(
            fc.constantFrom("a", "b/c"),
            fc.dictionary(fc.constantFrom(...DIMENSIONS, "other"), amount),
          ),
          mark: epoch,
          slices: fc.option(fc.record({ pairs: fc.tuple(pair, pair), asks: fc.option(fc.tuple(ask, ask)) })),
        }),
        { selector: (item) => item.backend, minLength: 1 },
      ),
    }),
  },
  // What whoever wants to hold a backend sends.
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("ask" as const), backend }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("changed" as const), epoch, cursor: version }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("owing" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("report" as const), epoch, run: fc.constantFrom("w", "v", "*"), version }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("ripen" as const), epoch }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("forgive" as const),
      backend,
      writer: fc.option(fc.constantFrom(...WRITERS), { nil: undefined }),
      silentMs: fc.constantFrom(0, 60_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("oweAll" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("forget" as const), backend }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("evict" as const),
      what: fc.constantFrom("epoch", "changes", "version", ...BACKENDS),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
);
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

/** Ends far enough in the future for any machine's clock. */
const bucket: Bucket = {
  period: { key: "2026-01", start: 0, end: Date.now() + 86_400_000 },
  number: bucketOf("oci"),
};

/** Both sides name their epochs as they like: they are told apart by when they were first seen. */
class Epochs {
  readonly #ids: string[] = [""];

  place(id: string): number {
    if (!this.#ids.includes(id)) this.#ids.push(id);
    return this.#ids.indexOf(id);
  }

  at(place: number): string {
    return this.#ids[place] ?? "unheard of";
  }
}

describe("the model of Redis", () => {
  let client: Redis;
  beforeAll(async () => {
    // A busy machine must not pass for a Redis that is away.
    client = new Redis(inject("redisUrl"), {
      ...recommendedClientOptions,
      commandTimeout: 30_000,
      socketTimeout: 60_000,
    });
    await new Promise((resolve) => client.once("ready", resolve));
  });
  afterAll(() => client.disconnect());

  it("answers and holds what the scripts on a real server do, after any commands", { timeout: 120_000 }, async () => {
    expect(bucketOf("leo")).toBe(bucket.number);
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 25 }), async (commands) => {
        const prefix = randomUUID();
        const real = new RedisSharedCounts({ client, dimensions: DIMENSIONS, clock: systemClock, prefix });
        const model = new ModelRedis();
        const [ofReal, ofModel] = [new Epochs(), new Epochs()];
        const keys = new BucketKeys(prefix, bucket);
        for (const one of commands) {
          // To the scripts, what began on another run of the server is all that a restart leaves behind.
          const restart = async (): Promise<void> => {
            if ((await client.exists(keys.epoch)) === 1) await client.hset(keys.epoch, "run", "another");
          };
          const evict = async (what: string): Promise<void> => {
            const key = what === "epoch" || what === "changes" || what === "version" ? keys[what] : keys.counts(what);
            await client.del(key);
          };
          const answered = await run(real, ofReal, one, { evict, restart });
          expect(answered).toEqual(await run(modelOf(model), ofModel, one, faultsOf(model)));
        }
        const held = async (counts: Counts): Promise<unknown> => {
          const tallies = (await counts.tallies(bucket, BACKENDS)).flatMap((read) => read.tallies);
          return tallies.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
        };
        expect(await held(real)).toEqual(await held(modelOf(model)));
        expect(await real.count(bucket, BACKENDS)).toBe(model.count(bucket, BACKENDS));
        const shown = async (counts: Counts, epochs: Epochs): Promise<unknown> => {
          const [text = ""] = await counts.versions([bucket]);
          const [id = "", at = ""] = text.split(" ");
          return [epochs.place(id), at];
        };
        expect(await shown(real, ofReal)).toEqual(await shown(modelOf(model), ofModel));
        real.close();
      }),
      { numRuns: 1_000 },
    );
  });

  it("grants, as the script does, what is left beside what others hold, and once what is asked for twice", async () => {
    const real = new RedisSharedCounts({ client, dimensions: DIMENSIONS, clock: systemClock, prefix: randomUUID() });
    for (const counts of [real, modelOf(new ModelRedis())]) {
      const nothing = { granted: 0, returned: 0, forgiven: 0 };
      const item = { backend: "oci", pairs: [nothing, nothing] };
      const ask = async (writer: string, used: number, target: number): Promise<unknown> => {
        const asks = [{ limit: 10, target, need: target }, undefined];
        const { items } = await counts.merge(bucket, writer, [{ ...item, writer, own: [used, 0], asks }]);
        return (items[0] as MergedItem).slices?.pairs[0];
      };
      const { epoch: id } = await counts.merge(bucket, "w", [{ ...item, writer: "w", own: [1, 0] }]);
      await counts.merge(bucket, "w", [{ ...item, writer: "w", own: [1, 0], mark: id }]);
      await counts.ripen(bucket, id);
      expect(await ask("w", 1, 4)).toEqual({ granted: 4, returned: 0, forgiven: 0 });
      expect(await ask("w", 1, 4)).toEqual({ granted: 4, returned: 0, forgiven: 0 });
      // One is used, and three more are held.
      expect(await ask("v", 0, 20)).toEqual({ granted: 6, returned: 0, forgiven: 0 });
    }
    real.close();
  });
});

type Counts = Omit<RedisSharedCounts, "name" | "batchSize" | "isDivided" | "close">;

/** The model with the real one's signatures. */
function modelOf(model: ModelRedis): Counts {
  return {
    merge: async (at, run, items) => model.merge(at, run, DIMENSIONS, items),
    versions: async (all) => model.versions(all),
    changed: async (at, id, cursor) => model.changed(at, id, cursor),
    count: async (at, names) => model.count(at, names),
    owing: async (at) => model.owing(at),
    changedSince: async (at, since) => model.changedSince(at, since),
    tallies: async (at, names) => model.tallies(at, names),
    report: async (at, id, stored) => model.report(at, id, stored),
    ripen: async (at, id) => model.ripen(at, id),
    oweAll: async (at) => model.oweAll(at),
    forgive: async (at, name, silent) => model.forgive(at, name, silent, DIMENSIONS),
    forget: async (at, name) => model.forget(at, name),
  };
}

/** What may happen to a server. */
interface Faults {
  evict(what: string): Promise<void>;
  restart(): Promise<void>;
}

function faultsOf(model: ModelRedis): Faults {
  return {
    async evict(what) {
      const of = `${bucket.period.key} ${bucket.number}`;
      model.evict(BACKENDS.includes(what) ? `hash ${of} ${what}` : `${what} ${of}`);
    },
    async restart() {
      model.restore(model.snapshot());
    },
  };
}

async function run(counts: Counts, epochs: Epochs, one: Command, { evict, restart }: Faults): Promise<unknown> {
  switch (one.kind) {
    case "merge": {
      const items = one.items.map(({ rows, mark, slices, ...item }) => ({
        ...item,
        ...(slices && { pairs: slices.pairs }),
        ...(slices?.asks && { asks: slices.asks }),
        rows: Object.entries(rows).map(
          ([writer, usage]): Tally => ({ writer, period: bucket.period.key, backend: item.backend, usage }),
        ),
        mark: epochs.at(mark),
      }));
      const { epoch: id, ...reply } = await counts.merge(bucket, one.run, items);
      return { epoch: epochs.place(id), ...reply };
    }
    case "ask": {
      const nothing = { backend: one.backend, writer: "w", own: [0, 0] };
      const { epoch: id, ...reply } = await counts.merge(bucket, "w", [nothing]);
      return { epoch: epochs.place(id), ...reply };
    }
    case "changed": {
      const { epoch: id, ...changes } = await counts.changed(bucket, epochs.at(one.epoch), one.cursor);
      return { epoch: epochs.place(id), ...changes };
    }
    case "owing": {
      const { epoch: id, owed } = await counts.owing(bucket);
      return { epoch: epochs.place(id), owed: [...owed].sort((a, b) => (a.run < b.run ? -1 : 1)) };
    }
    case "report":
      return counts.report(bucket, epochs.at(one.epoch), [{ run: one.run, version: one.version }]);
    case "ripen":
      return counts.ripen(bucket, epochs.at(one.epoch));
    case "oweAll":
      return counts.oweAll(bucket);
    case "forgive": {
      const { backend: name, writer, silentMs } = one;
      const forgiven = await counts.forgive(bucket, name, { silentMs, ...(writer && { writer }) });
      return [...forgiven].sort((a, b) => (a.writer < b.writer ? -1 : 1));
    }
    case "forget":
      return counts.forget(bucket, one.backend);
    case "evict":
      return evict(one.what);
    case "restart":
      return restart();
  }
}

function keyOf({ backend: name, writer }: Tally): string {
  return `${name} ${writer}`;
}
