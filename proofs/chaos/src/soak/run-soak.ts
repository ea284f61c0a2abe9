import { setTimeout as sleep } from "node:timers/promises";
import { type Closing, close } from "./closing.ts";
import { Dashboards } from "./dashboards.ts";
import type { Sample } from "./samples.ts";
import { SoakLoad } from "./soak-load.ts";
import { Stage } from "./stage.ts";
import { sumOf } from "./usage-sums.ts";

export interface SoakOptions {
  readonly durationMs: number;
  /** Through each of the two proxies. */
  readonly requestsPerSecond: number;
  /** @default 5_000 */
  readonly sampleIntervalMs?: number;
  /** @default 20_000 */
  readonly reloadIntervalMs?: number;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: SoakProgress) => void;
}

export interface SoakProgress {
  readonly seconds: number;
  readonly requests: number;
  /** Of each proxy. */
  readonly rssBytes: readonly number[];
}

export interface SoakResult extends Closing {
  readonly versions: readonly string[];
  readonly seconds: number;
  /** Of each proxy. What grows in them is not among the problems. */
  readonly samples: readonly (readonly Sample[])[];
  /** Requests that their client left half-way. */
  readonly left: number;
  readonly reloads: number;
  readonly dashboards: number;
}

const DASHBOARDS_EACH = 4;

/** Two proxies under steady load, over the end of a month, dashboards and reloads: what each party saw, and what the processes used meanwhile. */
export async function runSoak(options: SoakOptions): Promise<SoakResult> {
  const { durationMs, requestsPerSecond, sampleIntervalMs = 5_000, reloadIntervalMs = 20_000 } = options;
  const { signal, onProgress } = options;
  await using stage = await Stage.start(durationMs / 2);
  const { proxies } = stage;
  await using load = new AsyncDisposableStack();
  const upstreams = [...stage.upstreams.values()];
  const began = performance.now();
  const loads = proxies.map(({ url }) =>
    load.adopt(new SoakLoad({ url, upstreams, requestsPerSecond }), (one) => one.stop()),
  );
  const admins = proxies.map(({ admin }) => admin);
  const dashboards = load.adopt(new Dashboards(admins, DASHBOARDS_EACH), (one) => one.stop());

  const samples: Sample[][] = proxies.map(() => []);
  let reloads = 0;
  for (let nextMs = sampleIntervalMs; nextMs <= durationMs; nextMs += sampleIntervalMs) {
    await sleep(Math.max(0, began + nextMs - performance.now()), undefined, { signal });
    const taken = await Promise.all(proxies.map((proxy) => proxy.sample(nextMs)));
    taken.forEach((sample, i) => void samples[i]?.push(sample));
    if (nextMs >= (reloads + 1) * reloadIntervalMs) {
      reloads += 1;
      await stage.reload(reloads);
    }
    const { apiRequests: requests } = sumOf(loads.map((one) => one.seen()));
    onProgress?.({ seconds: nextMs / 1_000, requests, rssBytes: taken.map(({ rssBytes }) => rssBytes) });
  }
  await load.disposeAsync();
  const seconds = (performance.now() - began) / 1_000;
  const { accounts, months, redisAway, problems } = await close(stage, sumOf(loads.map((one) => one.seen())), reloads);
  return {
    versions: stage.versions,
    seconds,
    accounts,
    months,
    redisAway,
    samples,
    left: loads.reduce((sum, { left }) => sum + left, 0),
    reloads,
    dashboards: dashboards.opened,
    problems: [...problems, ...loads.flatMap((one) => one.failures()), ...dashboards.problems],
  };
}
