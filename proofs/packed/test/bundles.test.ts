import { rm } from "node:fs/promises";
import { type PostgresServer, type RedisServer, startPostgres, startRedis } from "@usage/test-servers";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { PROGRAMS } from "./support/bundled-programs.ts";
import { BUNDLERS, BundleProject } from "./support/bundles.ts";
import { run } from "./support/run.ts";
import { packAll, type Tarballs } from "./support/tarballs.ts";
import { NODES } from "./support/workspace.ts";

let tarballs: Tarballs;
let project: BundleProject;
let redis: RedisServer;
let runs = 0;

beforeAll(async () => {
  [tarballs, redis] = await Promise.all([packAll(), startRedis({ config: { databases: "1000" } })]);
  project = await BundleProject.install(tarballs.files);
});
afterAll(async () => {
  await Promise.all([redis?.stop(), project?.[Symbol.asyncDispose]()]);
  if (tarballs !== undefined) await rm(tarballs.folder, { recursive: true });
});

describe.each(Object.entries(BUNDLERS))("a bundle made by %s, with no packages beside it", (_, bundler) => {
  // Of its own: the first run migrates it.
  let postgres: PostgresServer;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres?.stop());

  it.each(PROGRAMS)("runs on every Node: $title", async (program) => {
    const folder = await project.bundle(bundler, program);
    onTestFinished(() => rm(folder, { recursive: true }));
    for (const node of NODES) {
      runs += 1;
      const output = await run(folder, node, "program.js", `${redis.url}/${runs}`, postgres.url, `tenant ${runs}`);
      expect(JSON.parse(output)).toEqual(program.prints);
    }
  });
});
