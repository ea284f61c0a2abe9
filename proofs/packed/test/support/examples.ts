import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Combination } from "./combinations.ts";
import { ROOT } from "./workspace.ts";

/** A TypeScript block of a README. */
export interface Example {
  /** Of its file, without extension. */
  readonly name: string;
  readonly code: string;
  /** What the comments behind its `console.log` promise. */
  readonly prints: readonly string[];
}

/**
 * The examples of the READMEs of all its packages, as far as it has what they import. Their servers are those of the process's
 * arguments: the Redis database whose number is the first one followed by the example's, and the Postgres of the second one.
 */
export function examplesOf({ packages, others, entries }: Combination): readonly Example[] {
  const readmes = ["README.md", ...packages.map((name) => join("packages", name, "README.md"))];
  const has = new Set([...entries, ...others]);
  return readmes
    .flatMap(blocksOf)
    .map((example) => (has.has("postgres") ? onPostgres(example) : example))
    .filter(({ code }) => Array.from(code.matchAll(/ from "([^"]+)"/g)).every(([, name = ""]) => has.has(name)))
    .map((example, i) => ({
      ...example,
      code: example.code
        .replaceAll(`"redis://127.0.0.1:6379"`, `process.argv[2] + "${i}"`)
        .replaceAll(`"postgres://user:password@host/database"`, `process.argv[3] ?? ""`),
    }));
}

function blocksOf(readme: string): readonly Example[] {
  const text = readFileSync(join(ROOT, readme), "utf8");
  const prefix = readme
    .replace("/README.md", "")
    .replace("README.md", "root")
    .replaceAll(/[^a-z]+/g, "-");
  return Array.from(text.matchAll(/```ts\n(.*?)```/gs), ([, code = ""], i) => ({
    name: `${prefix}-${i}`,
    code,
    prints: Array.from(code.matchAll(/console\.log\(.*\); \/\/ .*?(\{ .+ \}|\d+)/g), ([, text = ""]) => text),
  }));
}

/** "On Postgres it is `openPostgresStore` of `@usage/store-drizzle/postgres`; the rest is the same." */
function onPostgres(example: Example): Example {
  const code = example.code
    .replaceAll("@usage/store-drizzle/sqlite", "@usage/store-drizzle/postgres")
    .replaceAll("openSqliteStore", "openPostgresStore")
    .replaceAll(`"usage.db"`, `"postgres://user:password@host/database"`);
  return { ...example, code };
}
