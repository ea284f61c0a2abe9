import { setTimeout as delay } from "node:timers/promises";
import type { Usage } from "@usage/counter-core";
import type { ClientsReport } from "../src/admin/api/clients.ts";
import { type AuditRow, audit, readStored, type UsageByName } from "./audit.ts";
import { type LogEntry, sum } from "./sample-upstream.ts";
import { CLIENTS } from "./scenario.ts";
import type { Stage } from "./stage.ts";
import type { Kill } from "./story.ts";
import type { Traffic } from "./traffic.ts";

export interface Closing {
  readonly backends: readonly AuditRow[];
  readonly clients: readonly AuditRow[];
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

/** What is counted of backends and of clients. */
interface Counted {
  readonly backends: UsageByName;
  readonly clients: UsageByName;
}

/** Counts are shared within some 25 ms, or stored with the next flush; on a machine that is very busy, a second later. */
const LATE_MS = 1_000;
const PATIENCE_MS = 20_000;

/** Ends the proxies once everything is stored, and compares all accounts. The traffic has ended. */
export async function close(stage: Stage, traffic: Traffic, kill: Kill | undefined): Promise<Closing> {
  const counted = await settledUsage(stage);
  await Promise.all(stage.roles.map(({ process }) => process?.stop()));
  const lastMs = LATE_MS + (stage.redis ? 0 : stage.scenario.flushMs);
  const isLast = ({ proxy, atMs }: LogEntry): boolean =>
    kill !== undefined && proxy === kill.name && atMs >= kill.atMs - lastMs && atMs < kill.untilMs;
  const stored = storedBy(stage);
  const unfinished = traffic.broken();
  const logs = new Map(Array.from(stage.upstreams, ([name, { log }]) => [name, log]));
  const all = [...logs.values()].flat();
  const logsOfClients = new Map(CLIENTS.map((name) => [name, all.filter(({ client }) => client === name)]));
  const rowsOf = (whose: keyof Counted, logs: ReadonlyMap<string, readonly LogEntry[]>): readonly AuditRow[] =>
    audit({
      measured: new Map(Array.from(logs, ([name, log]) => [name, sum(log)])),
      counted: counted[whose],
      stored: stored[whose],
      losable: new Map(Array.from(logs, ([name, log]) => [name, sum(log.filter(isLast))])),
      unfinished,
    });
  return {
    backends: rowsOf("backends", logs),
    clients: rowsOf("clients", logsOfClients),
    loss: kill && { name: kill.name, lastMs, most: sum(all.filter(isLast)) },
  };
}

/** What the first proxy has counted and heard of, once all of it is stored: what a killed one had shared is stored by the others. */
async function settledUsage(stage: Stage): Promise<Counted> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    for (const { process } of stage.roles) await process?.ask("/api/flush", "POST");
    const counted = await countedBy(stage);
    const stored = storedBy(stage);
    const rows = [
      ...audit({ measured: counted.backends, counted: counted.backends, stored: stored.backends }),
      ...audit({ measured: counted.clients, counted: counted.clients, stored: stored.clients }),
    ];
    // What is not settled by then is a difference.
    if (rows.every(({ agrees }) => agrees) || performance.now() > deadline) return counted;
    await delay(100);
  }
}

function storedBy({ file, firstPeriod }: Stage): Counted {
  return {
    backends: readStored(file, firstPeriod.key),
    clients: readStored(file, firstPeriod.key, "usage_clients_tallies"),
  };
}

interface History {
  readonly history: readonly { readonly period: string; readonly backend: string; readonly usage: Partial<Usage> }[];
}

/** Of this period what the first proxy counts, of those that ended meanwhile what is stored. */
async function countedBy({ one, file, firstPeriod }: Stage): Promise<Counted> {
  const { period, backends } = await one.usage();
  const { history } = (await one.ask(`/api/history?from=${firstPeriod.key}`)) as History;
  const { clients } = (await one.ask("/api/clients")) as ClientsReport;
  const clientsBefore = readStored(file, firstPeriod.key, "usage_clients_tallies", period.key);
  return {
    backends: new Map(
      backends.map(({ name, usage }) => {
        const before = history.filter((row) => row.backend === name && row.period !== period.key);
        return [name, sumOf([usage, ...before.map((row) => row.usage)])];
      }),
    ),
    clients: new Map(
      clients.map(({ name, windows }) => [name, sumOf([windows.month?.usage, clientsBefore.get(name)])]),
    ),
  };
}

function sumOf(usages: readonly (Partial<Usage> | undefined)[]): Usage {
  return sum(usages.map((usage) => ({ apiRequests: 0, egressBytes: 0, ingressBytes: 0, ...usage })));
}
