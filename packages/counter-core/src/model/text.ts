const CONTROL_CHARACTER = /\p{Cc}/u;

/** The longest name, in UTF-16 units. */
export const MAX_NAME = 256;

/** What keeps a value from being text that Postgres, SQLite and Redis all keep unchanged; undefined: nothing. Shows nothing of it. */
export function textProblem(value: unknown, longest: number = MAX_NAME): string | undefined {
  if (typeof value !== "string") return "it is not a string";
  if (value.length === 0) return "it is empty";
  if (value.length > longest) return `it has ${value.length} UTF-16 units, at most ${longest} are allowed`;
  if (CONTROL_CHARACTER.test(value)) return "it has a control character";
  return value.isWellFormed() ? undefined : "it has a lone surrogate";
}

/** @throws RangeError that says what `what` must be, unless it is 1 to `longest` UTF-16 units of such text. */
export function assertText(what: string, value: unknown, longest: number = MAX_NAME): asserts value is string {
  const problem = textProblem(value, longest);
  if (problem === undefined) return;
  throw new RangeError(
    `${what} must be 1 to ${longest} UTF-16 units of well-formed text without control characters: ${problem}`,
  );
}
