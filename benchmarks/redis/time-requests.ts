import { setImmediate } from "node:timers/promises";
import { LocalCounterBackend, STORAGE_DIMENSIONS, type Usage } from "@usage/counter-core";
import { RedisCounterBackend } from "@usage/counter-redis";
import type { TrackedCounter } from "@usage/tracker";
import { Redis } from "ioredis";
import { RateLimiterRedis } from "rate-limiter-flexible";
import { answer } from "../child.ts";
import { checkKept, recordKept } from "../counters/loops.ts";
import { BACKENDS, limited } from "../counters/subjects.ts";
import { makerOf } from "../counters/usage-shapes.ts";
import { IS_SHORT } from "../rounds.ts";
import { openClient, WatchedClient } from "./clients.ts";
import { checkAndAdd, consumeThree, EXPIRY_SECONDS } from "./peers.ts";

export type RequestSubject = "local" | "redis" | "limiter" | "pipelines";

/** Calls of a tracker; or requests of a peer, one after the other or many in flight. */
export type RequestSample = "record" | "check" | "serial" | "parallel";

/** In nanoseconds per call or request. */
export interface CallTime {
  readonly ns: number;
}

type Samples = Partial<Readonly<Record<RequestSample, () => Promise<CallTime>>>>;

const CALLS = IS_SHORT ? 2_000_000 : 4_000_000;
/** Between two turns of the event loop: about a millisecond's worth. */
const SLICE = 20_000;
const SERIAL_REQUESTS = 500;
const PARALLEL_REQUESTS = 5_000;
const IN_FLIGHT = 100;

// Arguments: the server, and the subject. One in a process: a program has one kind of counter, and V8 specializes for it.
const [, , url = "", subject = ""] = process.argv;
const makeUsage = makerOf(3, "literal");
const samples = await open(subject as RequestSubject);
process.on("message", async ({ sample }: { readonly sample: RequestSample }) => {
  const run = samples[sample];
  if (run === undefined) throw new RangeError(`${subject} has no sample ${sample}`);
  answer(await run());
});
process.on("disconnect", () => process.exit());
answer({ open: subject });

async function open(subject: RequestSubject): Promise<Samples> {
  switch (subject) {
    case "local":
      return callsOf(new LocalCounterBackend<string>(BACKENDS, { dimensions: STORAGE_DIMENSIONS }));
    case "redis": {
      const client = new WatchedClient(await openClient(url));
      const options = { client, backends: BACKENDS, dimensions: STORAGE_DIMENSIONS };
      return callsOf(await RedisCounterBackend.connect<string>(options), client);
    }
    case "limiter": {
      const options = { points: Number.MAX_SAFE_INTEGER, duration: EXPIRY_SECONDS, keyPrefix: "limiter" };
      const limiter = new RateLimiterRedis({ storeClient: new Redis(url), ...options });
      return requestsOf((i) => consumeThree(limiter, BACKENDS[i & 15] as string, makeUsage(i) as Usage));
    }
    case "pipelines": {
      const redis = new Redis(url, { keyPrefix: "pipelines:" });
      return requestsOf((i) => checkAndAdd(redis, BACKENDS[i & 15] as string, makeUsage(i) as Usage));
    }
  }
}

/** Calls in slices, with a turn of the event loop after each: what a counter does meanwhile is in the time. */
function callsOf(counter: TrackedCounter<string>, client?: WatchedClient): Samples {
  const tracker = limited(counter);
  const ring: object[] = Array.from({ length: BACKENDS.length }, () => ({}));
  const sliced = async (run: () => void): Promise<CallTime> => {
    const sent = client?.commands;
    const start = performance.now();
    for (let done = 0; done < CALLS; done += SLICE) {
      // So that there is something to push beside checks, too.
      recordKept(tracker, BACKENDS, makeUsage, ring, BACKENDS.length);
      run();
      await setImmediate();
    }
    const ns = ((performance.now() - start) * 1e6) / CALLS;
    if (client !== undefined && client.commands === sent) throw new Error("nothing was pushed beside the calls");
    return { ns };
  };
  return {
    record: () => sliced(() => recordKept(tracker, BACKENDS, makeUsage, ring, SLICE)),
    check: () =>
      sliced(() => {
        const allowed = checkKept(tracker, BACKENDS, makeUsage, ring, SLICE);
        if (allowed !== SLICE)
          throw new Error(`${allowed} of ${SLICE} checks were within limits that nothing can reach`);
      }),
  };
}

function requestsOf(request: (i: number) => Promise<void>): Samples {
  const timed = async (count: number, inFlight: number): Promise<CallTime> => {
    let next = 0;
    const goOn = async (): Promise<void> => {
      while (next < count) await request(next++);
    };
    const start = performance.now();
    await Promise.all(Array.from({ length: inFlight }, goOn));
    return { ns: ((performance.now() - start) * 1e6) / count };
  };
  return {
    serial: () => timed(SERIAL_REQUESTS, 1),
    parallel: () => timed(PARALLEL_REQUESTS, IN_FLIGHT),
  };
}
