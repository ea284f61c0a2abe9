import { AmountError, assertBackendName, assertDimensionName, type Tally } from "@usage/counter-core";
import { isAmount, textProblem } from "@usage/counter-core/internal";
import { TallyError } from "./errors.ts";

/** A tally that a database takes, as far as it can be told beforehand. */
export interface CheckedTally {
  readonly tally: Tally;
  /** Of each dimension of which there is any: an amount of zero needs no row. */
  readonly amounts: readonly (readonly [dimension: string, amount: number])[];
}

/** @throws NameError, AmountError or TallyError when the tally can never be stored. */
export function checkedTally(tally: Tally): CheckedTally {
  const { writer, period, backend, usage } = tally;
  assertBackendName(backend);
  assertText("writer", writer);
  assertText("period", period);
  if (typeof usage !== "object" || usage === null) throw new TallyError("usage", "is not an object");
  const amounts: [string, number][] = [];
  for (const entry of Object.entries(usage)) {
    const [dimension, amount] = entry;
    assertDimensionName(dimension);
    if (!isAmount(amount)) throw new AmountError(backend, dimension, amount);
    if (amount > 0) amounts.push(entry);
  }
  return { tally, amounts };
}

/** Writers and periods are text of the same kind as backends' names: what every database keeps unchanged. */
function assertText(field: "writer" | "period", value: unknown): void {
  const problem = textProblem(value);
  if (problem === undefined) return;
  throw new TallyError(
    field,
    `is not 1 to 256 UTF-16 units of well-formed text without control characters: ${problem}`,
  );
}
