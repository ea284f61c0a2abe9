/**
 * What becomes of a marked statement: its text without indentation before, and after. Edits name what others gave its name,
 * an operator or a function, rather than a private field, which somebody may rename.
 */
export type Edit = (statement: string) => string;

/** The statement goes. */
export const drop: Edit = () => "";

/** The condition of a marked `if` is met whatever is so. */
export const always: Edit = change(/^if \(.*\) (?=throw|return|\{)/, "if (true) ");

/** The condition of a marked `if` is never met. */
export const never: Edit = change(/^if \(.*\) (?=throw|return|\{)/, "if (false) ");

/** Other code stands in its place. */
export function instead(code: string): Edit {
  return () => code;
}

/** Other code runs before it; an `if (...)` decides whether it runs. */
export function before(code: string): Edit {
  return (statement) => `${code} ${statement}`;
}

/** What it returns or assigns is another value. */
export function yields(value: string): Edit {
  return change(/^(return|[^=]*[^=!<>] =) [^;]*/s, `$1 ${value}`);
}

/** Where the pattern stands, once in the statement, stands something else; `$1` is its first group. */
export function change(pattern: RegExp, replacement: string): Edit {
  return (statement) => {
    const places = Array.from(statement.matchAll(new RegExp(pattern, `${pattern.flags}g`))).length;
    if (places !== 1) throw new Error(`${pattern} must stand in the statement once, not ${places} times`);
    return statement.replace(pattern, replacement);
  };
}
