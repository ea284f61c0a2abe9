import type { Edit } from "./edits.ts";

/** A deliberate fault in the code. */
export interface Mutation {
  /** Also what marks the statement that it breaks: `// fault: NAME` on a line above, in a script `-- fault: NAME`. */
  readonly name: string;
  /** What becomes of that statement. */
  readonly edit: Edit;
  /** Each of these must fail. */
  readonly caughtBy: readonly NamedTest[];
}

export interface NamedTest {
  /** That runs it; relative to the root. */
  readonly file: string;
  /** As it stands in the source, placeholders like `%s` included; in a contract suite, where that is what the file runs. */
  readonly title: string;
}

export function keyOf({ file, title }: NamedTest): string {
  return `${file}: ${title}`;
}
