import type { UsageTracker } from "@usage/tracker";
import type { ProxyConfig } from "../../config/proxy-config.ts";
import { unknownKey } from "../../config/schema/expected.ts";
import { TOKEN_DIMENSIONS, uncountedAt } from "../../counting/dimensions.ts";

export interface CountedParts {
  readonly tracker: UsageTracker;
  /** The configuration in force. */
  readonly inForce: () => Pick<ProxyConfig, "backends">;
}

/** What is wrong with those of these dimensions in which nothing of a backend is counted, each with its name first. */
export function uncounted(
  { tracker, inForce }: CountedParts,
  backend: string,
  dimensions: readonly string[],
): readonly string[] {
  const counted: readonly string[] = tracker.counter.dimensions;
  const found = inForce().backends.find(({ name }) => name === backend);
  const troubleOf = (name: string): string | undefined => {
    const trouble = found && uncountedAt(found, name);
    if (trouble !== undefined || counted.includes(name)) return trouble;
    const isToCome = (TOKEN_DIMENSIONS as readonly string[]).includes(name) && found?.tokens !== undefined;
    return isToCome ? "is counted from the next start on; restart the proxy" : unknownKey(name, counted.join(", "));
  };
  return dimensions.flatMap((name) => {
    const trouble = troubleOf(name);
    return trouble === undefined ? [] : [`${name}: ${trouble}`];
  });
}
