import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Account, account, type RedisLoss } from "../account/account.ts";
import { checkLimits, type LimitsChecked } from "../account/limit-check.ts";
import { type TenantCounts, TenantRecord } from "../account/tenant-record.ts";
import { ViewCheck } from "../account/view-check.ts";
import type { Act, Faults } from "../faults/fault.ts";
import { instanceFaults } from "../faults/instance-faults.ts";
import type { Round } from "../faults/plan.ts";
import { postgresFaults } from "../faults/postgres-faults.ts";
import { redisFaults } from "../faults/redis-faults.ts";
import { StoredUsage } from "../fleet/stored-usage.ts";
import { readUse } from "../fleet/use-log.ts";
import { Arena } from "./arena.ts";
import { checkpoint } from "./checkpoint.ts";
import { Crew } from "./crew.ts";
import { finish } from "./finish.ts";

export interface ChaosOptions {
  readonly size: number;
  /** Until they end or the time is over. */
  readonly rounds: Iterable<Round>;
  readonly durationMs?: number;
  /** Backends that all instances hold, and hardly ever count. @default 0 */
  readonly idle?: number;
  /** How far all clocks are ahead; each is up to a second off that. @default 0 */
  readonly clockOffsetMs?: number;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: ChaosProgress) => void;
  /** Is told of each when it is found, with all that led to it still there. */
  readonly onProblem?: (problem: string) => void;
}

export interface ChaosProgress {
  readonly seconds: number;
  readonly rounds: number;
  readonly kills: number;
  readonly faults: number;
  readonly problems: number;
}

export interface ChaosResult {
  readonly versions: readonly string[];
  readonly seconds: number;
  readonly rounds: number;
  /** How often each fault came about, by what it was done to. */
  readonly faults: ReadonlyMap<string, number>;
  readonly kills: number;
  readonly failedStarts: number;
  readonly reports: number;
  readonly tenants: TenantCounts;
  readonly losses: readonly RedisLoss[];
  readonly account: Account;
  readonly limits: LimitsChecked["limits"];
  readonly idle: number;
  /** Whatever was not as it should be. */
  readonly problems: readonly string[];
}

const PREFIX = "chaos";
const BACKENDS = Array.from({ length: 4 }, (_, i) => `${PREFIX} ${i}`);
const MAX_SKEW_MS = 1_000;
const INSTANCE = {
  prefix: PREFIX,
  backends: BACKENDS,
  // With their flushes, so that tenants come and go all the time.
  tenants: 12,
  idleMs: 500,
  flushIntervalMs: 1_000,
  timeoutMs: 5_000,
  stepMs: 15,
  reports: true,
};

/** Of every other instance: used up again and again, of one backend after another. */
const LIMITED = { limit: 200, waveMs: 12_000, share: 0.7, leaseMs: 4_000 };

/** Lets several instances count while everything fails, and compares what they counted with what is stored. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { size, rounds, durationMs = Number.POSITIVE_INFINITY, clockOffsetMs = 0, idle = 0 } = options;
  const { signal, onProgress, onProblem } = options;
  await using arena = await Arena.start();
  const folder = await mkdtemp(join(tmpdir(), "usage-chaos-"));
  const limited = { ...LIMITED, folder };
  const stored = new StoredUsage(arena.postgres.server.url);
  const views = new ViewCheck();
  const tenants = new TenantRecord();
  const problems: string[] = [];
  const losses: RedisLoss[] = [];
  const faults = new Map<string, number>();
  let reports = 0;
  let done = 0;
  const began = performance.now();
  const note = (...found: readonly string[]): void => {
    const seconds = Math.round((performance.now() - began) / 1_000);
    for (const problem of found.map((text) => `after ${seconds} s: ${text}`)) {
      problems.push(problem);
      onProblem?.(problem);
    }
  };
  const crew = new Crew({
    size,
    settingsOf: (place) => ({
      ...INSTANCE,
      idle,
      redisUrl: arena.redis.url,
      databaseUrl: arena.databaseUrl,
      ...(place % 2 === 1 && { limited }),
      clockOffsetMs: clockOffsetMs + MAX_SKEW_MS * ((2 * (place % size)) / Math.max(1, size - 1) - 1),
    }),
    onStep(writer, report) {
      const { period, step, view, takenUp } = report;
      reports += 1;
      views.plan(period, step);
      tenants.take(writer, report);
      // What others had told before this was seen is in their pipes: the event loop reads all of them in one turn.
      setImmediate(() => setImmediate(() => note(...views.see(writer, period, view, takenUp))));
    },
    onProblem: note,
    signal,
  });
  const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal });

  const runLane = async <T>(name: string, table: Faults<T>, target: T, acts: readonly Act[]): Promise<void> => {
    for (const act of acts) {
      const fault = table[act.kind];
      if (fault === undefined) throw new Error(`there is no fault ${JSON.stringify(act.kind)} of ${name}`);
      await pause(act.afterMs);
      let keys: readonly string[] = [];
      await fault.inject(target, act, pause, (lost) => {
        keys = lost;
      });
      if (fault.loses === true) losses.push({ kind: act.kind, untilMs: Date.now(), keys });
      faults.set(`${name}: ${act.kind}`, (faults.get(`${name}: ${act.kind}`) ?? 0) + 1);
    }
  };
  const tell = (): void => {
    const seconds = (performance.now() - began) / 1_000;
    const count = [...faults.values()].reduce((sum, times) => sum + times, 0);
    onProgress?.({ seconds, rounds: done, kills: crew.kills, faults: count, problems: problems.length });
  };
  const progress = setInterval(tell, 1_000);

  try {
    await crew.start();
    for (const round of rounds) {
      // Even when one of them fails or all are to end: nobody starts a server again that was stopped meanwhile.
      const lanes = await Promise.allSettled([
        runLane("Redis", redisFaults, arena.redis, round.redis),
        runLane("Postgres", postgresFaults, arena.postgres, round.postgres),
        runLane("instance", instanceFaults, crew, round.kills),
        runLane("instance", instanceFaults, crew, round.freezes),
      ]);
      for (const lane of lanes) if (lane.status === "rejected") throw lane.reason;
      await arena.redis.settled();
      await arena.postgres.proxy.heal();
      note(...(await checkpoint({ crew, stored, losses, limited, signal })));
      await arena.redis.takeSnapshot();
      done += 1;
      if (performance.now() - began >= durationMs) break;
    }
    note(...(await finish({ crew, stored, losses, limited, signal })));
    const writers = crew.members.map(({ record }) => record);
    const byWriter = await stored.byWriter();
    const evidence = { writers, stored: byWriter, losses };
    const final = account(evidence);
    const { limits, problems: passed } = checkLimits({ ...evidence, uses: readUse(folder), leaseMs: limited.leaseMs });
    note(...final.problems, ...passed);
    return {
      versions: arena.versions,
      seconds: (performance.now() - began) / 1_000,
      rounds: done,
      faults,
      kills: crew.kills,
      failedStarts: crew.failedStarts,
      reports,
      tenants: tenants.counts(PREFIX, writers),
      losses,
      account: final,
      limits,
      idle,
      problems,
    };
  } finally {
    clearInterval(progress);
    await crew.end();
    await stored.end();
    await rm(folder, { recursive: true });
  }
}
