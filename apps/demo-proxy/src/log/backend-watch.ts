import { type Clock, STORAGE_DIMENSIONS, type StorageDimension } from "@usage/counter-core";
import type { UsageTracker } from "@usage/tracker";
import { amountsOf } from "../counting/amounts-of.ts";
import { usedUp } from "../counting/used-up.ts";
import type { Router } from "../proxy/admission/route.ts";
import type { Upstream } from "../proxy/upstream/upstream.ts";
import type { Log } from "./logger.ts";

export interface BackendWatchOptions {
  readonly router: Pick<Router, "upstreams">;
  readonly tracker: Pick<UsageTracker, "check" | "counter">;
  readonly clock: Clock;
  readonly log: Log;
  /** How often it looks, in milliseconds. @default 1_000 */
  readonly intervalMs?: number;
}

interface Seen {
  readonly exceeded: readonly StorageDimension[];
  readonly draining: boolean;
  readonly reachable: boolean;
  readonly trouble: Upstream["trouble"];
  /** Requests that what is only reserved has refused so far, and whether there were any since the look before. */
  readonly delayed: number;
  readonly delaying: boolean;
  /** The answers that it had broken off when that was last told. */
  readonly broken: Told;
}

interface Told {
  readonly count: number;
  readonly code: string;
  readonly atMs: number;
}

const NOT_TOLD: Told = { count: 0, code: "", atMs: Number.NEGATIVE_INFINITY };
const WELL: Seen = {
  exceeded: [],
  draining: false,
  reachable: true,
  trouble: undefined,
  delayed: 0,
  delaying: false,
  broken: NOT_TOLD,
};
/** One line a minute for answers that break for one and the same reason. */
const BROKEN_MS = 60_000;

/**
 * Says once when a backend reaches a limit and once when it has left it, when it is drained, when it is gone and back, and why, and why
 * it breaks off answers. It looks at intervals: the request path knows nothing of it, and what changes to and fro in between is one change or none.
 */
export class BackendWatch {
  readonly #options: BackendWatchOptions;
  #seen: ReadonlyMap<string, Seen> = new Map();
  #cancel: () => void = () => {};

  constructor(options: BackendWatchOptions) {
    this.#options = options;
  }

  /** Looks now, and then once per interval until it is stopped. What is as it should be at first is not worth a word. */
  start(): void {
    const { clock, intervalMs = 1_000 } = this.#options;
    this.look();
    this.#cancel = clock.after(intervalMs, () => this.start());
  }

  stop(): void {
    this.#cancel();
  }

  look(): void {
    const seen = new Map<string, Seen>();
    for (const upstream of this.#options.router.upstreams) {
      const before = this.#seen.get(upstream.name) ?? WELL;
      const now = this.#stateOf(upstream, before);
      this.#tell(upstream, before, now);
      seen.set(upstream.name, { ...now, broken: this.#tellBroken(upstream, before.broken) });
    }
    this.#seen = seen;
  }

  #stateOf(upstream: Upstream, before: Seen): Omit<Seen, "broken"> {
    // The least that the proxy proposes for a request with a body: whatever is used up is told.
    const { tracker } = this.#options;
    const least = amountsOf(tracker.counter.dimensions, 1);
    const exceeded = usedUp(tracker.check(upstream.name, least), least);
    const delayed = upstream.traffic.reservationRejections.reduce((sum, count) => sum + count, 0);
    return {
      exceeded,
      draining: upstream.draining,
      reachable: upstream.isReachable(),
      trouble: upstream.trouble,
      delayed,
      delaying: delayed > before.delayed && exceeded.length === 0,
    };
  }

  #tell({ name, inFlight }: Upstream, before: Seen, now: Omit<Seen, "broken">): void {
    const { log, tracker } = this.#options;
    const backend = JSON.stringify(name);
    const closed = now.exceeded.length > 0;
    if (closed !== before.exceeded.length > 0) {
      const { usage, limits, period } = tracker.check(name, {});
      const fields = { backend: name, period: period.key, usage, limits };
      if (closed) {
        const dimensions = now.exceeded.join(", ");
        const isClosed = now.exceeded.every((dimension) => limits[dimension] === 0);
        const what = refusedBy(now.exceeded);
        const words = isClosed
          ? `${backend} takes no ${what}: its limit of ${dimensions} is 0`
          : `${backend} has reached its limit of ${dimensions} in ${period.key}`;
        log.warn({ event: "limit-reached", ...fields, exceeded: now.exceeded }, words);
      } else {
        log.info({ event: "limit-left", ...fields }, `${backend} is within its limits again`);
      }
    }
    if (now.draining !== before.draining) {
      const fields = { backend: name, inFlight };
      if (now.draining)
        log.info({ event: "drain", ...fields }, `${backend} gets no new requests; ${inFlight} are running`);
      else log.info({ event: "resume", ...fields }, `${backend} gets requests again`);
    }
    if (now.delaying !== before.delaying && (now.delaying || !closed)) {
      const fields = { backend: name, reserved: tracker.check(name, {}).held, inFlight };
      if (now.delaying) {
        const words = `${backend} has room left, but requests are refused for what ${inFlight} running ones have reserved`;
        log.warn({ event: "reservations-refuse", ...fields }, words);
      } else
        log.info(
          { event: "reservations-let-pass", ...fields },
          `${backend} takes requests beside the running ones again`,
        );
    }
    if (now.reachable !== before.reachable && !now.draining) {
      if (now.reachable) {
        log.info({ event: "backend-retried", backend: name }, `${backend} is tried again by the next request`);
      } else {
        const { code, reason, sinceMs = 0 } = now.trouble ?? {};
        const since = new Date(sinceMs).toISOString();
        log.warn(
          { event: "backend-unreachable", backend: name, code, reason, since },
          `${backend} is passed over: ${reason} (${code})`,
        );
      }
    }
    if (before.trouble !== undefined && now.trouble === undefined && !now.draining) {
      log.info({ event: "backend-recovered", backend: name }, `${backend} answers again`);
    }
  }

  #tellBroken({ name, traffic }: Upstream, told: Told): Told {
    const { broken: count, brokenBy } = traffic;
    if (brokenBy === undefined || count === told.count) return told;
    const { code, reason } = brokenBy;
    const atMs = this.#options.clock.now();
    if (code === told.code && atMs < told.atMs + BROKEN_MS) return told;
    const since = count - told.count;
    const words = `${JSON.stringify(name)} broke off ${since === 1 ? "an answer" : `${since} answers`}: ${reason} (${code})`;
    this.#options.log.warn({ event: "backend-broke-off", backend: name, answers: since, code, reason }, words);
    return { count, code, atMs };
  }
}

/** What a backend takes no more of. */
function refusedBy(exceeded: readonly StorageDimension[]): string {
  if (exceeded.every((dimension) => dimension === "ingressBytes")) return "bodies";
  if (exceeded.some((dimension) => STORAGE_DIMENSIONS.includes(dimension))) return "requests";
  return `requests that cost ${exceeded.join(" or ")}`;
}
