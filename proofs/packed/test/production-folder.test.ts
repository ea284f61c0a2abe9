import { readdirSync, readFileSync, realpathSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type PostgresServer, type RedisServer, startPostgres, startRedis } from "@usage/test-servers";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { ProductionFolder, type Started } from "./support/production-folder.ts";
import { run, tryPnpm, tryRun } from "./support/run.ts";
import { NODES, PROXY_NODES, ROOT } from "./support/workspace.ts";

const DESCRIBES = "what describes the admin API";
/** Words that are in the code of a part and nowhere else, by which its file is known again in a bundle. */
const PARTS: Readonly<Record<string, string>> = {
  "the client of Redis": "ioredis:command",
  "the counter on Redis": "redis.call(",
  "the client of Postgres": "CONNECTION_ENDED",
  "drizzle's Postgres": "PgDialect",
  "drizzle's SQLite": "SQLiteSyncDialect",
  "the driver of SQLite": "getPrebuildPath",
  [DESCRIBES]: "cannot be represented in OpenAPI",
};

let folder: ProductionFolder;
let redis: RedisServer;
let postgres: PostgresServer;
let upstream: string;
const server = createServer((_, response) => response.end("hello"));

beforeAll(async () => {
  [folder, redis, postgres] = await Promise.all([ProductionFolder.make(), startRedis(), startPostgres()]);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  upstream = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
});
afterAll(async () => {
  server.close();
  await Promise.all([folder?.[Symbol.asyncDispose](), redis?.stop(), postgres?.stop()]);
});

describe.each(PROXY_NODES.map((node, index) => [versionOf(node), index]))(
  "the production folder on Node %s",
  (_, index) => {
    const start = (program: string, args: readonly string[], cwd: string, env?: NodeJS.ProcessEnv): Started => {
      const started = folder.start(folder.nodes[index] ?? "", program, args, cwd, env);
      onTestFinished(() => void started.process.kill("SIGKILL"));
      return started;
    };
    const startProxy = (cwd: string, env?: NodeJS.ProcessEnv) =>
      start("usage-proxy", ["--config", "proxy.yaml"], cwd, env);

    it("runs as another user who can write nothing but the data, and begins again where it ended", async () => {
      const data = await folder.dataFolder(configText());
      const first = startProxy(data);
      const { proxy, admin } = await first.addresses();
      expect(await (await fetch(`${proxy}/a`)).text()).toBe("hello");
      expect(await start("usage-proxy-health", [`${admin}/readyz`], data).exit()).toBe(0);
      expect(await first.exit("SIGTERM")).toBe(0);
      expect(first.errors).toBe("");
      expect(readdirSync(data).sort()).toEqual(["proxy.yaml", "usage.db"]);

      const second = startProxy(data);
      expect(await used((await second.addresses()).admin)).toEqual({ one: 1, two: 0 });
      expect(await second.exit("SIGTERM")).toBe(0);
    });

    it("serves the page and every file of it", async () => {
      const { admin } = await startProxy(await folder.dataFolder(configText())).addresses();
      const statuses = await crawl(admin);
      expect([...statuses].filter(([, status]) => status !== 200)).toEqual([]);
      expect([...statuses.keys()]).toEqual(
        expect.arrayContaining(["/", "/dashboard/base.css", "/dashboard/dashboard.js", "/dashboard/format.js"]),
      );
      // It is asked for once there is something to draw.
      expect((await fetch(`${admin}/dashboard/uplot.js`)).status).toBe(200);
    });

    it("loads of Redis, Postgres and SQLite only what is configured", async () => {
      const sqlite = await loadedParts(await folder.dataFolder(configText()), startProxy);
      expect(sqlite).toEqual(["drizzle's SQLite", "the driver of SQLite"]);

      const { url } = redis;
      const shared = `counter: { kind: redis, url: "${url}/${index}", prefix: "folder-${index}" }\nstore: { kind: postgres, url: "${postgres.url}" }\n`;
      const both = await loadedParts(await folder.dataFolder(shared + configText()), startProxy);
      expect(both).toEqual(Object.keys(PARTS).filter((part) => !part.includes("SQLite") && part !== DESCRIBES));
    });

    it("describes the admin API, and loads what does so when it is asked", async () => {
      const ask = async (admin: string) => {
        const { openapi, paths } = (await (await fetch(`${admin}/api/openapi.json`)).json()) as Record<string, unknown>;
        expect({ openapi, paths }).toMatchObject({ openapi: "3.1.0", paths: { "/api/usage": { get: {} } } });
      };
      expect(await loadedParts(await folder.dataFolder(configText()), startProxy, ask)).toContain(DESCRIBES);
    });

    it("has its other programs, which say what they are for", async () => {
      const data = await folder.dataFolder(configText());
      const check = start("usage-proxy", ["--check", "proxy.yaml"], data);
      expect([await check.exit(), check.output]).toEqual([0, expect.stringMatching(/^proxy\.yaml: valid: /)]);
      const repair = start("usage-proxy-repair", ["--config", "proxy.yaml", "--backend", "one"], data);
      expect([await repair.exit(), repair.errors]).toEqual([0, ""]);
      const nobody = start("usage-proxy-health", ["http://127.0.0.1:1/healthz"], data);
      expect([await nobody.exit(), nobody.errors]).toEqual([1, expect.stringContaining("ECONNREFUSED")]);
    });
  },
);

it("says on an older Node which one it needs", async () => {
  const { code, output } = await tryRun(folder.path, NODES[0] ?? "", "app/usage-proxy.js", "--version");
  expect({ code, output }).toEqual({
    code: 1,
    output: "the usage proxy needs Node 24.0 or newer, and this is 22.14.0\n",
  });
});

it("is run by its name where a package manager has linked it", async () => {
  const bin = JSON.parse(await readFile(join(folder.path, "package.json"), "utf8")).bin;
  expect(Object.keys(bin)).toEqual(["usage-proxy", "usage-proxy-repair", "usage-proxy-health"]);
  const prefix = await mkdtemp(join(tmpdir(), "usage-prefix-"));
  onTestFinished(() => rm(prefix, { recursive: true }));
  await run(prefix, "npm", "install", "--global", "--offline", "--prefix", prefix, folder.path);
  expect(await run(prefix, join(prefix, "bin/usage-proxy"), "--version")).toMatch(/^usage proxy \S+ on Node v\d+/);
});

it("names the license of everything that is in it", async () => {
  const text = await readFile(join(folder.path, "THIRD-PARTY.txt"), "utf8");
  for (const name of ["undici", "pino", "zod", "yaml", "ioredis", "postgres", "drizzle-orm"]) {
    expect(text).toMatch(new RegExp(`^${name} \\d+\\.\\S+ \\(.+\\)$`, "m"));
  }
  expect(text).not.toContain("(undefined)");
});

it("is written over an earlier one, and over nothing else", async () => {
  const target = await mkdtemp(join(tmpdir(), "usage-target-"));
  onTestFinished(() => rm(target, { recursive: true }));
  const bundle = () => tryPnpm(ROOT, "bundle", target);
  await writeFile(join(target, "mine.txt"), "mine");
  expect(await bundle()).toEqual({ code: 1, output: expect.stringContaining("holds something else") });
  expect(readdirSync(target)).toEqual(["mine.txt"]);

  await rm(join(target, "mine.txt"));
  expect((await bundle()).code).toBe(0);
  await mkdir(join(target, "app/left-over"));
  expect((await bundle()).code).toBe(0);
  expect(readdirSync(join(target, "app"))).not.toContain("left-over");
});

/** As the folder of the install has it. */
function versionOf(node: string): string {
  return /node@([\d.]+)/.exec(realpathSync(node))?.[1] ?? node;
}

function configText(): string {
  return `listen: 127.0.0.1:0
admin: { listen: "127.0.0.1:0" }
backends:
  - { name: one, url: "${upstream}", limits: { apiRequests: 100 } }
  - { name: two, url: "${upstream}" }
`;
}

/** The status of the page, and of everything that it, or what it loads, names. */
async function crawl(origin: string): Promise<ReadonlyMap<string, number>> {
  const statuses = new Map<string, number>();
  const follow = async (url: URL): Promise<void> => {
    if (url.origin !== origin || statuses.has(url.pathname)) return;
    statuses.set(url.pathname, 0);
    const response = await fetch(url);
    statuses.set(url.pathname, response.status);
    const named = (await response.text()).matchAll(/(?:(?:src|href)=|from |import |url\()"([^"]+)"/g);
    await Promise.all([...named].map(([, name = ""]) => follow(new URL(name, url))));
  };
  await follow(new URL("/", origin));
  return statuses;
}

async function used(admin: string): Promise<Record<string, number>> {
  const { backends } = (await (await fetch(`${admin}/api/usage`)).json()) as {
    readonly backends: readonly { readonly name: string; readonly usage: { readonly apiRequests: number } }[];
  };
  return Object.fromEntries(backends.map(({ name, usage }) => [name, usage.apiRequests]));
}

/** Which of the parts a proxy loads that starts, answers a request and what else is asked, and ends. Node writes down what it loaded. */
async function loadedParts(
  data: string,
  start: (cwd: string, env: NodeJS.ProcessEnv) => Started,
  ask: (admin: string) => Promise<void> = async () => {},
): Promise<string[]> {
  const child = start(data, { NODE_V8_COVERAGE: join(data, "coverage") });
  const { proxy, admin } = await child.addresses();
  expect((await fetch(proxy)).status).toBe(200);
  await ask(admin);
  expect([await child.exit("SIGTERM"), child.errors]).toEqual([0, ""]);
  const [report = ""] = readdirSync(join(data, "coverage"));
  const { result } = JSON.parse(readFileSync(join(data, "coverage", report), "utf8")) as {
    readonly result: readonly { readonly url: string }[];
  };
  const texts = result
    .filter(({ url }) => url.startsWith("file:"))
    .map(({ url }) => readFileSync(fileURLToPath(url), "utf8"));
  return Object.entries(PARTS).flatMap(([part, word]) => (texts.some((text) => text.includes(word)) ? [part] : []));
}
