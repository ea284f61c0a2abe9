import { execFile } from "node:child_process";
import { globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT, read } from "./support/declarations.ts";

/** The TypeScript blocks of all pages, by the file that each becomes. */
const EXAMPLES: ReadonlyMap<string, string> = new Map(
  globSync(["*.md", "docs/*.md", "packages/*/README.md", "apps/*/README.md"], { cwd: ROOT }).flatMap((page) => {
    const blocks = Array.from(read(page).matchAll(/```ts\n(.*?)```/gs), ([, code = ""]) => code);
    return blocks.map((code, i) => [`${page.replaceAll(/[^a-z]+/gi, "-")}-${i + 1}.ts`, code] as const);
  }),
);

/** Below the app, where all packages are in reach. */
const CACHE = join(ROOT, "apps/demo-proxy/.cache");

describe("the TypeScript of READMEs and pages", () => {
  let folder = "";
  let output = "";

  beforeAll(async () => {
    mkdirSync(CACHE, { recursive: true });
    folder = mkdtempSync(join(CACHE, "examples-"));
    for (const [file, code] of EXAMPLES) writeFileSync(join(folder, file), code);
    const compilerOptions = { composite: false, declarationMap: false, rootDir: ROOT };
    const config = { extends: join(ROOT, "tsconfig.test.json"), compilerOptions, include: ["*.ts"] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    output = await typeErrorsIn(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("is found, and compiled", () => {
    expect(output).not.toContain("tsconfig.json");
    expect([...EXAMPLES.keys()]).toEqual(expect.arrayContaining(["README-md-1.ts", "docs-migrating-from-go-md-1.ts"]));
  });

  it.each([...EXAMPLES.keys()])("%s has no error of types", (file) => {
    expect(output.split("\n").filter((line) => line.includes(`${basename(folder)}/${file}`))).toEqual([]);
  });
});

/** What the compiler says; it ends with an error where it says anything. */
function typeErrorsIn(folder: string): Promise<string> {
  const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [compiler, "-p", folder], { cwd: ROOT }, (error, stdout, stderr) => {
      if (error !== null && stdout === "") reject(new Error(stderr, { cause: error }));
      else resolve(stdout);
    });
  });
}
