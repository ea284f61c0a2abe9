import type { Hold } from "@usage/counter-core";
import type { OpenUsage } from "@usage/tracker";
import { limitedName } from "./hot-names.ts";
import type { LimitedSettings } from "./messages.ts";
import { UseLog } from "./use-log.ts";

/** The share of uses whose cost is known only afterwards, the most that one of them keeps free, and for how long. */
const HELD_RATIO = 0.2;
const LARGEST = 20;
const LONGEST_MS = 150;

/** A use that is under way. */
interface Work {
  readonly hold: Hold;
  readonly actual: number;
  readonly endsAtMs: number;
}

/** What would be used next; `take` returns whether it was. */
export interface NextUse {
  readonly backend: string;
  readonly amount: number;
  readonly take: () => boolean;
}

/** Uses what has a limit as fast as it is let, and writes down what it was let use. */
export class LimitedUse {
  readonly #usage: OpenUsage;
  readonly #settings: LimitedSettings;
  readonly #prefix: string;
  readonly #log: UseLog;
  #work: Work[] = [];
  /** The last use was refused: the next one waits. */
  #isRefused = false;
  /** Whose limit was raised. */
  #raised = "";

  constructor(usage: OpenUsage, settings: LimitedSettings, prefix: string) {
    this.#usage = usage;
    this.#settings = settings;
    this.#prefix = prefix;
    this.#log = new UseLog(settings.folder, usage.counter.writer);
  }

  /** What is used now. */
  get name(): string {
    const { waveMs } = this.#settings;
    return limitedName(this.#prefix, waveMs === undefined ? 0 : Math.floor(Date.now() / waveMs));
  }

  /** Its limit rises with time. */
  #raise(name: string): void {
    const { limit, waveMs = Number.POSITIVE_INFINITY } = this.#settings;
    const isLater = Date.now() % waveMs >= waveMs / 2;
    if (!isLater || this.#raised === name) return;
    this.#raised = name;
    this.#usage.setLimits(name, { apiRequests: 1.5 * limit });
  }

  /** Whether this step is to use it. */
  get isDue(): boolean {
    return this.#work.some(isOver) || Math.random() < (this.#settings.share ?? 1);
  }

  /** The use that comes next; nothing where it begins and its cost is not known yet, or where it is refused. */
  async next(): Promise<NextUse | undefined> {
    const work = this.#work.find(isOver);
    if (work !== undefined) return this.#end(work);
    const { name } = this;
    this.#raise(name);
    if (!this.#isRefused && Math.random() >= HELD_RATIO) {
      return { backend: name, amount: 1, take: () => this.#tryRecord(name) };
    }
    const most = this.#isRefused ? 1 : Math.ceil(LARGEST * Math.random());
    const [actual, ms] = this.#isRefused ? [1, 0] : [Math.round(most * Math.random()), LONGEST_MS * Math.random()];
    this.#isRefused = false;
    // It may be let go of while it is waited for.
    const waited = this.#usage.reserve(name, { apiRequests: most }, { waitMs: this.#settings.waitMs ?? 300 });
    const hold = await waited.catch(() => undefined);
    if (hold === undefined) this.#write(this.#usage.counter.period().key, name, 0);
    else this.#begin({ hold, actual, endsAtMs: performance.now() + ms });
    return undefined;
  }

  /** Keeps so much free until `settle`, in one piece. */
  reserve(amount: number): boolean {
    const hold = this.#usage.tryReserve(this.name, { apiRequests: amount });
    if (hold !== undefined) this.#begin({ hold, actual: amount, endsAtMs: Number.POSITIVE_INFINITY });
    return hold !== undefined;
  }

  /** Uses nothing of what is kept free. */
  void(): void {
    for (const work of this.#work) this.#settle(work, 0);
  }

  /** Uses all that is kept free. Returns what that was, by period and backend. */
  settle(): readonly (readonly [period: string, backend: string, amount: number])[] {
    return this.#work.map((work) => {
      const { period, backend, usage } = work.hold;
      const { apiRequests } = usage;
      this.#settle(work, apiRequests);
      return [period.key, backend, apiRequests] as const;
    });
  }

  #begin(work: Work): void {
    const { period, backend, usage } = work.hold;
    this.#write(period.key, backend, usage.apiRequests);
    this.#work.push(work);
  }

  #end(work: Work): NextUse | undefined {
    const { hold, actual } = work;
    const { period, backend } = hold;
    const take = (): boolean => {
      this.#settle(work, actual);
      return true;
    };
    if (period.key === this.#usage.counter.period().key) return { backend, amount: actual, take };
    // Only what is of the current period can be told of.
    this.#settle(work, 0);
    return undefined;
  }

  #settle(work: Work, amount: number): void {
    const { period, backend, usage } = work.hold;
    this.#work = this.#work.filter((other) => other !== work);
    if (amount < usage.apiRequests) this.#write(period.key, backend, amount - usage.apiRequests);
    work.hold.settle({ apiRequests: amount });
  }

  #tryRecord(name: string): boolean {
    const period = this.#usage.counter.period().key;
    this.#isRefused = !this.#usage.tryRecord(name, { apiRequests: 1 });
    if (!this.#isRefused) this.#write(period, name, 1);
    return !this.#isRefused;
  }

  #write(period: string, backend: string, amount: number): void {
    const { limit } = this.#settings;
    this.#log.write({ period, backend, amount, limit: backend === this.#raised ? 1.5 * limit : limit });
  }
}

function isOver({ endsAtMs }: Work): boolean {
  return performance.now() >= endsAtMs;
}
