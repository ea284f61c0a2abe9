import type { IncomingMessage } from "node:http";
import type { Hold, StorageDimension, Usage } from "@usage/counter-core";
import type { Decision, UsageTracker } from "@usage/tracker";
import type { DimensionConfig, RouteConfig, RoutingPolicy } from "../../config/proxy-config.ts";
import type { RequestCosts } from "../../rules/cost-book.ts";
import { Pricing } from "../../rules/pricing.ts";
import type { RequestMeter } from "../../rules/request-meter.ts";
import { RouteTable, type Unrouted } from "../../rules/route-table.ts";
import type { QuestionKinds, Questions } from "../../tokens/question.ts";
import { askedHost } from "../http/forwarded.ts";
import type { BodyLength } from "../http/framing.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { betterRefusal, isPassing } from "./better-refusal.ts";
import { type BodyDimension, type ExactLimits, HOLDING } from "./body-room.ts";
import { type Books, booksOf } from "./books.ts";
import { Reservation } from "./reservation.ts";

export interface RouterOptions {
  readonly tracker: UsageTracker;
  /** In order of preference. */
  readonly upstreams: readonly Upstream[];
  readonly policy: RoutingPolicy;
  /** Which requests get which of them. @default every request may get every one */
  readonly routes?: readonly RouteConfig[] | undefined;
  /** What of the requests is counted besides themselves and their bytes. @default nothing */
  readonly dimensions?: ReadonlyMap<string, DimensionConfig> | undefined;
  /** Whether no limit may be passed, not even by what a running request moves. @default limits may be passed by that */
  readonly exact?: ExactLimits | undefined;
}

/** A request, and what it will use, as far as its head says it. */
export interface Demand {
  readonly request: IncomingMessage;
  /** Its path and query, as they are sent on. */
  readonly path: string;
  readonly bodyLength: BodyLength;
  /** Whether the response may have a body. */
  readonly expectsBody: boolean;
  /** What it costs by the rules of own dimensions. */
  readonly costs?: RequestCosts;
  /** What it asks models, by the protocol of whichever backend gets it. */
  readonly questions?: Questions;
  /** How long that is, where it is known. */
  readonly responseLength?: number;
}

export interface Admitted {
  readonly upstream: Upstream;
  readonly reservation: Reservation;
  /** Counts what the request costs besides itself and its bytes; absent: nothing. */
  readonly meter?: RequestMeter | undefined;
}

/** No upstream takes the request. */
export interface Refused {
  readonly upstream: undefined;
  /**
   * That of an upstream that would be taken over a limit: one where waiting helps (its reason is not `limit`) where there is any,
   * else the last one, in order, whose limit is above 0; undefined when limits refused nothing.
   */
  readonly decision: Decision<StorageDimension> | undefined;
  /** Why no rule gives the request to any upstream; absent where one does, or where there are none. */
  readonly unrouted?: Unrouted;
  /** Whether an upstream was passed over because it failed. */
  readonly unreachable: boolean;
  /**
   * Waits until there is room at the backend of `decision`. Rejects with the reason of `signal` when that is aborted. Absent where
   * waiting does not help, or is not configured.
   */
  readonly wait?: (signal: AbortSignal) => Promise<Admitted | Refused>;
}

/** Chooses the upstream of a request and reserves there what the request is known to use. */
export class Router {
  readonly #tracker: UsageTracker;
  readonly #books: Books;
  readonly #exact: ExactLimits | undefined;
  #upstreams: readonly Upstream[] = [];
  #policy: RoutingPolicy = "pack";
  #routes: RouteTable<Upstream> | undefined;
  #lendsCredentials = false;
  // Filled in anew for every request: whoever reads it keeps nothing of it.
  readonly #usage: Record<StorageDimension, number> = { apiRequests: 1, egressBytes: 0, ingressBytes: 0 };
  readonly #limits: Float64Array;
  readonly #pricing: Pricing;

  /** @throws UnknownBackendError for an upstream that the tracker's counter does not have. */
  constructor(options: RouterOptions) {
    this.#tracker = options.tracker;
    this.#books = booksOf(options.tracker);
    this.#exact = options.exact;
    this.#limits = new Float64Array(options.tracker.counter.dimensions.length);
    this.#pricing = new Pricing({ dimensions: options.dimensions, counted: options.tracker.counter.dimensions });
    this.update(options);
  }

  /** A request with what it costs by rules. */
  priced(demand: Demand): Demand {
    return this.#pricing.priced(demand);
  }

  /** What a request asks models, by the protocols of those that it may go to; undefined: nothing that costs tokens. */
  questionKinds(demand: Demand): QuestionKinds | undefined {
    return this.#pricing.countsTokens ? this.#pricing.questionKinds(demand, this.#pool(demand)) : undefined;
  }

  /** In order of preference. */
  get upstreams(): readonly Upstream[] {
    return this.#upstreams;
  }

  /** Whether any of them gets credentials of the proxy's own. */
  get lendsCredentials(): boolean {
    return this.#lendsCredentials;
  }

  /** Whether a rule is for this host by name; as `hostName` returns it. */
  namesHost(host: string): boolean {
    return this.#routes?.namesHost(host) === true;
  }

  /**
   * Takes over other upstreams for the requests to come; those that run end where they are.
   *
   * @throws UnknownBackendError for an upstream that the tracker's counter does not have; nothing changes then.
   */
  update({ upstreams, policy, routes }: Omit<RouterOptions, "tracker" | "exact" | "dimensions">): void {
    if (policy !== "pack" && policy !== "spread") {
      throw new RangeError(`policy must be "pack" or "spread", got ${String(policy)}`);
    }
    for (const { name } of upstreams) this.#tracker.counter.readLimits(name, this.#limits);
    const byName = new Map(upstreams.map((upstream) => [upstream.name, upstream]));
    this.#routes = routes && new RouteTable(routes, (name) => byName.get(name));
    this.#upstreams = upstreams;
    this.#lendsCredentials = upstreams.some(({ credentials }) => credentials?.dropsOwn === true);
    this.#policy = policy;
  }

  /** How bodies are kept within limits, too; undefined: they are not. */
  get exact(): ExactLimits | undefined {
    return this.#exact;
  }

  /** Why there is no room for so many more bytes of a body that is under way. Counts that. */
  cut({ name, traffic }: Upstream, dimension: BodyDimension, bytes: number): Decision<StorageDimension> {
    (traffic.cuts[this.#tracker.counter.dimensions.indexOf(dimension)] as number) += 1;
    // A length is a claim, and may be no amount.
    return this.#tracker.check(name, { [dimension]: Math.min(bytes, Number.MAX_SAFE_INTEGER) });
  }

  /** The upstream for a request, with its reservation made; `failed` are those that this request has tried in vain. */
  route(demand: Demand, failed: ReadonlySet<Upstream> | undefined): Admitted | Refused {
    const routed = this.#route(demand, failed, this.#mayWait);
    if (routed.upstream !== undefined || !this.#mayWait || !isPassing(routed.decision)) return routed;
    // What is at another backend at once is better than waiting, and waiting is better than a refusal.
    const { backend } = routed.decision;
    return { ...routed, wait: (signal) => this.#wait(backend, demand, failed, signal) };
  }

  /** As `route`, without the upstreams that are left alone because they failed, which stand in where there is no other; waits for nothing. */
  routeToWell(demand: Demand, failed: ReadonlySet<Upstream> | undefined, mayWait = false): Admitted | Refused {
    const usage = this.usageOf(demand);
    let best: Upstream | undefined;
    let bestPart = Number.POSITIVE_INFINITY;
    let refusal: Decision<StorageDimension> | undefined;
    let unreachable = false;
    const pool = this.#poolFor(demand);
    if (typeof pool === "string") return { upstream: undefined, decision: undefined, unreachable, unrouted: pool };
    for (const upstream of pool) {
      if (upstream.draining) continue;
      if (failed?.has(upstream) || !upstream.health.usable) {
        unreachable = true;
        continue;
      }
      // Tokens are counted of those whose answers tell them.
      if (demand.questions !== undefined) this.usageOf(demand, upstream);
      const admitted = this.#policy === "pack" ? this.#admit(upstream, usage, demand) : undefined;
      if (admitted !== undefined) return admitted;
      if (this.#policy === "pack" || !this.#tracker.withinLimits(upstream.name, usage)) {
        refusal = betterRefusal(refusal, this.#reject(upstream, usage, mayWait));
        continue;
      }
      const part = this.#usedPart(upstream);
      if (part < bestPart) {
        best = upstream;
        bestPart = part;
      }
    }
    const admitted = best && this.#admit(best, this.usageOf(demand, best), demand);
    return admitted ?? { upstream: undefined, decision: refusal, unreachable };
  }

  get #mayWait(): boolean {
    // fault: refuses what would have room in a moment
    return this.#exact !== undefined && this.#exact.waitMs > 0;
  }

  #route(demand: Demand, failed: ReadonlySet<Upstream> | undefined, mayWait: boolean): Admitted | Refused {
    const routed = this.routeToWell(demand, failed, mayWait);
    if (routed.upstream !== undefined || !routed.unreachable) return routed;
    for (const upstream of this.#pool(demand)) {
      if (upstream.draining || failed?.has(upstream) || upstream.health.usable) continue;
      // fault: leaves a backend alone that failed once where there is no other
      const admitted = upstream.health.mayStandIn
        ? this.#admit(upstream, this.usageOf(demand, upstream), demand)
        : undefined;
      if (admitted !== undefined) return admitted;
    }
    return routed;
  }

  async #wait(
    backend: string,
    demand: Demand,
    failed: ReadonlySet<Upstream> | undefined,
    signal: AbortSignal,
  ): Promise<Admitted | Refused> {
    const { waitMs } = this.#exact ?? { waitMs: 0 };
    const options = { ...HOLDING, waitMs, signal };
    const asked = this.#pool(demand).find(({ name }) => name === backend);
    const hold = await this.#tracker.reserve(backend, this.usageOf(demand, asked), options).catch((error: unknown) => {
      // The backend may have been let go of meanwhile.
      if (signal.aborted) throw error;
    });
    const upstream = this.#pool(demand).find(({ name, draining }) => name === backend && !draining);
    if (hold && upstream) return this.#admitted(upstream, hold, this.usageOf(demand, upstream), demand);
    hold?.void();
    return this.#route(demand, failed, false);
  }

  /** Those that a request may go to, by the rules of now: they may have changed since it was asked for the last time. */
  #poolFor({ request, path }: Demand): readonly Upstream[] | Unrouted {
    if (this.#routes === undefined) return this.#upstreams;
    return this.#routes.poolOf({ method: request.method ?? "", path, host: askedHost(request) });
  }

  #pool(demand: Demand): readonly Upstream[] {
    const pool = this.#poolFor(demand);
    return typeof pool === "string" ? [] : pool;
  }

  /** Keeps room for what a request will use; undefined where there is none. */
  #admit(upstream: Upstream, usage: Readonly<Usage>, demand: Demand): Admitted | undefined {
    const hold = this.#tracker.tryReserve(upstream.name, usage, HOLDING);
    return hold && this.#admitted(upstream, hold, usage, demand);
  }

  #admitted(upstream: Upstream, hold: Hold, usage: Readonly<Usage>, demand: Demand): Admitted {
    const reservation = new Reservation(hold, usage, this.#books, this.#exact);
    return { upstream, reservation, meter: this.#pricing.meterOf(demand, upstream, reservation) };
  }

  /** Counts what was in the way of a request, and tells. What may be waited for is not in the way yet. */
  #reject({ name, traffic }: Upstream, proposed: Readonly<Usage>, mayWait: boolean): Decision<StorageDimension> {
    const decision = this.#tracker.check(name, proposed);
    if (mayWait && isPassing(decision)) return decision;
    const { exceeded, usage, limits } = decision;
    traffic.passedBy += 1;
    for (const dimension of exceeded) {
      const d = this.#tracker.counter.dimensions.indexOf(dimension);
      (traffic.rejections[d] as number) += 1;
      const usedUp = usage[dimension] + proposed[dimension] > (limits[dimension] ?? Number.POSITIVE_INFINITY);
      if (!usedUp) (traffic.reservationRejections[d] as number) += 1;
    }
    return decision;
  }

  /**
   * What a request is known to use. A body of unknown length counts as one byte: it must find room, however little. It is filled in
   * anew for every request.
   *
   * @param upstream where it would go. @default wherever it may
   */
  usageOf(demand: Demand, upstream?: Upstream): Readonly<Usage> {
    const { bodyLength, expectsBody, responseLength = expectsBody ? 1 : 0 } = demand;
    this.#usage.egressBytes = responseLength;
    this.#usage.ingressBytes = bodyLength === "chunked" ? 1 : bodyLength;
    this.#pricing.fill(this.#usage, demand, upstream);
    return this.#usage;
  }

  /** The largest part of any limit above 0 that is used or held; 0 without such limits. */
  #usedPart({ name }: Upstream): number {
    const { usage, held, limits } = this.#tracker.check(name, {});
    let part = 0;
    for (const dimension of this.#tracker.counter.dimensions) {
      const limit = limits[dimension] ?? 0;
      if (limit > 0) part = Math.max(part, (usage[dimension] + held[dimension]) / limit);
    }
    return part;
  }
}
