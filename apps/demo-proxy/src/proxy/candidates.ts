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

  constructor(router: Router, demand: Demand) {
    this.#router = router;
    this.#demand = demand;
  }

  next(): Admitted | Refused {
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

  /** One that is well, in place of one that is too busy; undefined where there is none. */
  insteadOf(busy: Upstream): Admitted | undefined {
    this.passOver(busy);
    const routed = this.#router.routeToWell(this.#demand, this.#failed);
    if (routed.upstream === undefined) return undefined;
    this.#busy = busy;
    return routed;
  }
}
