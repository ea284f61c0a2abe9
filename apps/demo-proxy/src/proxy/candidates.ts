import type { Admitted, Demand, Refused, Router } from "./route.ts";
import type { Upstream } from "./upstream.ts";

/** The upstreams that one request is tried at, one after the other. */
export class Candidates {
  readonly #router: Router;
  readonly #demand: Demand;
  /** Those that could not be connected to or were too busy. */
  #failed: Set<Upstream> | undefined;
  /** The last one that was too busy: it has the last word where no other one can be connected to. */
  #busy: Upstream | undefined;
  #waiting: AbortController | undefined;

  constructor(router: Router, demand: Demand) {
    this.#router = router;
    this.#demand = demand;
  }

  /** Tells the next one, or that there is none: at once, or once a backend has room for the request or has had none for too long. */
  next(tell: (routed: Admitted | Refused) => void): void {
    const routed = this.#next();
    if (routed.upstream !== undefined || routed.wait === undefined) tell(routed);
    else void this.#wait(routed.wait, tell);
  }

  /** Nothing more is told. */
  stop(): void {
    this.#waiting?.abort();
  }

  async #wait(wait: NonNullable<Refused["wait"]>, tell: (routed: Admitted | Refused) => void): Promise<void> {
    const waiting = new AbortController();
    this.#waiting = waiting;
    try {
      const routed = await wait(waiting.signal);
      if (!waiting.signal.aborted) tell(routed);
      else if (routed.upstream !== undefined) routed.reservation.release();
    } catch (error) {
      if (!waiting.signal.aborted) throw error;
    }
  }

  #next(): Admitted | Refused {
    const routed = this.#router.route(this.#demand, this.#failed);
    if (routed.upstream !== undefined || this.#busy === undefined) return routed;
    this.#failed?.delete(this.#busy);
    this.#busy = undefined;
    return this.#router.route(this.#demand, this.#failed);
  }

  /** This upstream could not be connected to. */
  passOver(upstream: Upstream): void {
    this.#failed ??= new Set();
    this.#failed.add(upstream);
  }

  /**
   * One that is well, in place of one that is too busy or has no room for its answer; undefined where there is none.
   *
   * @param responseLength how long that answer is.
   */
  insteadOf(busy: Upstream, responseLength?: number): Admitted | undefined {
    this.passOver(busy);
    const demand = responseLength === undefined ? this.#demand : { ...this.#demand, responseLength };
    const routed = this.#router.routeToWell(demand, this.#failed);
    if (routed.upstream === undefined) return undefined;
    this.#busy = busy;
    return routed;
  }
}
