import { setTimeout as delay } from "node:timers/promises";
import { STORAGE_DIMENSIONS, type Usage } from "@usage/counter-core";
import { type AuditRow, audit, readStored, type UsageByBackend } from "./audit.ts";
import type { ProxyProcess } from "./proxy-process.ts";
import { sum } from "./sample-upstream.ts";
import type { Stage } from "./stage.ts";
import type { Kill } from "./story.ts";
import type { Traffic } from "./traffic.ts";

export interface Closing {
  readonly rows: readonly AuditRow[];
  readonly loss: Loss | undefined;
}

/** What a kill can cost. */
export interface Loss {
  readonly name: string;
  /** How long before the kill what it had counted may not have been passed on. */
  readonly lastMs: number;
  /** What it had moved in that time, which is the most that can be lost. */
  readonly most: Usage;
}

/** Counts are shared within some 25 ms, or stored with the next flush; on a machine that is very busy, a second later. */
const LATE_MS = 1_000;
const PATIENCE_MS = 20_000;

/** Ends the proxies once everything is stored, and compares all accounts. The traffic has ended. */
export async function close(stage: Stage, traffic: Traffic, kill: Kill | undefined): Promise<Closing> {
  const counted = await settledUsage(stage);
  await Promise.all(stage.roles.map(({ process }) => process?.stop()));
  const lastMs = LATE_MS + (stage.redis ? 0 : stage.scenario.flushMs);
  const upstreams = [...stage.upstreams];
  const losable = new Map(
    upstreams.map(([name, upstream]) => {
      const isLast = (proxy: string, atMs: number): boolean =>
        kill !== undefined && proxy === kill.name && atMs >= kill.atMs - lastMs && atMs < kill.untilMs;
      return [name, upstream.measured(({ proxy, atMs }) => isLast(proxy, atMs))];
    }),
  );
  const rows = audit({
    measured: new Map(upstreams.map(([name, upstream]) => [name, upstream.measured()])),
    counted,
    stored: readStored(stage.file, stage.firstPeriod.key),
    losable,
    unfinished: traffic.broken(),
  });
  return { rows, loss: kill && { name: kill.name, lastMs, most: sum([...losable.values()]) } };
}

/** What the first proxy has counted and heard of, once all of it is stored: what a killed one had shared is stored by the others. */
async function settledUsage({ roles, one, file, firstPeriod }: Stage): Promise<UsageByBackend> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    for (const { process } of roles) await process?.ask("/api/flush", "POST");
    const counted = await countedBy(one, firstPeriod.key);
    const rows = audit({ measured: counted, counted, stored: readStored(file, firstPeriod.key) });
    // What is not settled by then is a difference.
    if (rows.every(({ agrees }) => agrees) || performance.now() > deadline) return counted;
    await delay(100);
  }
}

interface History {
  readonly history: readonly { readonly period: string; readonly backend: string; readonly usage: Partial<Usage> }[];
}

/** Of this period what it counts, of those that ended meanwhile what its store has. */
async function countedBy(proxy: ProxyProcess, firstPeriod: string): Promise<UsageByBackend> {
  const { period, backends } = await proxy.usage();
  const { history } = (await proxy.ask(`/api/history?from=${firstPeriod}`)) as History;
  return new Map(
    backends.map(({ name, usage }) => {
      const before = history.filter((row) => row.backend === name && row.period !== period.key);
      const whole = STORAGE_DIMENSIONS.map((dimension) => {
        return [dimension, before.reduce((all, row) => all + (row.usage[dimension] ?? 0), usage[dimension])];
      });
      return [name, Object.fromEntries(whole)];
    }),
  );
}
