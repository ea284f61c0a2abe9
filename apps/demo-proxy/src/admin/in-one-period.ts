import type { UsageCounter } from "@usage/counter-core";

/** What is made of one period's counts: made again when the period has ended meanwhile, since the next one has just begun. */
export async function inOnePeriod<T>(counter: Pick<UsageCounter, "period">, make: () => Promise<T>): Promise<T> {
  const { key } = counter.period();
  const made = await make();
  return counter.period().key === key ? made : inOnePeriod(counter, make);
}
