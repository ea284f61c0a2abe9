import { STORAGE_DIMENSIONS, type StorageDimension } from "@usage/counter-core";
import type { Decision, UsageTracker } from "@usage/tracker";
import type { BodyLength } from "./framing.ts";
import { Reservation, type Reserved } from "./reservation.ts";
import type { Upstream } from "./upstream.ts";

/** `pack`: the first upstream in order that can take the request. `spread`: the one that has used the least part of its limits. */
export type RoutingPolicy = "pack" | "spread";

export interface RouterOptions {
  readonly tracker: UsageTracker;
  /** In order of preference. */
  readonly upstreams: readonly Upstream[];
  readonly policy: RoutingPolicy;
}

/** What a request will use, as far as its head says it. */
export interface Demand {
  readonly bodyLength: BodyLength;
  /** Whether the response may have a body. */
  readonly expectsBody: boolean;
}

export interface Admitted {
  readonly upstream: Upstream;
  readonly reservation: Reservation;
}

/** No upstream takes the request. */
export interface Refused {
  readonly upstream: undefined;
  /**
   * That of an upstream that would be taken over a limit: the last one, in order, whose limit is above 0, where there is any;
   * undefined when limits refused nothing.
   */
  readonly decision: Decision<StorageDimension> | undefined;
  /** Whether the request would fit somewhere beside what is used: only what is reserved leaves no room for it. */
  readonly onlyReserved: boolean;
  /** Whether an upstream was passed over because it failed. */
  readonly unreachable: boolean;
}

/** Chooses the upstream of a request and reserves there what the request is known to use. */
export class Router {
  readonly #tracker: UsageTracker;
  #upstreams: readonly Upstream[] = [];
  #policy: RoutingPolicy = "pack";
  // Filled in anew for every candidate: a check reads it and keeps nothing.
  readonly #proposal: Reserved = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };
  readonly #alone: Reserved = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };
  readonly #totals = new Float64Array(STORAGE_DIMENSIONS.length);
  readonly #limits = new Float64Array(STORAGE_DIMENSIONS.length);
  readonly #rejection = { onlyReserved: false, isClosed: false };

  /** @throws UnknownBackendError for an upstream that the tracker's counter does not have. */
  constructor(options: RouterOptions) {
    this.#tracker = options.tracker;
    this.update(options);
  }

  /** In order of preference. */
  get upstreams(): readonly Upstream[] {
    return this.#upstreams;
  }

  /**
   * Takes over other upstreams for the requests to come; those that run end where they are.
   *
   * @throws UnknownBackendError for an upstream that the tracker's counter does not have; nothing changes then.
   */
  update({ upstreams, policy }: Omit<RouterOptions, "tracker">): void {
    if (policy !== "pack" && policy !== "spread") {
      throw new RangeError(`policy must be "pack" or "spread", got ${String(policy)}`);
    }
    for (const { name } of upstreams) this.#tracker.counter.readLimits(name, this.#limits);
    this.#upstreams = upstreams;
    this.#policy = policy;
  }

  /** The upstream for a request, with its reservation made; `failed` are those that this request has tried in vain. */
  route(demand: Demand, failed: ReadonlySet<Upstream> | undefined): Admitted | Refused {
    const routed = this.routeToWell(demand, failed);
    if (routed.upstream !== undefined || !routed.unreachable) return routed;
    for (const upstream of this.#upstreams) {
      if (upstream.draining || failed?.has(upstream) || upstream.health.usable) continue;
      // fault: leaves a backend alone that failed once where there is no other
      if (upstream.health.mayStandIn && this.#admits(upstream, demand)) return this.#admit(upstream, demand);
    }
    return routed;
  }

  /** As `route`, without the upstreams that are left alone because they failed: they stand in where there is no other. */
  routeToWell(demand: Demand, failed: ReadonlySet<Upstream> | undefined): Admitted | Refused {
    let best: Upstream | undefined;
    let bestPart = Number.POSITIVE_INFINITY;
    let refusing: Upstream | undefined;
    let waiting: Upstream | undefined;
    let unreachable = false;
    for (const upstream of this.#upstreams) {
      if (upstream.draining) continue;
      if (failed?.has(upstream) || !upstream.health.usable) {
        unreachable = true;
      } else if (!this.#admits(upstream, demand)) {
        const { onlyReserved, isClosed } = this.#reject(upstream, demand);
        // Where nothing may be used there is never room; another one tells when there is some again.
        if (refusing === undefined || !isClosed) refusing = upstream;
        if (onlyReserved) waiting = upstream;
      } else if (this.#policy === "pack") {
        return this.#admit(upstream, demand);
      } else {
        const part = this.#usedPart(upstream);
        if (part < bestPart) {
          best = upstream;
          bestPart = part;
        }
      }
    }
    if (best !== undefined) return this.#admit(best, demand);
    if (waiting !== undefined) {
      const decision = this.#tracker.check(waiting.name, {});
      return { upstream: undefined, decision, onlyReserved: true, unreachable };
    }
    const decision = refusing && this.#tracker.check(refusing.name, this.#propose(refusing, demand));
    return { upstream: undefined, decision, onlyReserved: false, unreachable };
  }

  #admits(upstream: Upstream, demand: Demand): boolean {
    return this.#tracker.withinLimits(upstream.name, this.#propose(upstream, demand));
  }

  /**
   * Counts that a limit was in the way of a request. Whether only what is reserved was, and whether a limit of 0 was.
   * Valid until the next call.
   */
  #reject(
    { name, reserved, traffic }: Upstream,
    demand: Demand,
  ): { readonly onlyReserved: boolean; readonly isClosed: boolean } {
    const rejection = this.#rejection;
    const [proposal, alone] = [propose(this.#proposal, reserved, demand), propose(this.#alone, NOTHING, demand)];
    const { counter } = this.#tracker;
    counter.readTotal(name, this.#totals);
    counter.readLimits(name, this.#limits);
    rejection.onlyReserved = true;
    rejection.isClosed = false;
    for (let d = 0; d < STORAGE_DIMENSIONS.length; d++) {
      const dimension = STORAGE_DIMENSIONS[d] as StorageDimension;
      const [used, limit] = [this.#totals[d] as number, this.#limits[d] as number];
      if (used + proposal[dimension] <= limit) continue;
      (traffic.rejections[d] as number) += 1;
      if (limit === 0) rejection.isClosed = true;
      // fault: takes what is only reserved for used up
      const usedUp = used + alone[dimension] > limit;
      if (usedUp) rejection.onlyReserved = false;
      else (traffic.reservationRejections[d] as number) += 1;
    }
    return rejection;
  }

  #admit(upstream: Upstream, demand: Demand): Admitted {
    // Exactly what was proposed, so that it is not proposed again while this request runs.
    const declared = demand.bodyLength === "chunked" ? 1 : demand.bodyLength;
    const reservation = new Reservation(upstream.name, this.#tracker, upstream.reserved, declared);
    if (demand.expectsBody) reservation.expectEgress(1);
    return { upstream, reservation };
  }

  /** What would be used at an upstream if the request were admitted. */
  #propose(upstream: Upstream, demand: Demand): Readonly<Reserved> {
    return propose(this.#proposal, upstream.reserved, demand);
  }

  /** The largest part of any limit above 0 that is used or reserved; 0 without such limits. */
  #usedPart(upstream: Upstream): number {
    const { usage, limits } = this.#tracker.check(upstream.name, {});
    let part = 0;
    for (const dimension of this.#tracker.counter.dimensions) {
      const limit = limits[dimension] ?? 0;
      if (limit > 0) part = Math.max(part, (usage[dimension] + upstream.reserved[dimension]) / limit);
    }
    return part;
  }
}

const NOTHING: Readonly<Reserved> = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };

/** A request on top of what is reserved. A body of unknown length counts as one byte: it must find room, however little. */
function propose(proposal: Reserved, reserved: Readonly<Reserved>, { bodyLength, expectsBody }: Demand): Reserved {
  proposal.apiRequests = reserved.apiRequests + 1;
  proposal.egressBytes = amount(reserved.egressBytes + (expectsBody ? 1 : 0));
  proposal.ingressBytes = amount(reserved.ingressBytes + (bodyLength === "chunked" ? 1 : bodyLength));
  return proposal;
}

/** Sums of declared lengths may pass the largest amount; that amount is over every limit, too. */
function amount(bytes: number): number {
  return Math.min(bytes, Number.MAX_SAFE_INTEGER);
}
