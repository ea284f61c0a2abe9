import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { markersIn, mutated } from "./marked-code.ts";
import type { Mutation } from "./mutation.ts";

export const ROOT: string = fileURLToPath(new URL("../../../", import.meta.url));
const LEFT_OUT = new Set([".git", ".turbo", "dist", "tsconfig.tsbuildinfo"]);

/**
 * A copy of the whole tree, in which code can be broken: also what is not JavaScript, and what runs in processes of its own.
 * The packages find each other in the copy, and everybody else's code where it is installed.
 */
export class TreeCopy {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(): Promise<TreeCopy> {
    const folder = await mkdtemp(join(tmpdir(), "usage-mutations-"));
    const installed = join(ROOT, "node_modules");
    // A package's own `node_modules` are relative links: to its neighbours, which are copied, and into the root's.
    const filter = (source: string): boolean => source !== installed && !LEFT_OUT.has(basename(source));
    await cp(ROOT, folder, { recursive: true, verbatimSymlinks: true, filter });
    await symlink(installed, join(folder, "node_modules"));
    return new TreeCopy(folder);
  }

  /** Runs `work` while the mutation is in the code. */
  async broken<T>(mutation: Mutation, work: () => Promise<T>): Promise<T> {
    const broken = mutated(this.folder, markersIn(this.folder), mutation);
    const path = join(this.folder, broken.file);
    const source = await readFile(path, "utf8");
    await this.#write(path, broken.source);
    try {
      return await work();
    } finally {
      await this.#write(path, source);
    }
  }

  /** Scripts run as the module that has them all. */
  async #write(path: string, source: string): Promise<void> {
    await writeFile(path, source);
    if (!path.endsWith(".lua")) return;
    await promisify(execFile)(process.execPath, [join(this.folder, "scripts/embed-scripts.ts")]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true });
  }
}
