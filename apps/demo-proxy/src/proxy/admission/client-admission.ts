import type { Hold, Usage } from "@usage/counter-core";
import type { ClientAccount } from "../../clients/client-account.ts";
import type { ClientDecision, ClientUsage } from "../../clients/client-usage.ts";
import type { ClientWindow } from "../../clients/client-windows.ts";
import type { ClientLimits } from "../../config/proxy-config.ts";
import type { ClientIdentity } from "../../credentials/client-identity.ts";
import type { ExchangeContext } from "../exchange-context.ts";
import { isPassing } from "./better-refusal.ts";
import { type BodyDimension, type ExactLimits, HOLDING } from "./body-room.ts";
import { Reservation } from "./reservation.ts";

/** What a client's own limits leave no room for. */
export interface ClientRefused {
  readonly upstream: undefined;
  readonly client: ClientDecision;
  /** Waits until there is room. Resolves to undefined once the request is in. Rejects with the reason of `signal` when that is aborted. */
  readonly wait?: (signal: AbortSignal) => Promise<ClientRefused | undefined>;
}

/** One request at its client: what it may use, in all windows of the client, is kept free there until the request is over. */
export class ClientAdmission {
  readonly #usage: ClientUsage;
  readonly #account: ClientAccount;
  readonly #exact: ExactLimits | undefined;
  #side: Reservation | undefined;
  #state: "outside" | "in" | "over" = "outside";

  constructor(usage: ClientUsage, account: ClientAccount, exact: ExactLimits | undefined) {
    this.#usage = usage;
    this.#account = account;
    this.#exact = exact;
  }

  /** What is kept free; undefined unless the request is in. */
  get side(): Reservation | undefined {
    return this.#side;
  }

  /** What is left beside what is used and kept free, in all windows; undefined for a client without limits. */
  get quota(): ClientDecision | undefined {
    const { name, limits } = this.#account;
    return isLimited(limits) ? this.#usage.check(name, {}) : undefined;
  }

  /** Keeps room for what a request is known to use. Returns undefined where there is some, also for a request that is in. */
  enter(usage: Readonly<Usage>): ClientRefused | undefined {
    if (this.#side !== undefined) return undefined;
    if (this.#state === "outside") {
      this.#state = "in";
      this.#account.inFlight += 1;
    }
    // fault: admits a client that is over its limit
    if (this.#admit(this.#usage.tryReserve(this.#account.name, usage, HOLDING), usage)) return undefined;
    const client = this.#usage.check(this.#account.name, usage);
    if (this.#exact === undefined || this.#exact.waitMs === 0 || !isPassing(client)) return this.#refuse(client);
    const kept = { ...usage };
    return { upstream: undefined, client, wait: (signal) => this.#wait(kept, signal) };
  }

  /** Nothing is kept free any more. May be called again. */
  leave(): void {
    this.#side?.release();
    this.#side = undefined;
    if (this.#state === "in") this.#account.inFlight -= 1;
    this.#state = "over";
  }

  /** What the client's limits say of so many more bytes of a body, where they leave no room for them. Counts that. */
  cut(dimension: BodyDimension, bytes: number): ClientRefused | undefined {
    // A length is a claim, and may be no amount.
    const more = { [dimension]: Math.min(bytes, Number.MAX_SAFE_INTEGER) };
    const client = this.#usage.check(this.#account.name, more);
    return client.allowed ? undefined : this.#refuse(client);
  }

  async #wait(usage: Readonly<Usage>, signal: AbortSignal): Promise<ClientRefused | undefined> {
    const { waitMs } = this.#exact ?? { waitMs: 0 };
    const { name } = this.#account;
    const hold = await this.#usage.reserve(name, usage, { ...HOLDING, waitMs, signal });
    return this.#admit(hold, usage) ? undefined : this.#refuse(this.#usage.check(name, usage));
  }

  #admit(hold: Hold | undefined, usage: Readonly<Usage>): boolean {
    if (hold === undefined) return false;
    this.#side = new Reservation(hold, usage, this.#usage, this.#exact);
    return true;
  }

  #refuse(client: ClientDecision): ClientRefused {
    this.#account.refused += 1;
    return { upstream: undefined, client };
  }
}

/** Asked for each answer: nothing is allocated for it. */
function isLimited(limits: ClientLimits): boolean {
  for (const window in limits) for (const _ in limits[window as ClientWindow]) return true;
  return false;
}

/** What a request may use by its client's own limits; undefined where requests are of nobody. */
export function admissionOf(
  { clientUsage, router }: ExchangeContext,
  client: ClientIdentity | undefined,
): ClientAdmission | undefined {
  const account = client && clientUsage?.accountOf(client.name);
  return account && clientUsage && new ClientAdmission(clientUsage, account, router.exact);
}
