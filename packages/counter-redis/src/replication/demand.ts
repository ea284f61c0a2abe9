/** How many rounds' use a slice is for. */
const ROUNDS = 4;
/** After so long without use, a slice is given back, in milliseconds. */
const IDLE_MS = 2_000;
/** How long somebody who was refused is taken to wait, in milliseconds. */
const PATIENCE_MS = 1_000;
/** The pause after a denial, in milliseconds: twice as long after each, up to the longest. */
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 1_000;

/** What a row uses, and what it is short of, by place. */
export class Demand {
  readonly #used: number[];
  /** Of one millisecond, on average lately. */
  readonly #rates: number[];
  /** The most that one request was refused, and what all together were since somebody last asked. */
  readonly #need: number[];
  readonly #refused: number[];
  /** The most that one request ever needed. */
  readonly #largest: number[];
  readonly #hungry: (number | undefined)[];
  #lookedAtMs: number;
  #roundMs: number;
  #usedAtMs: number;
  #neededAtMs = Number.NEGATIVE_INFINITY;
  #askAgainAtMs = Number.NEGATIVE_INFINITY;
  #pauseMs = FIRST_PAUSE_MS;

  constructor(used: readonly number[], nowMs: number, roundMs: number) {
    const zeros = (): number[] => used.map(() => 0);
    this.#used = [...used];
    this.#rates = zeros();
    this.#need = zeros();
    this.#refused = zeros();
    this.#largest = zeros();
    this.#hungry = used.map(() => undefined);
    this.#lookedAtMs = nowMs;
    this.#usedAtMs = nowMs;
    this.#roundMs = roundMs;
  }

  /** Notes what is counted and held now. */
  use(place: number, used: number, nowMs: number): void {
    const known = this.#used[place] as number;
    if (used !== known) this.#usedAtMs = nowMs;
    const passedMs = Math.max(1, nowMs - this.#lookedAtMs);
    const rate = Math.max(0, used - known) / passedMs;
    const weight = 1 - Math.exp(-passedMs / (ROUNDS * this.#roundMs));
    this.#rates[place] = (this.#rates[place] as number) + weight * (rate - (this.#rates[place] as number));
    this.#used[place] = used;
  }

  /** All places were noted. */
  looked(nowMs: number): void {
    const passedMs = Math.min(1_000, nowMs - this.#lookedAtMs);
    this.#roundMs = Math.max(1, (this.#roundMs + passedMs) / 2);
    this.#lookedAtMs = nowMs;
  }

  /** A request of so much was refused for want of a slice. */
  refuse(place: number, amount: number, nowMs: number): void {
    this.#need[place] = Math.max(this.#need[place] as number, amount);
    this.#refused[place] = (this.#refused[place] as number) + amount;
    this.#largest[place] = Math.max(this.#largest[place] as number, amount);
    this.#neededAtMs = nowMs;
  }

  /** What a slice should have left. */
  want(place: number): number {
    const lately = Math.ceil((this.#rates[place] as number) * this.#roundMs * ROUNDS);
    return Math.max(lately, this.#largest[place] as number, this.#refused[place] as number);
  }

  /** What is used in half a round. */
  little(place: number): number {
    return Math.ceil(((this.#rates[place] as number) * this.#roundMs) / 2);
  }

  need(place: number): number {
    return this.#need[place] as number;
  }

  /** It was asked for, with so much left afterwards. */
  asked(place: number, slack: number): void {
    this.#refused[place] = 0;
    if (slack >= (this.#need[place] as number)) this.#need[place] = 0;
  }

  /** Nothing more will come. */
  giveUp(place: number): void {
    this.#need[place] = 0;
    this.#refused[place] = 0;
  }

  /** Notes how often somebody was hungry, so often of that ourselves; returns whether others were. */
  heardOfHungry(place: number, hungry: number, ours: number): boolean {
    const known = this.#hungry[place];
    this.#hungry[place] = hungry;
    return known !== undefined && hungry > known + ours;
  }

  isHungry(): boolean {
    return this.#need.some((need) => need > 0);
  }

  /** Whether to ask for what is needed. */
  mayAsk(nowMs: number): boolean {
    return nowMs >= this.#askAgainAtMs;
  }

  granted(): void {
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#askAgainAtMs = Number.NEGATIVE_INFINITY;
  }

  denied(nowMs: number): void {
    this.#askAgainAtMs = nowMs + this.#pauseMs;
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * this.#pauseMs);
  }

  /** Whoever was refused has gone away. */
  tire(nowMs: number): void {
    if (nowMs - this.#neededAtMs < PATIENCE_MS) return;
    for (let place = 0; place < this.#need.length; place++) this.giveUp(place);
  }

  isIdle(nowMs: number): boolean {
    return nowMs - this.#usedAtMs >= IDLE_MS && !this.isHungry();
  }
}
