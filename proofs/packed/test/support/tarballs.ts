import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pnpm, run } from "./run.ts";
import { PUBLISHED, ROOT, TSC } from "./workspace.ts";

export interface Tarballs {
  readonly folder: string;
  /** By the folder of their package. */
  readonly files: ReadonlyMap<string, string>;
  /** The paths in each of them. */
  readonly contents: ReadonlyMap<string, readonly string[]>;
}

/** Builds and packs what is published, as `pnpm publish` does. */
export async function packAll(): Promise<Tarballs> {
  const folder = await mkdtemp(join(tmpdir(), "usage-tarballs-"));
  await run(ROOT, process.execPath, TSC, "-b", ...PUBLISHED.map((name) => `packages/${name}/tsconfig.build.json`));
  const filters = PUBLISHED.flatMap((name) => ["--filter", `@usage/${name}`]);
  const output = await pnpm(ROOT, "-r", ...filters, "pack", "--json", "--pack-destination", folder);
  const packed: readonly PackedPackage[] = JSON.parse(output);
  const folderOf = (name: string): string => name.replace("@usage/", "");
  return {
    folder,
    files: new Map(packed.map(({ name, filename }) => [folderOf(name), filename])),
    contents: new Map(packed.map(({ name, files }) => [folderOf(name), files.map(({ path }) => path)])),
  };
}

interface PackedPackage {
  readonly name: string;
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}
