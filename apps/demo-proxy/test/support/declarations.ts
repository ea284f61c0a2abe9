import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The root of the repository. */
export const ROOT: string = fileURLToPath(new URL("../../../..", import.meta.url));

export function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** What an entry of a package exports, by its own words or from another file. */
export function exportsOf(entry: string): readonly string[] {
  const source = read(entry);
  const passedOn = Array.from(source.matchAll(/^export (?:type )?\{(.*?)\}/gms), ([, names = ""]) => names.split(","));
  const own = Array.from(source.matchAll(/^export (?:async )?(?:function|class|const|interface|type) (\w+)/gm));
  return [
    ...passedOn.flat().map((name) => name.trim().replace(/^type /, "")),
    ...own.map(([, name = ""]) => name),
  ].filter((name) => name !== "");
}

/** The declaration of a class or an interface in any package's sources, from its first line to its last; undefined where there is none. */
export function declarationOf(name: string): string | undefined {
  const declared = new RegExp(`^export (?:abstract )?(?:class|interface) ${name}\\b.*?^}`, "ms");
  return globSync("packages/*/src/**/*.ts", { cwd: ROOT })
    .map((path) => declared.exec(read(path))?.[0])
    .find((found) => found !== undefined);
}
