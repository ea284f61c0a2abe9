import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { memoryStore } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { RedisCounterBackend } from "@usage/counter-redis";
import { describe, expect, it, onTestFinished } from "vitest";
import { advance } from "./support/advance.ts";
import { freshPrefix, patientClient } from "./support/counters.ts";
import { flush } from "./support/flush.ts";
import { TappedClient } from "./support/tapped-client.ts";

const SECOND_MS = 1_000;
const HOUR_S = 3_600;
const DAY_S = 24 * HOUR_S;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** What is still in use, in bytes. */
function heapUsed(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

describe("an outage of a day", () => {
  it.each(["closed", "rejects", "hangs"] as const)(
    "takes no memory and no timers when the client %s",
    async (fault) => {
      const clock = new ManualClock("2026-01-15T00:00:00Z");
      const tapped = new TappedClient(await patientClient());
      const backends = Array.from({ length: 20 }, (_, i) => `backend-${i}`);
      const one = await RedisCounterBackend.connect({ client: tapped, prefix: freshPrefix(), backends, clock });
      onTestFinished(() => {
        tapped.fault = "none";
        clock.advance(SECOND_MS);
        return one.close();
      });
      const store = memoryStore();
      tapped.fault = fault;
      let [heap, timers, most] = [0, 0, 0];
      for (let second = 0; second < DAY_S; second++) {
        one.add(`backend-${second % backends.length}`, "apiRequests", 1);
        await advance(clock, tapped, SECOND_MS);
        // Once it is known that Redis is away, a flush does not wait for it.
        if (second % HOUR_S === 30) await flush(one, store);
        most = Math.max(most, clock.pending);
        if (second !== HOUR_S) continue;
        [heap, timers] = [heapUsed(), most];
        // What we note ourselves must not count.
        tapped.sent.length = 0;
      }
      expect(tapped.sent.length).toBeLessThanOrEqual(fault === "closed" ? 0 : DAY_S);
      if (fault !== "closed") expect(tapped.sent.length).toBeGreaterThan(DAY_S / 3);
      tapped.sent.length = 0;
      expect(most).toBe(timers);
      // One for each bucket that is pushed to, and those of the rounds.
      expect(most).toBeLessThan(20);
      expect(heapUsed() - heap).toBeLessThan(1_000_000);
      tapped.fault = "none";
      for (let i = 0; i < 3; i++) await advance(clock, tapped, SECOND_MS);
      expect(one.isHealthy()).toBe(true);
      expect(one.totalAll("backend-0").apiRequests).toBe(DAY_S / backends.length);
      expect(one.unpushedAll("backend-0").apiRequests).toBe(0);
    },
  );
});
