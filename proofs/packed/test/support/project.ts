import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { absentPeers, type Combination } from "./combinations.ts";
import { type Example, examplesOf } from "./examples.ts";
import { mainOf } from "./main-of.ts";
import { pnpm, run, tryRun } from "./run.ts";
import { catalogVersion, TSC } from "./workspace.ts";

/** A folder that holds what its combination says, and nothing else of this workspace. */
export interface Project {
  readonly path: string;
  readonly examples: readonly Example[];
}

/** `main.ts` imports every entry point, then runs the examples beside it. All are compiled to JavaScript in `out`. */
export async function installProject(
  combination: Combination,
  tarballs: ReadonlyMap<string, string>,
): Promise<Project> {
  const path = await mkdtemp(join(tmpdir(), "usage-packed-"));
  const examples = examplesOf(combination);
  const { installer, packages, others, entries } = combination;
  const ours = packages.map((name) => [`@usage/${name}`, `file:${tarballs.get(name)}`]);
  const theirs = [...others, "@types/node"].map((name) => [name, catalogVersion(name)]);
  const dependencies = Object.fromEntries([...ours, ...theirs]);
  const files: Readonly<Record<string, string>> = {
    "package.json": JSON.stringify({ private: true, type: "module", dependencies }),
    // pnpm asks the registry for what a tarball depends on, unless told where it is; nothing that is undeclared is in reach.
    "pnpm-workspace.yaml": JSON.stringify({ overrides: Object.fromEntries(ours), hoist: false }),
    "main.ts": mainOf(entries, absentPeers(combination), examples),
    ...Object.fromEntries(examples.map(({ name, code }) => [`${name}.ts`, code])),
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
  await install[installer](path);
  return { path, examples };
}

const install = {
  npm: (cwd: string) =>
    run(cwd, "npm", "install", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"),
  pnpm: (cwd: string) => pnpm(cwd, "install", "--prefer-offline", "--ignore-scripts"),
};

export async function removeProject({ path }: Project): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

/** How a project resolves imports: "nodenext" also writes `out`. */
export type Resolution = "nodenext" | "bundler";

export interface TypecheckOptions {
  /** @default false */
  readonly skipLibCheck?: boolean;
  /** @default all */
  readonly files?: readonly string[];
}

/** Compiles the project's files; answers the compiler's complaints. */
export async function typecheck(
  { path, examples }: Project,
  resolution: Resolution,
  { skipLibCheck = false, files = ["main", ...examples.map(({ name }) => name)] }: TypecheckOptions = {},
): Promise<readonly string[]> {
  const folder = join(path, `${resolution}-${skipLibCheck}`);
  await mkdir(folder);
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    target: "es2022",
    lib: ["es2022", "esnext.disposable"],
    types: ["node"],
    module: resolution === "nodenext" ? "nodenext" : "esnext",
    moduleResolution: resolution,
    skipLibCheck,
    rootDir: "..",
    outDir: "../out",
    noEmit: resolution !== "nodenext",
  };
  const config = { compilerOptions, files: files.map((name) => `../${name}.ts`) };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
  const { output } = await tryRun(path, process.execPath, TSC, "--singleThreaded", "--pretty", "false", "-p", folder);
  return output.split("\n").filter((line) => line.includes("error TS"));
}
