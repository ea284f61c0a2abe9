import { isWrittenBy, type StoredInstance, type UsageStore, type WriterUsage } from "@usage/counter-core";
import type { Heartbeats } from "../../counting/heartbeats.ts";
import { jsonPieces } from "../json-pieces.ts";
import { type Answer, okBytes, refuse } from "../problem.ts";
import type { ApiParts } from "./api-parts.ts";
import { withStore } from "./with-store.ts";

export interface InstanceParts extends ApiParts {
  readonly heartbeats: Pick<Heartbeats, "lastMs">;
}

/** What `GET /api/instances` answers. Instants are ISO 8601. */
export interface InstancesReport {
  /** When it was made, by the proxy's clock. */
  readonly at: string;
  readonly period: string;
  /** What is stored of this period by none of the instances, as by imports. */
  readonly others: Amounts;
  /** This one, then those that live, then those that do not, the last heard first. */
  readonly instances: readonly InstanceReport[];
}

export interface InstanceReport {
  /** The name under which it counts. */
  readonly id: string;
  /** Whether it is the one that answers. */
  readonly self: boolean;
  readonly state: InstanceState;
  readonly startedAt: string;
  /** When the store last heard of it, by the store's clock; null where it never said that it is there. */
  readonly seenAt: string | null;
  readonly stoppedAt: string | null;
  readonly version: string | null;
  readonly host: string | null;
  readonly pid: number | null;
  /** Where it listens. */
  readonly address: string | null;
  /** What is stored of this period that it counted. */
  readonly usage: Amounts;
}

/** `silent`: it was not heard of for some time, killed or cut off; `unknown`: it counted in this period and never said who it is. */
export type InstanceState = "live" | "silent" | "stopped" | "unknown";

type Amounts = Readonly<Record<string, number>>;

/** Those who were heard of so lately live, and those who were within three flushes. */
const LIVE_MS = 60_000;
const FLUSHES = 3;
const ORDER: readonly InstanceState[] = ["live", "silent", "stopped", "unknown"];
const UUID_V7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-/;

/** Answers `GET /api/instances`. */
export function instances(parts: InstanceParts): Answer | Promise<Answer> {
  const { store, turns } = parts;
  if (!isMeeting(store)) {
    return refuse({ status: 404, title: "No instances", detail: "The store keeps no instances." });
  }
  return withStore(async () => {
    const { instances: list, ...head } = await report(parts, store);
    return okBytes(await turns.encode(jsonPieces(head, "instances", list)));
  });
}

type Meeting = Required<Pick<UsageStore, "instances" | "writers">>;

function isMeeting(store: Pick<UsageStore, "instances" | "writers">): store is Meeting {
  return store.instances !== undefined && store.writers !== undefined;
}

async function report(parts: InstanceParts, store: Meeting): Promise<InstancesReport> {
  const { tracker, clock, inForce } = parts;
  const { counter } = tracker;
  const { key: period } = counter.period();
  const [known, writers] = await Promise.all([store.instances(), store.writers(period)]);
  const nowMs = clock.now();
  const quietMs = Math.max(LIVE_MS, FLUSHES * inForce().flush.intervalMs);
  const storeNowMs = storeNow(parts, known, nowMs);
  const runs = Map.groupBy(writers, ({ writer }) => runOf(writer));
  const zero = Object.fromEntries(parts.store.dimensions.map((dimension) => [dimension, 0]));
  const usageOf = (id: string): Amounts => {
    const own = runs.get(id) ?? [];
    runs.delete(id);
    return own.reduce((sum, { usage }) => plus(sum, usage), zero);
  };
  const said = known.map((one): InstanceReport => {
    const { version = null, host = null, address = null, pid } = one.labels;
    // fault: takes an instance that was killed for a living one
    const isQuiet = storeNowMs - one.seenAt > quietMs;
    const state = one.stoppedAt !== undefined ? "stopped" : isQuiet ? "silent" : "live";
    return {
      id: one.id,
      self: one.id === counter.writer,
      state: one.id === counter.writer ? "live" : state,
      startedAt: iso(one.startedAt),
      seenAt: iso(one.seenAt),
      stoppedAt: one.stoppedAt === undefined ? null : iso(one.stoppedAt),
      version,
      host,
      pid: pid === undefined ? null : Number(pid),
      address,
      usage: usageOf(one.id),
    };
  });
  const unknown = Array.from(runs.keys()).flatMap((id) => {
    const startedMs = beginOf(id);
    return startedMs === undefined ? [] : [unknownReport(id, startedMs, id === counter.writer, usageOf(id))];
  });
  const others = Array.from(runs.values())
    .flat()
    .reduce((sum, { usage }) => plus(sum, usage), zero);
  const rank = ({ self, state }: InstanceReport): number => (self ? -1 : ORDER.indexOf(state));
  return {
    at: iso(nowMs),
    period,
    others,
    // The store has the last heard first.
    instances: [...said, ...unknown].sort((a, b) => rank(a) - rank(b)),
  };
}

function unknownReport(id: string, startedMs: number, self: boolean, usage: Amounts): InstanceReport {
  const nothing = { seenAt: null, stoppedAt: null, version: null, host: null, pid: null, address: null };
  return { id, self, state: self ? "live" : "unknown", startedAt: iso(startedMs), ...nothing, usage };
}

/** By the clock that says when instances were heard of: what this one heard of itself tells how the two differ. */
function storeNow({ tracker, heartbeats }: InstanceParts, known: readonly StoredInstance[], nowMs: number): number {
  const self = known.find(({ id }) => id === tracker.counter.writer);
  const { lastMs } = heartbeats;
  return self === undefined || lastMs === undefined ? nowMs : self.seenAt + Math.max(0, nowMs - lastMs);
}

/** The run that counts under a name, of whatever generation. */
function runOf(writer: string): string {
  const end = writer.indexOf(".");
  const run = end === -1 ? writer : writer.slice(0, end);
  return UUID_V7.test(run) && isWrittenBy({ writer }, run) ? run : writer;
}

/** When a run began, as its name says; undefined for what is no run's name. */
function beginOf(id: string): number | undefined {
  const [, high, low] = UUID_V7.exec(id) ?? [];
  return high === undefined || low === undefined ? undefined : Number.parseInt(high + low, 16);
}

function plus(sum: Amounts, usage: WriterUsage["usage"]): Amounts {
  return Object.fromEntries(
    Object.entries(sum).map(([dimension, amount]) => [
      dimension,
      Math.min(Number.MAX_SAFE_INTEGER, amount + (Object.hasOwn(usage, dimension) ? (usage[dimension] ?? 0) : 0)),
    ]),
  );
}

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
