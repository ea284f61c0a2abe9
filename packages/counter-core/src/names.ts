import { NameError } from "./errors.ts";

const MAX_BACKEND_LENGTH = 256;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f-\u009f]/;
const DIMENSION = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;

/**
 * @throws NameError unless `name` is 1 to 256 UTF-16 units of well-formed text without control characters, which is what
 * Postgres, SQLite and Redis all keep unchanged.
 */
export function assertBackendName(name: unknown): asserts name is string {
  const problem =
    typeof name !== "string"
      ? "it is not a string"
      : name.length === 0
        ? "it is empty"
        : name.length > MAX_BACKEND_LENGTH
          ? `it has ${name.length} UTF-16 units, at most ${MAX_BACKEND_LENGTH} are allowed`
          : CONTROL_CHARACTER.test(name)
            ? "it has a control character"
            : name.isWellFormed()
              ? undefined
              : "it has a lone surrogate";
  if (problem !== undefined) throw new NameError("backend", name, problem);
}

/** @throws NameError unless `name` is a letter followed by up to 63 letters, digits and underscores. */
export function assertDimensionName(name: unknown): asserts name is string {
  if (typeof name !== "string" || !DIMENSION.test(name)) {
    throw new NameError("dimension", name, "it must be a letter followed by up to 63 letters, digits and underscores");
  }
}
