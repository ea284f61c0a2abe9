/** A deliberate fault in the code: what would stand in a file in place of something that stands there once. */
export interface Mutation {
  readonly name: string;
  /** Relative to the root, as all files here. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** Each of these must fail. */
  readonly caughtBy: readonly NamedTest[];
}

export interface NamedTest {
  /** That runs it. */
  readonly file: string;
  /** As it stands in the source, placeholders like `%s` included; in a contract suite, where that is what the file runs. */
  readonly title: string;
}

export function keyOf({ file, title }: NamedTest): string {
  return `${file}: ${title}`;
}

/** The code with the fault in it. @throws Error unless what is to be found stands in it exactly once. */
export function mutated(source: string, { file, find, replace, name }: Mutation): string {
  const places = source.split(find).length - 1;
  if (places !== 1) {
    throw new Error(`the mutation "${name}" needs this once in ${file}, it stands there ${places} times: ${find}`);
  }
  return source.replace(find, () => replace);
}
