import { Redis } from "ioredis";
import { Child } from "../child.ts";
import type { InstanceOptions, InstanceOrder, InstanceRun } from "./fleet-instance.ts";

/** Several processes that share one limit. */
export interface FleetOptions extends Pick<InstanceOptions, "url" | "enforcement" | "limit" | "roundMs"> {
  readonly load: Load;
  readonly runMs: number;
}

export type Load = "even" | "skewed";

export interface FleetRun {
  readonly requests: number;
  readonly admitted: number;
  /** Before the first request anywhere was refused. */
  readonly admittedBefore: number;
  /** To Redis, for each request. */
  readonly commandShare: number;
  readonly waitsMs: readonly number[];
}

export const PROCESSES = 8;
export const REQUESTS_PER_SECOND = 12_000;

export async function runFleet({ load, runMs, ...options }: FleetOptions): Promise<FleetRun> {
  const admin = new Redis(options.url);
  await admin.flushall();
  admin.disconnect();
  const children: Child[] = [];
  try {
    for (const [number, share] of sharesOf(load).entries()) {
      const instance: InstanceOptions = { ...options, number, requestsPerSecond: share * REQUESTS_PER_SECOND };
      children.push(new Child("exact/fleet-instance.ts", { args: [JSON.stringify(instance)] }));
    }
    await Promise.all(children.map((child) => child.ask()));
    return summed(
      await Promise.all(children.map((child) => child.ask<InstanceRun>({ runMs } satisfies InstanceOrder))),
    );
  } finally {
    await Promise.all(children.map((child) => child.stop()));
  }
}

/** Skewed: each has half of what the one before it has, but for the last two, which have the same. */
function sharesOf(load: Load): readonly number[] {
  return Array.from({ length: PROCESSES }, (_, i) => {
    return load === "even" ? 1 / PROCESSES : 2 ** -Math.min(i + 1, PROCESSES - 1);
  });
}

function summed(runs: readonly InstanceRun[]): FleetRun {
  const sum = (of: (run: InstanceRun) => number): number => runs.reduce((total, run) => total + of(run), 0);
  const refusedAtMs = Math.min(...runs.map((run) => run.firstRefusalAtMs ?? Number.POSITIVE_INFINITY));
  return {
    requests: sum(({ requests }) => requests),
    admitted: sum(({ admitted }) => admitted),
    admittedBefore: sum(({ progress }) => progress.findLast(([atMs]) => atMs <= refusedAtMs)?.[1] ?? 0),
    commandShare: sum(({ commands }) => commands) / sum(({ requests }) => requests),
    waitsMs: runs.flatMap(({ waitsMs }) => waitsMs),
  };
}
