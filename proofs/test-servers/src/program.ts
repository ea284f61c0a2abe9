import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** How a program is run: `path`, then `args` before its own, in our environment and `env`. */
export interface Program {
  readonly path: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** The first of `names` in a folder of PATH, or in one of the system's folders that PATH may lack. */
export function installedProgram(...names: readonly string[]): Program | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  const paths = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  const path = paths.find((path) => existsSync(path));
  return path === undefined ? undefined : { path, args: [], env: {} };
}
