import {
  amountOf,
  type Clock,
  type LocalCounterBackend,
  type Period,
  type PeriodScheme,
  type Tally,
} from "@usage/counter-core";
import type { Chores } from "./chores.ts";
import type { RedisMessage } from "./events.ts";
import type { PushLoop } from "./push-loop.ts";
import { RETENTION_MS } from "./retention.ts";
import type { SharedCounts } from "./shared-counts.ts";

const FIRST_PASS_AGE_MS = 60_000;

interface ReconcilerParts {
  readonly local: LocalCounterBackend<string>;
  readonly counts: SharedCounts;
  readonly loop: PushLoop;
  readonly periods: PeriodScheme;
  readonly clock: Clock;
  readonly chores: Chores;
  readonly publish: (message: RedisMessage) => void;
}

interface Pass {
  /** Whether there was anything to store. */
  readonly found: boolean;
  readonly next: { readonly start: number; readonly atMs: number };
}

const NEVER_READ: Pass["next"] = { start: Number.NaN, atMs: Number.NEGATIVE_INFINITY };

/**
 * Finds what others shared and did not live to store. Whoever finds it stores it; doing that twice, by two instances, or
 * while its writer still lives, is harmless.
 *
 * In the current period the sums tell: what others had shared at the last flush and the store lacks an interval later will
 * not come by itself. Nobody watches a period that is over, so all of it is read: at the first flush, since everybody may
 * have died in it, and again at ever longer intervals, for those who shared the last of it late. Where nobody was there in
 * it, nobody has read the period before it either, and so on.
 */
export class Reconciler {
  readonly #parts: ReconcilerParts;
  /** When the period that starts at `start`, the last one that is over, is read next. */
  #nextPass: Pass["next"] = NEVER_READ;
  /** What cannot be read, by period and backend, and why. */
  readonly #refusals = new Map<string, string>();
  /** What `missing` last read of periods that are over, until it is stored. */
  #pass: Pass | undefined;

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /** From here on, what others had shared now is expected in the store. */
  noteFlush(): void {
    for (const backend of this.#parts.loop.current().backends) backend.noteFlush();
  }

  /** The store has lost what it had: all that others shared is looked for once more. */
  unsettle(): void {
    this.#parts.loop.current().forgetStored();
    this.#nextPass = NEVER_READ;
    this.#pass = undefined;
  }

  /** Tallies of other writers that the store may lack. What cannot be read now is found at a later flush. */
  async missing(): Promise<readonly Tally[]> {
    this.#pass = undefined;
    const { chores } = this.#parts;
    const current = await chores.run("reconcile", () => this.#ofCurrentPeriod());
    // One wait for a Redis that is away is enough.
    if (chores.isOut("reconcile")) return [];
    // fault: does not reconcile the period before when it starts
    const ended = await chores.run("reconcile-ended", () => this.#ofEndedPeriod());
    return [...(current ?? []), ...(ended ?? [])];
  }

  /** What `missing` answered is stored, and with it, of each backend that it is about, what all others had shared. */
  settled(stored: readonly Tally[]): void {
    const { loop, local } = this.#parts;
    const current = loop.current();
    const others = Map.groupBy(
      stored.filter((tally) => !isOwn(tally, local.writer)),
      (tally) => tally.period === current.period.key,
    );
    const ofCurrent = others.get(true) ?? [];
    for (const [name, all] of Map.groupBy(ofCurrent, ({ backend }) => backend)) {
      const sumOf = (dimension: string) => all.reduce((sum, { usage }) => sum + amountOf(usage, dimension), 0);
      current.noteStored(name, local.dimensions.map(sumOf));
    }
    // Another flush than the one that carried what was read, one without Redis say, proves nothing.
    if (this.#pass === undefined || (this.#pass.found && !others.has(false))) return;
    this.#nextPass = this.#pass.next;
    this.#pass = undefined;
  }

  async #ofCurrentPeriod(): Promise<readonly Tally[]> {
    const { loop, local } = this.#parts;
    const { period, backends } = loop.current();
    // fault: does not reconcile
    const suspects = backends.filter((backend) => backend.isMissingInStore());
    this.noteFlush();
    const names = await this.#registered(period);
    const known = new Set(local.backends());
    // fault: reconciles only backends that it counts itself
    const unknown = names.filter((name) => !known.has(name));
    return this.#read(period, [...suspects.map(({ name }) => name), ...unknown]);
  }

  async #ofEndedPeriod(): Promise<readonly Tally[]> {
    const { loop, local, periods, clock } = this.#parts;
    const nowMs = clock.now();
    const ended = periods.at(loop.current().period.start - 1);
    const isFirst = this.#nextPass.start !== ended.start;
    if ((!isFirst && nowMs < this.#nextPass.atMs) || nowMs >= ended.end + RETENTION_MS) return [];
    let names = await this.#registered(ended);
    const rows = [...(await this.#read(ended, [...new Set([...names, ...local.backends()])]))];
    for (let period = ended; names.length === 0; ) {
      period = periods.at(period.start - 1);
      if (nowMs >= period.end + RETENTION_MS) break;
      names = await this.#registered(period);
      rows.push(...(await this.#read(period, names)));
    }
    const atMs = ended.end + Math.max(FIRST_PASS_AGE_MS, 2 * (nowMs - ended.end));
    this.#pass = { found: rows.length > 0, next: { start: ended.start, atMs } };
    return rows;
  }

  #registered(period: Period): Promise<readonly string[]> {
    const { loop, counts } = this.#parts;
    return loop.exchange(
      () => counts.registered(period),
      (names) => names,
    );
  }

  async #read(period: Period, backends: readonly string[]): Promise<readonly Tally[]> {
    const { loop, counts, local } = this.#parts;
    const rows: Tally[] = [];
    for (let start = 0; start < backends.length; start += counts.batchSize) {
      const batch = backends.slice(start, start + counts.batchSize);
      await loop.exchange(
        () => counts.read(period, batch),
        (replies) => {
          replies.forEach(({ tallies, error }, i) => {
            for (const tally of tallies) if (!isOwn(tally, local.writer)) rows.push(tally);
            this.#note(period, batch[i] as string, error);
          });
        },
      );
    }
    return rows;
  }

  /** Tells once of counts that cannot be read, unless the push loop does, which tries those of our own backends. */
  #note(period: Period, backend: string, error: Error | undefined): void {
    const { loop, publish } = this.#parts;
    const key = JSON.stringify([period.key, backend]);
    const told = this.#refusals.get(key);
    if (error === undefined) this.#refusals.delete(key);
    else this.#refusals.set(key, error.message);
    if (error === undefined || told === error.message) return;
    const isPushed = loop.current().period.start === period.start && loop.current().get(backend)?.isRefused === true;
    // fault: passes over in silence what cannot be read
    if (!isPushed) publish({ event: "refused", period: period.key, backend, error });
  }
}

/** Our own counts are in our own tallies, as far as they are not stored. */
function isOwn(tally: Tally, writer: string): boolean {
  return tally.writer === writer || tally.writer.startsWith(`${writer}.`);
}
