import type { Decision } from "../decision.ts";

/** What each window says, and what all of them mean together. */
export interface WindowedDecision<D extends string, W extends string = string> extends Decision<D> {
  /** The window that all else here is about: of those that refuse the one that does so for longest, otherwise the first. */
  readonly window: W;
  /** By window; but for those that the backend is not counted in, where a window is a function. */
  readonly windows: { readonly [window in W]: Decision<D> };
}

/** What is proposed must fit in all windows. */
export function decideAll<D extends string, W extends string>(
  windows: readonly W[],
  decisionOf: (window: W, index: number) => Decision<D>,
): WindowedDecision<D, W> {
  const decisions = windows.map((window, index) => ({ window, decision: decisionOf(window, index) }));
  const { window, decision } = decisions.reduce((longest, one) => {
    return waitOf(one.decision) > waitOf(longest.decision) ? one : longest;
  });
  const byWindow = Object.fromEntries(decisions.map((one) => [one.window, one.decision]));
  return { ...decision, window, windows: byWindow as { [name in W]: Decision<D> } };
}

/** For how long it refuses, in milliseconds; a limit of 0 does for ever. */
function waitOf({ allowed, retryAfterMs = Number.POSITIVE_INFINITY }: Decision<string>): number {
  return allowed ? -1 : retryAfterMs;
}
