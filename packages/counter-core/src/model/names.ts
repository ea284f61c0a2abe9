import { NameError } from "./errors.ts";
import { textProblem } from "./text.ts";

const DIMENSION = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;

/**
 * @throws NameError unless `name` is 1 to 256 UTF-16 units of well-formed text without control characters, which is what
 * Postgres, SQLite and Redis all keep unchanged.
 */
export function assertBackendName(name: unknown): asserts name is string {
  const problem = textProblem(name);
  if (problem !== undefined) throw new NameError("backend", name, problem);
}

/** Whether `name` is a letter followed by up to 63 letters, digits and underscores. */
export function isDimensionName(name: unknown): name is string {
  return typeof name === "string" && DIMENSION.test(name);
}

/** @throws NameError unless `name` is a letter followed by up to 63 letters, digits and underscores. */
export function assertDimensionName(name: unknown): asserts name is string {
  if (!isDimensionName(name)) {
    throw new NameError("dimension", name, "it must be a letter followed by up to 63 letters, digits and underscores");
  }
}

/** @throws NameError for a name that is none, RangeError for no names or a repeated one. */
export function checkedDimensions<D extends string>(dimensions: readonly D[]): readonly D[] {
  for (const dimension of dimensions) assertDimensionName(dimension);
  if (dimensions.length === 0) throw new RangeError("dimensions must name at least one dimension, got none");
  if (new Set(dimensions).size !== dimensions.length) {
    throw new RangeError(`dimensions must differ, got ${dimensions.join(", ")}`);
  }
  return Object.freeze([...dimensions]);
}

/** The names once each, in order. @throws NameError for a name that is none, TypeError for one name instead of a list. */
export function checkedNames(names: Iterable<string>): readonly string[] {
  if (typeof names === "string") throw new TypeError(`names must be a list of names, got ${JSON.stringify(names)}`);
  const checked = new Set<string>();
  for (const name of names) {
    assertBackendName(name);
    checked.add(name);
  }
  return [...checked];
}
