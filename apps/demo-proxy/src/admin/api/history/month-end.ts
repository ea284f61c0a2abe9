export interface MonthEndInput {
  /** What was used in each unit of time, the first of them at `startMs`; the last one is still running. */
  readonly amounts: readonly number[];
  readonly startMs: number;
  readonly unitMs: number;
  /** Used in the month so far. */
  readonly used: number;
  readonly nowMs: number;
  /** The end of the month. */
  readonly endMs: number;
  /** So many whole units are too few to say anything. */
  readonly fewest: number;
}

/** What will be used at the end of a month, were nothing refused. */
export interface MonthEnd {
  readonly atEnd: number;
  /** With a probability of `CONFIDENCE` it will be from here to `high`, if what is to come is like what was. */
  readonly low: number;
  readonly high: number;
  /** How many whole units that is drawn from. */
  readonly from: number;
  readonly perUnit: number;
}

/** Two-sided. */
export const CONFIDENCE = 0.9;

/** Use in fewer units than that is no habit. */
const FEWEST_USED = 3;

/**
 * Takes each whole unit so far for a draw from one distribution, and the rest of the month for a sum of further ones: a prediction
 * interval by Student's t of the mean and the variance of the units. Knows nothing of weekdays and of trends.
 *
 * Units before the first use do not count, nor does the one in which it began, unless that is the first of all. Undefined where there is too
 * little to say.
 */
export function monthEnd({
  amounts,
  startMs,
  unitMs,
  used,
  nowMs,
  endMs,
  fewest,
}: MonthEndInput): MonthEnd | undefined {
  const whole = amounts.slice(0, Math.max(0, Math.floor((nowMs - startMs) / unitMs)));
  const first = whole.findIndex((amount) => amount > 0);
  if (first === -1) return undefined;
  const sample = whole.slice(first === 0 ? 0 : first + 1);
  const count = sample.length;
  // fault: projects from one request
  if (count < fewest || sample.filter((amount) => amount > 0).length < FEWEST_USED) return undefined;
  const mean = sample.reduce((sum, amount) => sum + amount, 0) / count;
  const variance = sample.reduce((sum, amount) => sum + (amount - mean) ** 2, 0) / (count - 1);
  const left = Math.max(0, endMs - nowMs) / unitMs;
  const atEnd = used + mean * left;
  // What is left has a variance of its own, and the mean is uncertain, too.
  const deviation = Math.sqrt(variance * (left + (left * left) / count));
  const margin = studentT(count - 1) * deviation;
  return {
    atEnd: rounded(atEnd),
    low: rounded(Math.max(used, atEnd - margin)),
    high: rounded(atEnd + margin),
    from: count,
    perUnit: mean,
  };
}

function rounded(amount: number): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.round(amount));
}

/** The 95th percentiles of Student's t, from 2 degrees of freedom on. */
const T_95 = [
  2.92, 2.353, 2.132, 2.015, 1.943, 1.895, 1.86, 1.833, 1.812, 1.796, 1.782, 1.771, 1.761, 1.753, 1.746, 1.74, 1.734,
  1.729, 1.725, 1.721, 1.717, 1.714, 1.711, 1.708, 1.706, 1.703, 1.701, 1.699, 1.697,
];
const Z_95 = 1.645;

/** Beyond the table by the first term of its expansion, which is right to three digits there. */
function studentT(degrees: number): number {
  return T_95[degrees - 2] ?? Z_95 + (Z_95 ** 3 + Z_95) / (4 * degrees);
}
