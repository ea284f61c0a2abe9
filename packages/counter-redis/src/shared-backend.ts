import type { PeriodCounts, Tally } from "@usage/counter-core";
import type { MergeReply, MergeRequest } from "./shared-counts.ts";

/** When backends of a period are pushed besides when they have changed. */
export interface PushPlan {
  readonly isCurrent: boolean;
  readonly refreshIntervalMs: number;
  readonly retryIntervalMs: number;
}

/** Some of the store's rows of a backend. */
export interface HydrationPart {
  readonly rows: readonly Tally[];
  /** Whether none were sent before these. */
  readonly isFirst: boolean;
  /** Whether none are left after these. */
  readonly isLast: boolean;
}

/**
 * What is known of one backend's shared counts in one period, and what of ours they lack.
 *
 * Replies are taken in the order in which the counts were read: whoever sends waits for the reply, or ignores it for ever.
 * So a part of others that went backwards means that counts were lost, never that a reply was late.
 */
export class SharedBackend {
  readonly name: string;
  readonly #index: number;
  readonly #counts: PeriodCounts;
  readonly #dimensions: readonly string[];
  /** The last reply, and whose part it tells; none before the first, and after what made it worthless. */
  #reply: { readonly writer: string; readonly sum: Amounts; readonly own: Amounts; readonly mark: string } | undefined;
  #repliedAtMs = Number.NEGATIVE_INFINITY;
  #refusedAtMs: number | undefined;
  /** The most that was ever shown of what others counted: usage only grows, so it stays a lower bound. */
  readonly #shared: number[];
  readonly #taken: number[];
  /** The most that the store ever showed of what others counted. */
  readonly #stored: number[];
  /** Usage that is neither ours nor shared, by `setBaseline`. */
  readonly #baseline: number[];
  /** What the last reply before the last flush showed of others. */
  #flushed: Amounts;
  /**
   * Whether the shared counts should have what the store knows: after a loss, and before this process ever saw to it. A loss
   * that nobody lived to mend shows in neither the sum nor the mark.
   */
  // fault: trusts that others brought what the store knows
  #wantsRows = true;
  #hydrations = 0;
  /** Whether the last hydration was one request. */
  #isHydratedAtOnce = false;

  constructor(name: string, index: number, counts: PeriodCounts, dimensions: readonly string[]) {
    this.name = name;
    this.#index = index;
    this.#counts = counts;
    this.#dimensions = dimensions;
    const zeros = (): number[] => dimensions.map(() => 0);
    this.#shared = zeros();
    this.#taken = zeros();
    this.#stored = zeros();
    this.#baseline = zeros();
    this.#flushed = zeros();
  }

  /** Whether it should be pushed now. A clock that stepped back holds nothing up. */
  isDue(nowMs: number, { isCurrent, refreshIntervalMs, retryIntervalMs }: PushPlan): boolean {
    if (this.#refusedAtMs !== undefined) return !isWithin(nowMs, this.#refusedAtMs, retryIntervalMs);
    if (this.isChanged()) return true;
    // Nobody adds to a period that is over; but what is not stored yet must stay shared.
    // fault: does not keep shared what is of a period that is over and not stored yet
    if (!isCurrent && this.#counts.isSettled(this.#index)) return false;
    // fault: does not look again at what did not change here
    return !isWithin(nowMs, this.#repliedAtMs, refreshIntervalMs);
  }

  /** Whether our tally is not the one that is shared, as far as known. */
  isChanged(): boolean {
    const own = this.#reply?.own;
    for (let d = 0; d < this.#dimensions.length; d++) if (this.#mine(d) !== (own?.[d] ?? 0)) return true;
    return false;
  }

  request(): MergeRequest {
    const taken = this.#taken.some((amount) => amount > 0) ? { taken: [...this.#taken] } : {};
    return { backend: this.name, writer: this.#writer, own: this.#dimensions.map((_, d) => this.#mine(d)), ...taken };
  }

  /** What this process counted of one dimension. */
  tallyOf(dimension: number): Tally {
    const usage = { [this.#dimensions[dimension] as string]: this.#mine(dimension) };
    return { writer: this.#writer, period: this.#counts.period.key, backend: this.name, usage };
  }

  /** A request that also brings what the store knows. */
  hydration({ rows, isFirst, isLast }: HydrationPart): MergeRequest {
    this.#isHydratedAtOnce = isFirst && isLast;
    // fault: marks as hydrated without what the store knows
    const others = rows.filter(({ writer }) => writer !== this.#writer);
    if (!isLast) return { ...this.request(), others };
    this.#hydrations += 1;
    return { ...this.request(), others, mark: `${this.#writer} ${this.#hydrations}` };
  }

  /** Takes a reply; answers whether it shows that shared counts were lost. */
  take(request: MergeRequest, { mark, amounts }: MergeReply, nowMs: number): boolean {
    const { writer } = request;
    if (writer !== this.#writer) return false; // discarded meanwhile
    const before = this.#reply?.writer === writer ? this.#reply : undefined;
    const sum = this.#dimensions.map((_, d) => amounts[3 * d] as number);
    const found = this.#dimensions.map((_, d) => amounts[3 * d + 1] as number);
    // fault: takes what was acknowledged before for its own part, not what the reply says
    const own = found.map((amount, d) => Math.max(amount, request.own[d] as number));
    // fault: does not look at the mark of hydration
    const lost =
      before !== undefined &&
      ((before.mark !== "" && mark !== before.mark) ||
        found.some((amount, d) => amount < (before.own[d] as number)) ||
        sum.some((amount, d) => amount - (own[d] as number) < othersOf(before, d)));
    this.#reply = { writer, sum, own, mark };
    this.#repliedAtMs = nowMs;
    this.#refusedAtMs = undefined;
    // Between two parts of a hydration the first may have been lost, unless there was a mark then that is still there.
    const isHydrated = request.mark !== undefined && (this.#isHydratedAtOnce || mark === before?.mark);
    this.#wantsRows = lost || (this.#wantsRows && !isHydrated);
    this.#dimensions.forEach((_, d) => {
      // fault: lets a reply lower what is known of others
      this.#shared[d] = Math.max(this.#shared[d] as number, othersOf(this.#reply, d));
      this.#taken[d] = Math.max(this.#taken[d] as number, amounts[3 * d + 2] as number);
      this.#show(d);
    });
    return lost;
  }

  /** `swap` took everything up to `taken`. */
  took(dimension: number, taken: number): void {
    this.#taken[dimension] = Math.max(this.#taken[dimension] as number, taken);
    this.#show(dimension);
  }

  /** These counts cannot be used; answers whether that is new. */
  refuse(nowMs: number): boolean {
    const isNew = this.#refusedAtMs === undefined;
    this.#refusedAtMs = nowMs;
    return isNew;
  }

  /** Whether these counts could not be used when they were last tried. */
  get isRefused(): boolean {
    return this.#refusedAtMs !== undefined;
  }

  /** The shared counts were deleted. */
  forget(): void {
    this.#reply = undefined;
    this.#repliedAtMs = Number.NEGATIVE_INFINITY;
    this.#shared.fill(0);
    this.#stored.fill(0);
    this.#flushed = this.#dimensions.map(() => 0);
    this.#wantsRows = true;
  }

  /** Whether the shared counts should have the store's rows. */
  wantsRows(): boolean {
    const reply = this.#reply;
    if (reply === undefined) return false;
    return this.#wantsRows || this.#stored.some((amount, d) => amount > othersOf(reply, d));
  }

  /** The store has this much of what others counted, in dimension order. */
  noteStored(amounts: readonly number[]): void {
    amounts.forEach((amount, d) => {
      this.#stored[d] = Math.max(this.#stored[d] as number, amount);
    });
  }

  /** The store has lost what it had. */
  forgetStored(): void {
    this.#stored.fill(0);
  }

  /** Begins anew with usage that is neither ours nor shared. */
  setBaseline(amounts: readonly number[]): void {
    amounts.forEach((amount, d) => {
      this.#baseline[d] = amount;
      this.#replaceOthers(d);
    });
  }

  /** Whether the store lacks what others had shared when `noteFlush` was last called: somebody did not live to store it. */
  isMissingInStore(): boolean {
    return this.#flushed.some((amount, d) => amount > (this.#stored[d] as number));
  }

  noteFlush(): void {
    const reply = this.#reply;
    if (reply !== undefined) this.#flushed = this.#dimensions.map((_, d) => othersOf(reply, d));
  }

  /** What others counted and the store is not known to hold; less than nothing where `swap` took what was counted here. */
  unstored(dimension: number): number {
    const others = this.#counts.others(this.#index, dimension);
    const known = Math.max(this.#stored[dimension] as number, this.#baseline[dimension] as number);
    return others - Math.max(0, Math.min(others, known));
  }

  /** What this process counted and has not shared, as far as known. */
  unpushed(dimension: number): number {
    return Math.max(0, this.#mine(dimension) - (this.#reply?.own[dimension] ?? 0));
  }

  /** Whether `swap` ever took anything. */
  get isSwapped(): boolean {
    return this.#taken.some((amount) => amount > 0);
  }

  get #writer(): string {
    return this.#counts.writerOf(this.#index);
  }

  #mine(dimension: number): number {
    return this.#counts.mine(this.#index, dimension);
  }

  /** Lets the request path see what others counted. */
  #show(dimension: number): void {
    if ((this.#taken[dimension] as number) > 0) this.#replaceOthers(dimension);
    else this.#counts.raiseOthers(this.#index, dimension, this.#others(dimension));
  }

  #replaceOthers(dimension: number): void {
    const room = Number.MAX_SAFE_INTEGER - this.#mine(dimension);
    this.#counts.setOthers(this.#index, dimension, Math.min(this.#others(dimension), room));
  }

  /** Less than nothing where `swap` took what was counted here. */
  #others(dimension: number): number {
    const baseline = this.#baseline[dimension] as number;
    return baseline + (this.#shared[dimension] as number) - (this.#taken[dimension] as number);
  }
}

type Amounts = readonly number[];

function isWithin(nowMs: number, sinceMs: number, durationMs: number): boolean {
  return nowMs >= sinceMs && nowMs - sinceMs < durationMs;
}

function othersOf(reply: { readonly sum: Amounts; readonly own: Amounts } | undefined, dimension: number): number {
  return (reply?.sum[dimension] ?? 0) - (reply?.own[dimension] ?? 0);
}
