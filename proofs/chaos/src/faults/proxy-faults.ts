import type { FaultProxy } from "@usage/test-servers";
import type { Act, Faults, Pause } from "./fault.ts";

const MOST_BYTES = 4_000;
const MOST_DELAY_MS = 900;

/** What can be wrong with the way to a server. */
export const proxyFaults: Faults<FaultProxy> = {
  "connections cut mid-message": { inject: cutAgainAndAgain },
  "black hole": {
    inject: (proxy, act, pause) =>
      during(proxy, act, pause, () => {
        proxy.blackHole = true;
      }),
  },
  "replies lost": {
    inject: (proxy, act, pause) =>
      during(proxy, act, pause, () => {
        proxy.dropReplies = true;
      }),
  },
  "requests lost": {
    inject: (proxy, act, pause) =>
      during(proxy, act, pause, () => {
        proxy.dropRequests = true;
      }),
  },
  "everything late": {
    inject: (proxy, act, pause) =>
      during(proxy, act, pause, () => {
        proxy.delayMs = 1 + MOST_DELAY_MS * act.detail;
      }),
  },
  "connections refused": { inject: (proxy, act, pause) => during(proxy, act, pause, () => proxy.refuse()) },
};

async function during(proxy: FaultProxy, { forMs }: Act, pause: Pause, fault: () => unknown): Promise<void> {
  await fault();
  await pause(forMs);
  await proxy.heal();
}

async function cutAgainAndAgain(proxy: FaultProxy, { forMs, detail }: Act, pause: Pause): Promise<void> {
  const times = 4;
  for (let i = 0; i < times; i++) {
    proxy.cutAfter(1 + Math.floor(MOST_BYTES * ((detail * (i + 7)) % 1)), i % 2 === 0 ? "toServer" : "toClient");
    await pause(forMs / times);
  }
  await proxy.heal();
}
