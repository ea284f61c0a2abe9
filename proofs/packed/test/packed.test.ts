import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type PostgresServer, type RedisServer, startPostgres, startRedis } from "@usage/test-servers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { COMBINATIONS, type Combination } from "./support/combinations.ts";
import { installProject, type Project, type Resolution, removeProject, typecheck } from "./support/project.ts";
import { run } from "./support/run.ts";
import { packAll, type Tarballs } from "./support/tarballs.ts";
import { NODES, PUBLISHED, ROOT } from "./support/workspace.ts";

let tarballs: Tarballs;
let redis: RedisServer;
let postgres: PostgresServer;
const projects = new Map<Combination, Project>();

beforeAll(async () => {
  [tarballs, redis, postgres] = await Promise.all([
    packAll(),
    startRedis({ config: { databases: "1000" } }),
    startPostgres(),
  ]);
  const install = async (combination: Combination) =>
    projects.set(combination, await installProject(combination, tarballs.files));
  await Promise.all(COMBINATIONS.map(install));
});
afterAll(async () => {
  await Promise.all([redis?.stop(), postgres?.stop(), ...[...projects.values()].map(removeProject)]);
  if (tarballs !== undefined) await rm(tarballs.folder, { recursive: true });
});

describe("the tarballs", () => {
  it.each(PUBLISHED)("%s has its README, license and manifest, and no tests", (name) => {
    const paths = tarballs.contents.get(name);
    expect(paths).toEqual(expect.arrayContaining(["README.md", "LICENSE", "package.json"]));
    expect(paths?.filter((path) => /test\/|tsconfig|tsbuildinfo/.test(path))).toEqual([]);
  });

  it("have no entry point that no project imports", async () => {
    const entries = await Promise.all(
      PUBLISHED.map(async (name) => {
        const { exports } = JSON.parse(await readFile(join(ROOT, "packages", name, "package.json"), "utf8"));
        return Object.keys(exports).map((path) => `@usage/${name}${path.slice(1)}`);
      }),
    );
    const imported = new Set(COMBINATIONS.flatMap((combination) => combination.entries));
    const isImported = (entry: string): boolean => imported.has(entry) || entry.endsWith("/package.json");
    expect(entries.flat().filter((entry) => !isImported(entry))).toEqual([]);
  });
});

describe.concurrent.each(COMBINATIONS)("a project with $title", (combination) => {
  const { others, packages } = combination;
  const usesStore = packages.includes("store-drizzle");
  const project = (): Project => projects.get(combination) ?? expect.fail("it is not installed");

  it("compiles under nodenext, and runs the examples of its READMEs on every Node", async () => {
    expect(await typecheck(project(), "nodenext", { skipLibCheck: usesStore })).toEqual([]);
    await Promise.all(NODES.map((node) => runOn(node, project())));
  });

  it("compiles under bundler", async () => {
    expect(await typecheck(project(), "bundler", { skipLibCheck: usesStore })).toEqual([]);
  });

  if (usesStore && packages.includes("counter-redis")) {
    it.each<Resolution>(["nodenext", "bundler"])(
      "needs no skipLibCheck for what is not the store, under %s",
      async (resolution) => {
        await writeFile(join(project().path, "storeless.ts"), STORELESS);
        expect(await typecheck(project(), resolution, { files: ["storeless"] })).toEqual([]);
      },
    );
  } else if (usesStore) {
    it("needs skipLibCheck for the declarations of drizzle-orm, and for no others", async () => {
      const complaints = await typecheck(project(), "nodenext");
      expect(complaints.filter((line) => !/^node_modules\/(\.pnpm\/.*\/)?drizzle-orm\//.test(line))).toEqual([]);
    });
  }

  if (others.includes("vitest")) {
    it("holds a counter and a store to the contracts", async () => {
      const { path } = project();
      await writeFile(join(path, "contract.test.js"), CONTRACTS);
      expect(await run(path, process.execPath, "node_modules/vitest/vitest.mjs", "run")).toMatch(/Tests .*passed/);
    });
  }
});

const STORELESS = `
import { memoryStore } from "@usage/counter-core";
import { RedisCounterBackend, recommendedClientOptions } from "@usage/counter-redis";
import { openUsage } from "@usage/tracker";
import { toHeaders } from "@usage/tracker/http";
import { Redis } from "ioredis";
const counter = await RedisCounterBackend.connect({ client: new Redis(recommendedClientOptions) });
const usage = await openUsage({ counter, store: memoryStore(), defaults: { apiRequests: 1 } });
console.log(toHeaders(usage.check("acme", { apiRequests: 1 })));
`;

const CONTRACTS = `
import { LocalCounterBackend } from "@usage/counter-core";
import { memoryStore } from "@usage/counter-core";
import { counterBackendContract, usageStoreContract } from "@usage/counter-core/testing";
counterBackendContract("a counter", { create: (backends, clock) => new LocalCounterBackend(backends, { clock }) });
usageStoreContract("a store", { create: async () => ({ store: memoryStore(), dispose: async () => {} }) });
`;

let redisRuns = 0;

async function runOn(node: string, { path, examples }: Project): Promise<void> {
  redisRuns += 1;
  const output = await run(path, node, "out/main.js", `${redis.url}/${redisRuns}`, postgres.url);
  const [findings = "", ...printed] = output.split("\n");
  expect(JSON.parse(findings)).toEqual({ empty: 0, missing: ["ERR_MODULE_NOT_FOUND", "MODULE_NOT_FOUND"] });
  for (const text of examples.flatMap(({ prints }) => prints)) expect(printed.join("\n")).toContain(text);
}
