import { setTimeout as sleep } from "node:timers/promises";

export interface UntilOptions {
  /** @default 60_000 */
  readonly timeoutMs?: number;
  /** Between two questions. @default 20 */
  readonly intervalMs?: number;
}

/**
 * Asks again and again until the answer is true.
 *
 * @throws Error with what `what` answers when that takes too long.
 */
export async function until(
  condition: () => Promise<boolean>,
  what: () => string,
  { timeoutMs = 60_000, intervalMs = 20 }: UntilOptions = {},
): Promise<void> {
  for (const deadline = performance.now() + timeoutMs; !(await condition()); await sleep(intervalMs)) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what()}`);
  }
}
