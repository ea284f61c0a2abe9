import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type RedisServer, startRedis } from "@usage/test-servers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tempFolder } from "./support/temp-folder.ts";

const APP = fileURLToPath(new URL("..", import.meta.url));
const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis?.stop());

/** The TypeScript blocks of a README, as a user would copy them, on a Redis of ours and a database that is thrown away. */
async function examplesOf(readme: string, folder: string): Promise<readonly string[]> {
  const text = await readFile(join(ROOT, readme), "utf8");
  return Array.from(text.matchAll(/```ts\n(.*?)```/gs), ([, code = ""]) =>
    code
      .replace(`"usage.db"`, JSON.stringify(join(folder, "usage.db")))
      .replace(`"redis://127.0.0.1:6379"`, JSON.stringify(redis.url)),
  );
}

/** Runs code in a process of its own, with all packages in reach; answers what it prints. */
async function run(code: string): Promise<string> {
  const args = ["--conditions=@usage/source", "--input-type=module-typescript", "--eval", code];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: APP });
  return stdout;
}

describe("the examples of the README", () => {
  it.each<[string, readonly string[]]>([
    ["README.md", [""]],
    ["packages/counter-core/README.md", ["true\nfalse\n{ apiRequests: 1, egressBytes: 5242880, ingressBytes: 0 }\n"]],
    ["packages/counter-redis/README.md", ["{ apiRequests: 1, egressBytes: 5242880, ingressBytes: 0 }\n"]],
    ["docs/migrating-from-go.md", ["true 1\n"]],
    ["packages/tracker/README.md", ["true\n429 {", "true\nminute\n", "globex: 0.5 of 1000\nglobex: 0.8 of 1000\n", ""]],
    ["packages/store-drizzle/README.md", ["{ apiRequests: 3, egressBytes: 5242880, ingressBytes: 0 }\n"]],
  ])("%s run, and print what they say", async (readme, outputs) => {
    const folder = tempFolder();
    const examples = await examplesOf(readme, folder);
    expect(examples).toHaveLength(outputs.length);
    for (const [i, example] of examples.entries()) {
      const printed = await run(example);
      const expected = outputs[i] ?? "";
      if (expected === "") expect(printed).toBe("");
      else expect(printed).toContain(expected);
    }
  });

  it("counts and stores: the root example leaves its usage in the database", async () => {
    const folder = tempFolder();
    const [example = ""] = await examplesOf("README.md", folder);
    await run(example);
    const { openSqliteStore } = await import("@usage/store-drizzle/sqlite");
    await using store = await openSqliteStore(join(folder, "usage.db"));
    expect(await store.history({})).toMatchObject([
      { backend: "acme", usage: { apiRequests: 1, egressBytes: 5_242_880 } },
    ]);
  });
});
