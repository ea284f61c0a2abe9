import { execFile } from "node:child_process";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freshFolder } from "./support/folder.ts";
import { freshSchema } from "./support/schema.ts";

const run = promisify(execFile);
const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const TSC = fileURLToPath(new URL("../../../node_modules/.bin/tsc", import.meta.url));

const SCRIPT = `
const [dialect, target, absent] = process.argv.slice(2);
const { openSqliteStore, openPostgresStore } = await import("@usage/store-drizzle/" + dialect);
const { usageTallies } = await import("@usage/store-drizzle/" + dialect + "/schema");
const store = await (openSqliteStore ?? openPostgresStore)(target);
await store.merge([{ writer: "w", period: "2026-01", backend: "oci", usage: { apiRequests: 3 } }]);
const totals = await store.totals("2026-01", "w");
const rows = await store.db.select().from(usageTallies);
await store.close();
const missing = await import(absent).then(() => "found", (error) => error.code);
console.log(JSON.stringify({ all: totals.get("oci").all, rows: rows.length, missing }));
`;

/** The packages as users get them, in projects that hold nothing else of this workspace. */
describe("the packed package", { timeout: 120_000 }, () => {
  let folder: Awaited<ReturnType<typeof freshFolder>>;
  let tarballs: readonly string[];

  beforeAll(async () => {
    folder = await freshFolder();
    await run(TSC, ["-b", "tsconfig.build.json"], { cwd: PACKAGE });
    for (const name of ["counter-core", "store-drizzle"]) {
      const cwd = join(PACKAGE, "..", name);
      await run("npx", ["-y", "pnpm@12", "pack", "--pack-destination", folder.path], { cwd });
    }
    tarballs = (await readdir(folder.path)).map((file) => join(folder.path, file));
    expect(tarballs).toHaveLength(2);
  });
  afterAll(() => folder.dispose());

  async function runInProject(driver: string, ...args: readonly string[]): Promise<unknown> {
    const project = await freshFolder();
    await writeFile(join(project.path, "package.json"), `{ "private": true, "type": "module" }`);
    await writeFile(join(project.path, "main.js"), SCRIPT);
    const quiet = ["--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    await run("npm", ["install", ...quiet, ...tarballs, "drizzle-orm@0.45.4", driver], { cwd: project.path });
    const { stdout } = await run(process.execPath, ["main.js", ...args], { cwd: project.path });
    await project.dispose();
    return JSON.parse(stdout);
  }

  const expected = {
    all: { apiRequests: 3, egressBytes: 0, ingressBytes: 0 },
    rows: 1,
    missing: "ERR_MODULE_NOT_FOUND",
  };

  it("works on SQLite without the package postgres", async () => {
    expect(await runInProject("better-sqlite3@13.2.0", "sqlite", "usage.db", "postgres")).toEqual(expected);
  });

  it("works on Postgres without better-sqlite3", async () => {
    const schema = await freshSchema();
    expect(await runInProject("postgres@3.4.9", "postgres", schema.url, "better-sqlite3")).toEqual(expected);
    await schema.dispose();
  });
});
