import { build, type Metafile } from "esbuild";

export const PROGRAMS = ["usage-proxy", "usage-proxy-repair", "usage-proxy-health"] as const;
/** What stays a package of its own beside the bundle, since it is native. */
export const NATIVE = "better-sqlite3";
/** ioredis asks for its colours in debug output, and does without. */
const OPTIONAL = "supports-color";

export interface Compiled {
  /** The files that went in, relative to where esbuild ran. */
  readonly inputs: readonly string[];
}

/**
 * Compiles the programs from the sources, with what they share in files that several load. A part that is imported where it is
 * configured stays a file of its own, which is not read otherwise. Nothing of it looks up a package, but SQLite's driver:
 * Node reads the package.json of a package anew for each module, and drizzle-orm's costs some 150 MB.
 *
 * @throws Error for whatever esbuild warns of.
 */
export async function compile(appFolder: string, outFolder: string): Promise<Compiled> {
  const { warnings, metafile } = await build({
    absWorkingDir: appFolder,
    entryPoints: PROGRAMS.map((program) => `src/bin/${program}.ts`),
    outdir: outFolder,
    chunkNames: "[name]-[hash]",
    bundle: true,
    splitting: true,
    // A third of the size, which is memory, too. Names stay, for stack traces, and lines are short: Node prints the whole line
    // in which an error was thrown.
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 120,
    legalComments: "none",
    platform: "node",
    target: "node24",
    format: "esm",
    conditions: ["@usage/source"],
    external: [NATIVE, OPTIONAL],
    // What is CommonJS asks for what is Node's own by `require`.
    banner: { js: `import{createRequire as requireFrom}from"node:module";const require=requireFrom(import.meta.url);` },
    metafile: true,
    // What is checked elsewhere need not be there: the sources alone are enough.
    tsconfigRaw: {},
    logLevel: "silent",
  });
  if (warnings.length > 0) throw new Error(`esbuild warns: ${JSON.stringify(warnings)}`);
  return { inputs: inputsOf(metafile) };
}

/** Of what is in the outputs: a file of which nothing is left is not part of them. */
function inputsOf({ outputs }: Metafile): readonly string[] {
  const used = Object.values(outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : [])),
  );
  return [...new Set(used)];
}
