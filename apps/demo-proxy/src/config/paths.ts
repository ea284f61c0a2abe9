import { resolve } from "node:path";

/** Variables of the environment by name, as they are handed in. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface Place {
  /** What relative paths are relative to. */
  readonly folder: string;
  readonly env: Environment;
}

/**
 * An absolute path. `~/` is the home folder.
 *
 * @throws RangeError when that is not known, or somebody else's is meant.
 */
export function absolutePath(path: string, { folder, env }: Place): string {
  if (!path.startsWith("~")) return resolve(folder, path);
  if (path !== "~" && !path.startsWith("~/")) {
    throw new RangeError("only ~/ stands for a home folder; write ./~ for a file whose name begins so");
  }
  if (!env.HOME) throw new RangeError("~/ stands for the home folder, and HOME is not set; write the path out");
  return resolve(folder, env.HOME, path.slice(2));
}
