/** A promise was broken. */
export class SimulationFailure extends Error {
  readonly seed: number;
  /** Everything that happened, in order. */
  readonly trace: readonly string[];

  constructor(seed: number, problem: string, trace: readonly string[]) {
    super(`seed ${seed}: ${problem}`);
    this.name = "SimulationFailure";
    this.seed = seed;
    this.trace = trace;
  }
}
