import { z } from "zod";
import { nearMiss } from "../near-miss.ts";

export interface Expected {
  readonly error: (issue: { readonly code?: string; readonly input?: unknown }) => string;
}

/** The complaint about a value that is not what was expected. A secret is never shown. */
export function expected(what: string, visibility: "shown" | "secret" = "shown"): Expected {
  return {
    error: ({ input }) => {
      if (input === undefined) return `is missing; give ${what}`;
      if (input === null) return `is empty; give ${what}`;
      return visibility === "secret" ? `expected ${what}` : `expected ${what}, got ${shown(input)}`;
    },
  };
}

export function shown(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/** The complaint about a key that is not `known`, a list with commas. */
export function unknownKey(key: string, known: string): string {
  const guess = nearMiss(key, known.split(", "));
  return `${guess === undefined ? "unknown key;" : `unknown key, did you mean ${guess}?`} known here: ${known}`;
}

/**
 * A map with these keys and no others. About unknown keys zod says only which they are; the message of that issue is the
 * list of the known ones, from which the complaint is written where the place of each key is known.
 */
export function section<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const known = Object.keys(shape).join(", ");
  const { error } = expected(`a map with ${known}`, "secret");
  return z.strictObject(shape, { error: (issue) => (issue.code === "unrecognized_keys" ? known : error(issue)) });
}

/** A map whose keys are names. Zod passes over `__proto__` in silence there, and a limit would be none. */
export function named<Schema extends z.ZodType>(map: Schema) {
  return z.preprocess((value, context) => {
    if (typeof value === "object" && value !== null && Object.hasOwn(value, "__proto__"))
      context.addIssue({ code: "custom", path: ["__proto__"], message: "cannot be a name here; give it another one" });
    return value;
  }, map);
}

/** The complaint about a map whose `kind` tells which one it is. */
export function expectedKind(kinds: string): Expected {
  const { error } = expected(`a map whose kind is ${kinds}`, "secret");
  return {
    error: ({ code, input }) => {
      if (code !== "invalid_union" || typeof input !== "object" || input === null) return error({ input });
      if ("kind" in input) return `expected ${kinds}`;
      const misspelt = nearMiss("kind", Object.keys(input));
      return `is missing${misspelt === undefined ? ";" : `, did you mean kind by ${shown(misspelt)}?`} give ${kinds}`;
    },
  };
}

/** What `parse` makes of it. A RangeError that it throws is the complaint; otherwise what was expected is. */
export function parsed<Input, Output>(
  schema: z.ZodType<Input>,
  parse: (input: Input) => Output,
  { error: refusal }: Expected,
) {
  return schema.transform((input, context): Output => {
    try {
      return parse(input);
    } catch (error) {
      context.addIssue(error instanceof RangeError ? error.message : refusal({ input }));
      return z.NEVER;
    }
  });
}

export function text<T>(what: string, parse: (text: string) => T, visibility?: "secret") {
  const wanted = expected(what, visibility);
  return parsed(z.string(wanted), parse, wanted);
}

export function wholeNumber(unit: string, least: number, most: number) {
  const wanted = expected(`a whole number of ${unit} from ${least} to ${most}`);
  // What is no number of that size is both not whole and too large to zod, and one complaint is enough.
  return orText(
    z
      .number(wanted)
      .int({ ...wanted, abort: true })
      .min(least, wanted)
      .max(most, wanted),
  );
}

const NUMBER = /^(?:0o[0-7]+|0x[0-9A-Fa-f]+|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)$/;
const BOOLEANS: ReadonlyMap<string, boolean> = new Map(
  [true, false].flatMap((value) =>
    [String(value), String(value).toUpperCase(), value ? "True" : "False"].map((text) => [text, value] as const),
  ),
);

/** A number or a boolean, also as a text that YAML would read as one: what stands for `${NAME}` is text, and so is what has quotes. */
export function orText<Schema extends z.ZodType>(schema: Schema) {
  return z.preprocess((value) => {
    if (typeof value !== "string") return value;
    const text = value.trim();
    return NUMBER.test(text) ? Number(text) : (BOOLEANS.get(text) ?? value);
  }, schema);
}
