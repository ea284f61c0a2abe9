import { assertDimensionName } from "./names.ts";
import { assertText } from "./text.ts";
import { assertInstant } from "./timeline.ts";

/** One run of one process that counts, as it says of itself. */
export interface Instance {
  /** The name under which it counts: `writer` of its counter. */
  readonly id: string;
  /** When it began, by its own clock, in milliseconds since the Unix epoch. */
  readonly startedAt: number;
  /** When it ended, by its own clock; absent while it runs, and for ever where it was killed. */
  readonly stoppedAt?: number;
  /** What else it says of itself, such as its version; at most 16 of them. */
  readonly labels: Readonly<Record<string, string>>;
}

export interface StoredInstance extends Instance {
  /** When it was last heard of, by the store's clock, in milliseconds since the Unix epoch. */
  readonly seenAt: number;
}

/** What one writer counted of all backends in one period. A dimension that is absent is zero. */
export interface WriterUsage {
  readonly writer: string;
  readonly usage: Readonly<Record<string, number>>;
}

const MOST_LABELS = 16;

/** The copy of an instance that is stored. @throws RangeError or NameError when it is none: it says which part. */
export function checkedInstance({ id, startedAt, stoppedAt, labels }: Instance): Instance {
  assertText("an instance's id", id);
  assertInstant("an instance's startedAt", startedAt);
  if (stoppedAt !== undefined) assertInstant("an instance's stoppedAt", stoppedAt);
  const given = Object.entries(labels);
  if (given.length > MOST_LABELS) {
    throw new RangeError(`an instance has at most ${MOST_LABELS} labels, got ${given.length}`);
  }
  for (const [name, value] of given) {
    assertDimensionName(name);
    assertText(`an instance's label ${name}`, value, 1_000);
  }
  return { id, startedAt, ...(stoppedAt !== undefined && { stoppedAt }), labels: Object.fromEntries(given) };
}
