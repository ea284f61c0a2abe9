import { AmountError, assertBackendName, assertDimensionName, type Tally } from "@usage/counter-core";
import { TallyError } from "./errors.ts";

/** One row of `usage_tallies`, without its time. */
export interface TallyRow {
  readonly period: string;
  readonly backend: string;
  readonly dimension: string;
  readonly writer: string;
  readonly amount: number;
}

/**
 * The rows that hold a tally; an amount of zero needs none.
 *
 * @throws NameError, AmountError or TallyError when the tally can never be stored.
 */
export function tallyRows(tally: Tally): readonly TallyRow[] {
  const { writer, period, backend, usage } = tally;
  assertBackendName(backend);
  assertText("writer", writer);
  assertText("period", period);
  if (typeof usage !== "object" || usage === null) throw new TallyError("usage", "is not an object");
  const rows: TallyRow[] = [];
  for (const [dimension, amount] of Object.entries(usage)) {
    assertDimensionName(dimension);
    if (!Number.isSafeInteger(amount) || amount < 0) throw new AmountError(backend, dimension, amount);
    if (amount > 0) rows.push({ period, backend, dimension, writer, amount });
  }
  return rows;
}

/** Writers and periods are text of the same kind as backends' names: what every database keeps unchanged. */
function assertText(field: "writer" | "period", value: unknown): void {
  try {
    assertBackendName(value);
  } catch (cause) {
    throw new TallyError(field, "is not 1 to 256 UTF-16 units of well-formed text without control characters", {
      cause,
    });
  }
}
