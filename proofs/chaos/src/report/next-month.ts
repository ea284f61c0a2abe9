/** By how much a clock must be ahead for a month to end that long from now. */
export function aheadOfMonthEnd(inMs: number): number {
  const now = new Date();
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1) - now.getTime() - inMs;
}
