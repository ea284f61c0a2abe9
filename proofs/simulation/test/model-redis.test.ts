import { randomUUID } from "node:crypto";
import { type Period, systemClock, type Tally } from "@usage/counter-core";
import { type MergeRequest, recommendedClientOptions } from "@usage/counter-redis";
import { ModelRedis } from "@usage/simulation";
import type {} from "@usage/test-servers/redis-setup";
import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { RedisSharedCounts } from "../../../packages/counter-redis/src/redis-shared-counts.ts";

const DIMENSIONS = ["requests", "bytes"];
const WRITERS = ["w", "w.1", "v/x"];
const BACKENDS = ["oci", "{b2}"];
const amount = fc.oneof(fc.nat(50), fc.constantFrom(0, 2 ** 31, 2 ** 50));
const amounts = fc.tuple(amount, amount);
const writer = fc.constantFrom(...WRITERS);
const backend = fc.constantFrom(...BACKENDS);
const period = fc.constantFrom("2026-01", "2026-02");

const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("merge" as const),
      period,
      writer,
      requests: fc.uniqueArray(
        fc.record({
          backend,
          own: amounts,
          others: fc.dictionary(
            fc.constantFrom("a", "b/c"),
            fc.dictionary(fc.constantFrom(...DIMENSIONS, "other"), amount),
          ),
          taken: amounts,
          mark: fc.constantFrom("", "", "m1", "m2"),
        }),
        { selector: (request) => request.backend, minLength: 1 },
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("swap" as const),
      period,
      backend,
      dimension: fc.constantFrom(...DIMENSIONS),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("forget" as const), period, backend }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("register" as const), period, backend }) },
);
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

describe("the model of Redis", () => {
  let client: Redis;
  beforeAll(async () => {
    client = new Redis(inject("redisUrl"), recommendedClientOptions);
    await new Promise((resolve) => client.once("ready", resolve));
  });
  afterAll(() => client.disconnect());

  it("answers and holds what the scripts on a real server do, after any commands", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 25 }), async (commands) => {
        const options = { client, dimensions: DIMENSIONS, clock: systemClock, replyTimeoutMs: 5_000 };
        const real = new RedisSharedCounts({ ...options, prefix: randomUUID() });
        const model = new ModelRedis();
        for (const one of commands) expect(await onReal(real, one)).toEqual(onModel(model, one));
        for (const key of ["2026-01", "2026-02"]) {
          const held = (await real.read(periodOf(key), BACKENDS)).flatMap(({ tallies }) => tallies);
          expect([...held].sort(byKey)).toEqual([...model.read(periodOf(key), BACKENDS)].sort(byKey));
          expect([...(await real.registered(periodOf(key)))].sort()).toEqual(
            [...model.registered(periodOf(key))].sort(),
          );
        }
        real.close();
      }),
      { numRuns: 300 },
    );
  });
});

/** Ends far enough in the future for any machine's clock. */
function periodOf(key: string): Period {
  return { key, start: 0, end: Date.now() + 86_400_000 };
}

function requestsOf(command: Extract<Command, { kind: "merge" }>): readonly MergeRequest[] {
  return command.requests.map(({ backend: name, own, others, taken, mark }) => ({
    backend: name,
    writer: command.writer,
    own,
    taken,
    others: Object.entries(others).map(
      ([by, usage]): Tally => ({ writer: by, period: command.period, backend: name, usage }),
    ),
    ...(mark !== "" && { mark }),
  }));
}

function onReal(real: RedisSharedCounts, command: Command): Promise<unknown> {
  const at = periodOf(command.period);
  switch (command.kind) {
    case "merge":
      return real.merge(at, requestsOf(command));
    case "swap":
      return real.swap(at, command.backend, command.dimension);
    case "forget":
      return real.forget(at, command.backend);
    case "register":
      return real.register(at, [command.backend]);
  }
}

function onModel(model: ModelRedis, command: Command): unknown {
  const at = periodOf(command.period);
  switch (command.kind) {
    case "merge":
      return model.merge(at, DIMENSIONS, requestsOf(command));
    case "swap":
      return model.swap(at, command.backend, command.dimension);
    case "forget":
      return model.forget(at, command.backend);
    case "register":
      return model.register(at, [command.backend]);
  }
}

function byKey(a: Tally, b: Tally): number {
  return `${a.backend} ${a.writer}` < `${b.backend} ${b.writer}` ? -1 : 1;
}
