/** One act of a plan: when it begins after the one before it in its lane, how long it lasts, and a number for the rest. */
export interface Act {
  readonly kind: string;
  readonly afterMs: number;
  readonly forMs: number;
  /** Uniform in [0, 1): which instance, how many bytes, how late. */
  readonly detail: number;
}

/** Breaks something of `T` for a while, and has repaired it when it resolves. */
export interface Fault<T> {
  /** Whether Redis loses by it what it had confirmed. */
  readonly loses?: boolean;
  inject(target: T, act: Act, pause: Pause, lost: Lost): Promise<void>;
}

/** Is told which single keys of Redis are gone, where others are not. */
export type Lost = (keys: readonly string[]) => void;

/** Waits; rejects when everything is to end. */
export type Pause = (ms: number) => Promise<void>;

export type Faults<T> = Readonly<Record<string, Fault<T>>>;
