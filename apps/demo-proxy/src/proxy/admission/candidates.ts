import type { ClientDecision } from "../../clients/client-usage.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { BodyDimension } from "./body-room.ts";
import type { ClientAdmission, ClientRefused } from "./client-admission.ts";
import type { Reservation } from "./reservation.ts";
import type { Admitted, Demand, Refused, Router } from "./route.ts";

/** The upstreams that one request is tried at, one after the other, once its client may send it. */
export class Candidates {
  readonly #router: Router;
  #demand: Demand;
  /** Absent where clients are not known by name. */
  readonly #client: ClientAdmission | undefined;
  /** The last one's. */
  #reservation: Reservation | undefined;
  /** Those that could not be connected to or were too busy. */
  #failed: Set<Upstream> | undefined;
  /** The last one that was too busy: it has the last word where no other one can be connected to. */
  #busy: Upstream | undefined;
  #waiting: AbortController | undefined;

  constructor(router: Router, demand: Demand, client?: ClientAdmission) {
    this.#router = router;
    this.#demand = demand;
    this.#client = client;
  }

  /** The request asks a model something. To be told before `next`. */
  ask(questions: NonNullable<Demand["questions"]>): void {
    this.#demand = { ...this.#demand, questions };
  }

  /**
   * Tells the next one, or that there is none: at once, or once the client or a backend has room for the request or has had none for
   * too long.
   */
  next(tell: (routed: Admitted | Refused | ClientRefused) => void): void {
    const refused = this.#client?.enter(this.#router.usageOf(this.#demand));
    if (refused === undefined) this.#route(tell);
    else if (refused.wait === undefined) tell(refused);
    else void this.#wait(refused.wait, (later) => (later === undefined ? this.#route(tell) : tell(later)));
  }

  /** Nothing more is told. */
  stop(): void {
    this.#waiting?.abort();
  }

  /** The request is over: for its client nothing is kept free any more. May be called again. */
  end(): void {
    this.#client?.leave();
  }

  #route(tell: (routed: Admitted | Refused) => void): void {
    const routed = this.#next();
    if (routed.upstream !== undefined || routed.wait === undefined) this.#tell(routed, tell);
    else void this.#wait(routed.wait, (later) => this.#tell(later, tell));
  }

  #tell(routed: Admitted | Refused, tell: (routed: Admitted | Refused) => void): void {
    if (routed.upstream !== undefined) this.#admit(routed);
    else this.end();
    tell(routed);
  }

  #admit({ reservation }: Admitted): void {
    // What an upstream that was left still sends is nothing that the client gets.
    // fault: counts at a client what it never got
    this.#reservation?.unshare();
    this.#reservation = reservation;
    const side = this.#client?.side;
    if (side !== undefined) reservation.shareWith(side);
  }

  async #wait<T>(wait: (signal: AbortSignal) => Promise<T>, tell: (routed: T) => void): Promise<void> {
    const waiting = new AbortController();
    this.#waiting = waiting;
    try {
      const routed = await wait(waiting.signal);
      if (!waiting.signal.aborted) tell(routed);
      else {
        if (isAdmitted(routed)) routed.reservation.release();
        this.end();
      }
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
    // What its client has no room for, no other one can send.
    if (responseLength !== undefined && this.#client?.side?.expectEgress(responseLength) === false) return undefined;
    this.passOver(busy);
    const demand = responseLength === undefined ? this.#demand : { ...this.#demand, responseLength };
    const routed = this.#router.routeToWell(demand, this.#failed);
    if (routed.upstream === undefined) return undefined;
    this.#busy = busy;
    this.#admit(routed);
    return routed;
  }

  /** What its client's own limits leave; undefined where there are none. */
  get quota(): ClientDecision | undefined {
    return this.#client?.quota;
  }

  /** Whether it is the client that has no room for so many more bytes of a body, which is counted; undefined: it is not. */
  cutByClient(dimension: BodyDimension, bytes: number): ClientRefused | undefined {
    return this.#client?.cut(dimension, bytes);
  }
}

function isAdmitted(routed: unknown): routed is Admitted {
  return typeof routed === "object" && routed !== null && "reservation" in routed;
}
