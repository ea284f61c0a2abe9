import type { Clock, UsageCounter } from "@usage/counter-core";
import type { Router } from "../../../proxy/admission/route.ts";
import type { OwnAnswers } from "../../../proxy/answers/own-answers.ts";
import { REFUSAL_CAUSES, type RefusalCause } from "../../../proxy/answers/refusal-counts.ts";
import type { Upstream } from "../../../proxy/upstream/upstream.ts";
import { CountReadings, type RecentCount } from "./recent-count.ts";

export interface RefusalsOptions {
  readonly answers: Pick<OwnAnswers, "refusals">;
  readonly router: Pick<Router, "upstreams">;
  readonly counter: Pick<UsageCounter, "period">;
  readonly clock: Clock;
  /** How often counts are read while nobody asks, in milliseconds. @default 10_000 */
  readonly intervalMs?: number;
}

/** Requests that this instance answered itself since no backend served them. */
export interface RefusalsReport extends RecentCount {
  /** Since when they are counted, ISO 8601: this run began then, or the period. */
  readonly since: string;
  /** Those by cause, the ones that there were any of in this period. */
  readonly causes: readonly (RecentCount & { readonly cause: RefusalCause })[];
}

/** What one backend did not take, or did not finish. Of this instance. */
export interface BackendRefusals {
  /** Requests that it was not chosen for because of a limit; another one may have taken them. */
  readonly passedBy: RecentCount;
  /** Requests that it broke off, before or after the head of its response. */
  readonly broken: RecentCount;
  /** Why it broke off the last of them, the subject being the backend; null when it broke none. */
  readonly brokenBy: { readonly code: string; readonly reason: string } | null;
}

/** Who was refused now and in this period, from readings of what is counted since the start: the request path knows nothing of it. */
export class Refusals {
  readonly #options: Required<RefusalsOptions>;
  readonly #startedMs: number;
  readonly #causes = REFUSAL_CAUSES.map((cause) => ({ cause, readings: new CountReadings() }));
  #backends = new Map<string, { readonly passedBy: CountReadings; readonly broken: CountReadings }>();
  #cancel: (() => void) | undefined;

  constructor(options: RefusalsOptions) {
    this.#options = { intervalMs: 10_000, ...options };
    this.#startedMs = options.clock.now();
  }

  /** Reads now, and then once per interval until it is stopped. */
  start(): void {
    const { router, clock, intervalMs } = this.#options;
    this.report();
    const names = new Set(router.upstreams.map(({ name }) => name));
    for (const name of this.#backends.keys()) if (!names.has(name)) this.#backends.delete(name);
    for (const upstream of router.upstreams) this.of(upstream);
    this.#cancel = clock.after(intervalMs, () => this.start());
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** In all. Takes a further reading. */
  report(): RefusalsReport {
    const { answers, counter, clock } = this.#options;
    const [{ key, start }, atMs] = [counter.period(), clock.now()];
    const causes = this.#causes.map(({ cause, readings }) => {
      return { cause, ...readings.read(answers.refusals.of(cause), atMs, key) };
    });
    return {
      lastMinute: causes.reduce((sum, { lastMinute }) => sum + lastMinute, 0),
      thisPeriod: causes.reduce((sum, { thisPeriod }) => sum + thisPeriod, 0),
      since: new Date(Math.max(start, this.#startedMs)).toISOString(),
      causes: causes.filter(({ thisPeriod }) => thisPeriod > 0),
    };
  }

  /** By one backend. Takes a further reading. */
  of({ name, traffic }: Upstream): BackendRefusals {
    const { counter, clock } = this.#options;
    const [{ key }, atMs] = [counter.period(), clock.now()];
    let readings = this.#backends.get(name);
    if (readings === undefined) {
      readings = { passedBy: new CountReadings(), broken: new CountReadings() };
      this.#backends.set(name, readings);
    }
    const { brokenBy } = traffic;
    return {
      passedBy: readings.passedBy.read(traffic.passedBy, atMs, key),
      broken: readings.broken.read(traffic.broken, atMs, key),
      brokenBy: brokenBy === undefined ? null : { code: brokenBy.code, reason: brokenBy.reason },
    };
  }
}
