import type { Awaitable, Hold, Usage } from "@usage/counter-core";
import { isThenable, messageOf } from "@usage/counter-core/internal";
import { Admitted } from "./admitted.ts";
import { assertMeterOptions, isAmounts, kindOf, type MeterOptions } from "./meter-options.ts";
import { dimensionsOf, type MeteredUsage } from "./metered-usage.ts";
import { QuotaHeaders } from "./quota-headers.ts";
import { type Refusal, refusedBy, refusedFor, refusedWithoutKey } from "./refusal.ts";

/** What becomes of a request. */
export type Verdict<D extends string> =
  | { readonly kind: "passed"; readonly headers: Readonly<Record<string, string>>; readonly admitted?: Admitted<D> }
  | { readonly kind: "refused"; readonly refusal: Refusal<D> }
  /** It passes without being counted. */
  | { readonly kind: "skipped" }
  /** Its client went away before it was admitted: nothing is counted, and there is nobody to answer. */
  | { readonly kind: "gone" };

const SKIPPED = { kind: "skipped" } as const;
const GONE = { kind: "gone" } as const;
/** Of more names, all are set once again: nobody's memory grows with all who ever came. */
const MAX_PLANS = 100_000;

/** What the middlewares have in common: it knows of no framework. */
export class Meter<D extends string, A extends readonly unknown[], R, L> {
  readonly #usage: MeteredUsage<D, L>;
  readonly #options: MeterOptions<D, A, R, L>;
  /** What was given last, by name. */
  readonly #plans = new Map<string, L | undefined>();
  readonly #cost: Partial<Usage<D>>;
  readonly #hasEnd: boolean;
  readonly #headers: QuotaHeaders<D>;

  /** @throws TypeError or RangeError that names the option which is wrong. */
  constructor(usage: MeteredUsage<D, L>, options: MeterOptions<D, A, R, L>) {
    assertMeterOptions(usage, options);
    this.#usage = usage;
    this.#options = { ...options };
    this.#headers = new QuotaHeaders(usage);
    const { cost, settle, responseBytes } = options;
    const first = { [dimensionsOf(usage)[0] as D]: 1 } as Partial<Usage<D>>;
    this.#cost = typeof cost === "object" ? { ...cost } : first;
    this.#hasEnd = settle !== undefined || responseBytes !== undefined;
  }

  /**
   * Decides about a request, at once where nothing has to be waited for. `isGone` says whether its client has left meanwhile.
   *
   * @throws what `skip`, `key`, `plan` and `cost` throw, TypeError for what they return, and what is wrong with the tenant's limits.
   */
  open(exchange: A, isGone: () => boolean): Awaitable<Verdict<D>> {
    const { skip, key } = this.#options;
    const open = (): Awaitable<Verdict<D>> => after(key(...exchange), (name) => this.#openFor(name, exchange, isGone));
    return skip === undefined ? open() : after(skip(...exchange), (skipped) => (skipped ? SKIPPED : open()));
  }

  #openFor(name: string | null | undefined, exchange: A, isGone: () => boolean): Awaitable<Verdict<D>> {
    // fault: lets pass uncounted whom nobody can be charged for
    if (name === undefined || name === null || name === "") return { kind: "refused", refusal: refusedWithoutKey() };
    if (typeof name !== "string") throw new TypeError(`key must return a name or nothing, got ${kindOf(name)}`);
    const { plan } = this.#options;
    if (plan === undefined) return this.#priced(name, exchange, isGone);
    return after(plan(...exchange), (limits) => {
      try {
        this.#setPlan(name, limits);
      } catch (error) {
        return this.#refusedFor(error);
      }
      return this.#priced(name, exchange, isGone);
    });
  }

  #setPlan(name: string, limits: L | undefined): void {
    const plans = this.#plans;
    if (plans.get(name) === limits && plans.has(name)) return;
    this.#usage.setLimits(name, limits);
    if (plans.size >= MAX_PLANS) plans.clear();
    plans.set(name, limits);
  }

  #priced(name: string, exchange: A, isGone: () => boolean): Awaitable<Verdict<D>> {
    const { cost } = this.#options;
    if (typeof cost !== "function") return this.#ensured(name, this.#cost, exchange, isGone);
    return after(cost(...exchange), (cost) => {
      if (isAmounts(cost)) return this.#ensured(name, cost, exchange, isGone);
      throw new TypeError(`cost must return an object with an amount per dimension, got ${kindOf(cost)}`);
    });
  }

  #ensured(name: string, cost: Partial<Usage<D>>, exchange: A, isGone: () => boolean): Awaitable<Verdict<D>> {
    // fault: charges a client that left before it was admitted
    const admit = (): Awaitable<Verdict<D>> => (isGone() ? GONE : this.#admit(name, cost, exchange, isGone));
    // fault: brings in no tenant by itself
    const ensuring = this.#usage.ensure(name);
    if (ensuring === undefined) return admit();
    return ensuring.then(admit, (error: unknown) => this.#refusedFor(error));
  }

  #admit(name: string, cost: Partial<Usage<D>>, exchange: A, isGone: () => boolean): Awaitable<Verdict<D>> {
    const { waitMs = 0, responseBytes, ttlMs } = this.#options;
    if (!this.#hasEnd && waitMs === 0) {
      return this.#usage.tryRecord(name, cost) ? this.#passed(name) : this.#refused(name, cost);
    }
    // An answer has a byte at least: who has none left is refused.
    const held = responseBytes === undefined || cost[responseBytes] ? cost : { ...cost, [responseBytes]: 1 };
    const holding = ttlMs === undefined ? {} : { ttlMs };
    if (waitMs === 0) {
      return this.#holding(this.#usage.tryReserve(name, held, holding), name, held, cost, exchange);
    }
    return this.#usage.reserve(name, held, { ...holding, waitMs }).then((hold) => {
      if (!isGone()) return this.#holding(hold, name, held, cost, exchange);
      hold?.void();
      return GONE;
    });
  }

  #holding(
    hold: Hold<D> | undefined,
    name: string,
    held: Partial<Usage<D>>,
    cost: Partial<Usage<D>>,
    exchange: A,
  ): Verdict<D> {
    if (hold === undefined) return this.#refused(name, held);
    if (!this.#hasEnd) {
      hold.settle(cost);
      return this.#passed(name);
    }
    const { responseBytes, settle, onError = warn } = this.#options;
    const admitted = new Admitted({
      usage: this.#usage,
      hold,
      cost,
      responseBytes,
      settle: settle && ((end) => settle(...exchange, end)),
      onError,
    });
    return { ...this.#passed(name), admitted };
  }

  #passed(name: string): Verdict<D> & { readonly kind: "passed" } {
    return { kind: "passed", headers: this.#headers.of(name) };
  }

  /** @throws the error, where that is nobody's business but the server's. */
  #refusedFor(error: unknown): Verdict<D> {
    const refusal = refusedFor<D>(error);
    if (refusal === undefined) throw error;
    return { kind: "refused", refusal };
  }

  #refused(name: string, cost: Partial<Usage<D>>): Verdict<D> {
    return { kind: "refused", refusal: refusedBy(this.#usage.check(name, cost)) };
  }
}

/** Goes on with a value, at once where it is there. */
function after<T, U>(value: Awaitable<T>, next: (value: T) => Awaitable<U>): Awaitable<U> {
  return isThenable(value) ? Promise.resolve(value as Promise<T>).then(next) : next(value as T);
}

function warn(error: unknown): void {
  process.emitWarning(`what an answer used is not known, what its cost said is counted: ${messageOf(error)}`, {
    code: "USAGE_SETTLE",
    ...(error instanceof Error && error.stack !== undefined && { detail: error.stack }),
  });
}
