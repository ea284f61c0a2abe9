/** One sample of a subject: does its work once and answers a number, of the unit that its table names. */
export type Sample = () => number | Promise<number>;

export interface RoundOptions {
  readonly rounds: number;
  /** Rounds before those, whose samples are dropped. */
  readonly warmups: number;
}

/** Set by `--short`: whether everything still runs, in a few minutes; the figures mean little then. */
export const IS_SHORT: boolean = process.env.USAGE_BENCH_SHORT === "1";

/** So many rounds, or very few in a short run. */
export function roundsOf(options: RoundOptions): RoundOptions {
  return IS_SHORT ? { rounds: 2, warmups: 1 } : options;
}

/** So many processes, or one in a short run. */
export function processesOf(count: number): number {
  return IS_SHORT ? 1 : count;
}

/**
 * Samples every subject once a round, each round beginning with another one, so that whatever slows the machine for a
 * while slows them all. Answers each subject's samples in the order of the rounds.
 */
export async function interleave<Name extends string>(
  subjects: Readonly<Record<Name, Sample>>,
  { rounds, warmups }: RoundOptions,
): Promise<Record<Name, number[]>> {
  const names: Name[] = [];
  for (const name in subjects) names.push(name);
  const samples = new Map<Name, number[]>(names.map((name) => [name, []]));
  for (let round = -warmups; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round + warmups) % names.length] as Name;
      const sample = await subjects[name]();
      if (round >= 0) samples.get(name)?.push(sample);
    }
  }
  return Object.fromEntries(samples) as Record<Name, number[]>;
}

/** The rounds of several runs as one. */
export function pooled<Name extends string>(runs: readonly Record<Name, number[]>[]): Record<Name, number[]> {
  const [first] = runs;
  if (first === undefined) throw new RangeError("no runs to pool");
  const all = { ...first };
  for (const name in all) all[name] = runs.flatMap((run) => run[name]);
  return all;
}

/** Round by round: what a slow moment did to both falls out of the quotient. */
export function ratios(values: readonly number[], peers: readonly number[]): number[] {
  return values.map((value, round) => value / (peers[round] ?? Number.NaN));
}

/** The value below which the part `p` (0 to 1) of the sorted values lies, interpolated. */
export function quantile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * p;
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}
