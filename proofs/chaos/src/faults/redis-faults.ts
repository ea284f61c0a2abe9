import type { Act, Faults, Pause } from "./fault.ts";
import { proxyFaults } from "./proxy-faults.ts";
import type { RedisPair } from "./redis-pair.ts";

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
      { inject: ({ proxy }: RedisPair, act: Act, pause: Pause) => fault.inject(proxy, act, pause) },
    ]),
  );
}
