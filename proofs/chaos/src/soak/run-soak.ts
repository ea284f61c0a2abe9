import { setTimeout as sleep } from "node:timers/promises";
import { type Closing, close } from "./closing.ts";
import { Dashboards } from "./dashboards.ts";
import type { ProxyProcess } from "./proxy-process.ts";
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
  /** The main file of the proxies that begin, which are replaced by those of this checkout under load. @default nobody is replaced */
  readonly from?: URL | undefined;
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
  /** Proxies of another version that were replaced. */
  readonly replaced: number;
}

const DASHBOARDS_EACH = 4;
/** After so much of the time, proxies of another version are replaced. */
const UPDATE_AT = 1 / 4;

/** Two proxies under steady load, over the end of a month, dashboards and reloads: what each party saw, and what the processes used meanwhile. */
export async function runSoak(options: SoakOptions): Promise<SoakResult> {
  const { durationMs, requestsPerSecond, sampleIntervalMs = 5_000, reloadIntervalMs = 20_000 } = options;
  const { from, signal, onProgress } = options;
  await using stage = await Stage.start({ monthEndsInMs: durationMs / 2, main: from });
  const { proxies } = stage;
  await using load = new AsyncDisposableStack();
  const upstreams = [...stage.upstreams.values()];
  const began = performance.now();
  const startLoad = ({ url }: ProxyProcess): SoakLoad =>
    load.adopt(new SoakLoad({ url, upstreams, requestsPerSecond }), (one) => one.stop());
  const watch = (): Dashboards => {
    const admins = proxies.map(({ admin }) => admin);
    return load.adopt(new Dashboards(admins, DASHBOARDS_EACH), (one) => one.stop());
  };
  // By place of the proxy.
  const loads = proxies.map(startLoad);
  const ended: SoakLoad[] = [];
  const dashboards = [watch()];
  const problems: string[] = [];

  /** One after the other, while the others go on: each ends once its clients have gone to the new one. */
  const update = async (): Promise<void> => {
    await dashboards.at(-1)?.stop();
    for (const [place, before] of [...loads].entries()) {
      const old = await stage.replace(place);
      loads[place] = startLoad(proxies[place] as ProxyProcess);
      await before.stop();
      ended.push(before);
      problems.push(...old.complaints());
      const { code, signal: by } = await old.stop();
      if (code !== 0) problems.push(`the replaced proxy ${place + 1} ended by ${by ?? `code ${code}`}`);
    }
    dashboards.push(watch());
  };

  const samples: Sample[][] = proxies.map(() => []);
  let reloads = 0;
  let replaced = 0;
  for (let nextMs = sampleIntervalMs; nextMs <= durationMs; nextMs += sampleIntervalMs) {
    await sleep(Math.max(0, began + nextMs - performance.now()), undefined, { signal });
    if (from !== undefined && replaced === 0 && nextMs >= UPDATE_AT * durationMs) {
      await update();
      replaced = proxies.length;
      for (const own of samples) own.length = 0;
    }
    const taken = await Promise.all(proxies.map((proxy) => proxy.sample(nextMs)));
    taken.forEach((sample, i) => void samples[i]?.push(sample));
    if (nextMs >= (reloads + 1) * reloadIntervalMs) {
      reloads += 1;
      await stage.reload(reloads);
    }
    const { apiRequests: requests } = sumOf([...ended, ...loads].map((one) => one.seen()));
    onProgress?.({ seconds: nextMs / 1_000, requests, rssBytes: taken.map(({ rssBytes }) => rssBytes) });
  }
  await load.disposeAsync();
  const seconds = (performance.now() - began) / 1_000;
  const all = [...ended, ...loads];
  const { accounts, months, redisAway, ...closing } = await close(stage, sumOf(all.map((one) => one.seen())), reloads);
  return {
    versions: stage.versions,
    seconds,
    accounts,
    months,
    redisAway,
    samples,
    left: all.reduce((sum, { left }) => sum + left, 0),
    reloads,
    dashboards: dashboards.reduce((sum, { opened }) => sum + opened, 0),
    replaced,
    problems: [
      ...problems,
      ...closing.problems,
      ...all.flatMap((one) => one.failures()),
      ...dashboards.flatMap((one) => one.problems),
    ],
  };
}
