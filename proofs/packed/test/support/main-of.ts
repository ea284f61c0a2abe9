import type { Example } from "./examples.ts";

/**
 * A script that imports all entry points, looks for what must be absent, from the project and from where each entry point
 * lies, and then runs the examples one after the other, each in an empty folder. The first line that it writes is its findings.
 */
export function mainOf(
  entries: readonly string[],
  absent: readonly string[],
  examples: readonly Pick<Example, "name">[],
): string {
  return `
import { mkdtempSync } from "node:fs";
import { createRequire } from "node:module";
${entries.map((entry, i) => `import * as entry${i} from "${entry}";`).join("\n")}

const missing = new Set<unknown>();
const isMissing = (error: unknown): void => void missing.add((error as { code: unknown }).code);
for (const name of ${JSON.stringify(absent)}) {
  await import(name).then(() => missing.add(name), isMissing);
  for (const entry of ${JSON.stringify(entries)}) {
    try {
      missing.add(createRequire(import.meta.resolve(entry)).resolve(name));
    } catch (error) {
      isMissing(error);
    }
  }
}
const empty = [${entries.map((_, i) => `entry${i}`)}].filter((entry) => Object.keys(entry).length === 0).length;
console.log(JSON.stringify({ empty, missing: [...missing] }));
const root = process.cwd();
for (const example of ${JSON.stringify(examples.map(({ name }) => `./${name}.js`))}) {
  process.chdir(mkdtempSync(root + "/run-"));
  await import(example);
}
`;
}
