import type { Act, Faults, Lost, Pause } from "./fault.ts";
import { proxyFaults } from "./proxy-faults.ts";
import type { RedisPair } from "./redis-pair.ts";

const EVICTED_RATIO = 0.2;

export const redisFaults: Faults<RedisPair> = {
  ...overProxy(),
  "killed, started empty": {
    loses: true,
    async inject({ master }, { forMs }, pause) {
      await master.kill();
      await pause(forMs);
      await master.startEmpty();
    },
  },
  // What it had confirmed was written to the file before: nothing is lost.
  "killed, started with its append-only file": {
    async inject({ master }, { forMs }, pause) {
      await master.kill();
      await pause(forMs);
      await master.start();
    },
  },
  // Of all kinds of keys: those of backends, and those that the others are found by.
  "some keys evicted": {
    loses: true,
    async inject({ master }, { detail }, _pause, lost) {
      const keys = (await master.command("KEYS", "*")) as readonly string[];
      const evicted = keys.filter((_, i) => (detail * (i + 7) * 13) % 1 < EVICTED_RATIO);
      if (evicted.length > 0) await master.command("UNLINK", ...evicted);
      lost(evicted);
    },
  },
  "restored from an old snapshot": {
    loses: true,
    async inject(redis) {
      await redis.restore();
    },
  },
  "failed over to a replica that lags": {
    loses: true,
    async inject(redis, { forMs }, pause) {
      await redis.cutReplication();
      await pause(forMs);
      await redis.failOver();
    },
  },
  paused: {
    async inject({ master }, { forMs }, pause) {
      master.pause();
      await pause(forMs);
      master.resume();
    },
  },
};

function overProxy(): Faults<RedisPair> {
  return Object.fromEntries(
    Object.entries(proxyFaults).map(([kind, fault]) => [
      kind,
      { inject: ({ proxy }: RedisPair, act: Act, pause: Pause, lost: Lost) => fault.inject(proxy, act, pause, lost) },
    ]),
  );
}
