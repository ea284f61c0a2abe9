import { type Awaitable, type Hold, UnknownBackendError, type Usage } from "@usage/counter-core";
import { isAmount } from "@usage/counter-core/internal";
import { isAmounts, kindOf, type ResponseEnd } from "./meter-options.ts";
import type { MeteredUsage } from "./metered-usage.ts";

export interface AdmittedParts<D extends string> {
  readonly usage: MeteredUsage<D, never>;
  readonly hold: Hold<D>;
  /** What was said of it before. */
  readonly cost: Partial<Usage<D>>;
  readonly responseBytes: D | undefined;
  readonly settle: ((end: ResponseEnd) => Awaitable<Partial<Usage<D>> | undefined>) | undefined;
  readonly onError: (error: unknown) => void;
}

/** A request that passed, and whose hold ends with its answer. */
export class Admitted<D extends string> {
  readonly #parts: AdmittedParts<D>;
  #bytes = 0;
  /** Of those, what is counted already. */
  #counted = 0;
  #hasEnded = false;

  constructor(parts: AdmittedParts<D>) {
    this.#parts = parts;
  }

  /** Bytes of the body that go out now. */
  countBytes(bytes: number): void {
    if (this.#hasEnded || bytes === 0) return;
    this.#bytes += bytes;
    const { hold, responseBytes } = this.#parts;
    if (responseBytes === undefined) return;
    try {
      hold.count({ [responseBytes]: bytes } as Partial<Usage<D>>);
      this.#counted += bytes;
    } catch {
      // A hold that expired has let its backend go: the end brings both back.
    }
  }

  /** The answer has ended, or will never. Only the first call does anything; it does not throw. */
  end(isComplete: boolean): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const { settle, cost } = this.#parts;
    if (settle === undefined) {
      this.#settle(cost);
      return;
    }
    try {
      const used = settle({ bytes: this.#bytes, isComplete });
      if (used === undefined || isAmounts(used)) this.#settleAs(used as Partial<Usage<D>> | undefined);
      else
        Promise.resolve(used).then(
          (used) => this.#settleAs(used),
          (error) => this.#fail(error),
        );
    } catch (error) {
      this.#fail(error);
    }
  }

  #settleAs(used: Partial<Usage<D>> | undefined): void {
    if (used === undefined) this.#settle(this.#parts.cost);
    else if (isAmounts(used)) this.#settle(used);
    else this.#fail(new TypeError(`settle must return an object with an amount per dimension, got ${kindOf(used)}`));
  }

  #fail(error: unknown): void {
    this.#parts.onError(error);
    this.#settle(this.#parts.cost);
  }

  #settle(used: Partial<Usage<D>>): void {
    const { usage, hold, cost, onError } = this.#parts;
    const rest = this.#withoutCounted(used, used !== cost);
    try {
      // fault: counts nothing of what an answer used
      hold.settle(rest);
    } catch (error) {
      if (error instanceof UnknownBackendError) {
        Promise.resolve(usage.ensure(hold.backend))
          .then(() => hold.settle(rest))
          .catch(onError);
      } else if (used === cost) onError(error);
      else this.#fail(error);
    }
  }

  /** What is still to be counted of it: bytes that went out are. */
  #withoutCounted(used: Partial<Usage<D>>, isActual: boolean): Partial<Usage<D>> {
    const { responseBytes } = this.#parts;
    if (responseBytes === undefined) return used;
    const told = isActual ? (used[responseBytes] ?? 0) : 0;
    if (!isAmount(told)) return used; // which the hold refuses
    return { ...used, [responseBytes]: Math.max(told, this.#bytes) - this.#counted };
  }
}
