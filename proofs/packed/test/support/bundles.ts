import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire, isBuiltin } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import { build } from "esbuild";
import { rollup } from "rollup";
import { run } from "./run.ts";
import { catalogVersion } from "./workspace.ts";

// Their declarations are those of their CommonJS builds.
const require = createRequire(import.meta.url);
const { default: commonjs } = require("@rollup/plugin-commonjs") as typeof import("@rollup/plugin-commonjs");
const { default: json } = require("@rollup/plugin-json") as typeof import("@rollup/plugin-json");

/** Of others. What is native stays outside a bundle, and is looked for beside it. */
const NATIVE = "better-sqlite3";
/** ioredis looks for it, and does without. */
const OPTIONAL = "supports-color";
const OTHERS = ["ioredis", "drizzle-orm", "postgres", NATIVE];

/** A program in one file, and what it prints. */
export interface Program {
  readonly title: string;
  readonly code: string;
  readonly prints: unknown;
  /** What it may import that is neither in the bundle nor Node's own. @default none */
  readonly outside?: readonly string[];
}

/** Takes a project's file, and writes it to a folder as a module that stands alone. Answers what it still imports. */
export type Bundler = (entry: string, folder: string) => Promise<readonly string[]>;

export const BUNDLERS: Readonly<Record<string, Bundler>> = {
  async esbuild(entry, folder) {
    const { warnings, metafile } = await build({
      entryPoints: [entry],
      outfile: join(folder, "program.js"),
      bundle: true,
      minify: true,
      platform: "node",
      format: "esm",
      external: [NATIVE],
      // ioredis is CommonJS, and asks for what is Node's own by `require`.
      banner: { js: `import { createRequire } from "node:module"; const require = createRequire(import.meta.url);` },
      metafile: true,
      logLevel: "silent",
    });
    if (warnings.length > 0) throw new Error(`esbuild warns: ${JSON.stringify(warnings)}`);
    const outputs = Object.values(metafile.outputs);
    return outputs.flatMap(({ imports }) =>
      imports.filter(({ external }) => external === true).map(({ path }) => path),
    );
  },

  async rollup(entry, folder) {
    const warnings: string[] = [];
    const bundle = await rollup({
      input: entry,
      external: [NATIVE],
      plugins: [nodeResolve({ exportConditions: ["node"], preferBuiltins: true }), commonjs(), json()],
      onLog(_level, log) {
        // What others do is theirs.
        if (JSON.stringify(log).includes("@usage")) warnings.push(log.message);
      },
    });
    const { output } = await bundle.write({ dir: folder, format: "esm", entryFileNames: "program.js" });
    await bundle.close();
    if (warnings.length > 0) throw new Error(`rollup warns: ${warnings.join("\n")}`);
    const own = new Set(output.map(({ fileName }) => fileName));
    return output.flatMap((chunk) => {
      return chunk.type === "chunk" ? [...chunk.imports, ...chunk.dynamicImports].filter((name) => !own.has(name)) : [];
    });
  },
};

/** A folder with all packages installed, from which programs are bundled. */
export class BundleProject implements AsyncDisposable {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  static async install(tarballs: ReadonlyMap<string, string>): Promise<BundleProject> {
    const path = await mkdtemp(join(tmpdir(), "usage-bundled-"));
    const ours = [...tarballs].map(([name, file]) => [`@usage/${name}`, `file:${file}`]);
    const theirs = OTHERS.map((name) => [name, catalogVersion(name)]);
    const dependencies = Object.fromEntries([...ours, ...theirs]);
    await writeFile(join(path, "package.json"), JSON.stringify({ private: true, type: "module", dependencies }));
    await run(
      path,
      "npm",
      "install",
      "--prefer-offline",
      "--no-audit",
      "--no-fund",
      "--ignore-scripts",
      "--loglevel=error",
    );
    return new BundleProject(path);
  }

  /** Bundles a program into an empty folder, with no packages beside it but those that it may import from outside. */
  async bundle(bundler: Bundler, { code, outside = [] }: Program): Promise<string> {
    const entry = join(await mkdtemp(join(this.#path, "entry-")), "program.js");
    await writeFile(entry, code);
    const folder = await mkdtemp(join(tmpdir(), "usage-bundle-"));
    const imports = await bundler(entry, folder);
    const known = [...outside, OPTIONAL];
    const unknown = imports.filter((name) => !isBuiltin(name) && !known.includes(name));
    if (unknown.length > 0) throw new Error(`the bundle still imports ${unknown.join(", ")}`);
    await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    if (outside.length > 0) await mkdir(join(folder, "node_modules"));
    for (const name of outside) {
      await symlink(join(this.#path, "node_modules", name), join(folder, "node_modules", name));
    }
    return folder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#path, { recursive: true, force: true });
  }
}
