import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";

const README = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const [, SECTION = ""] = /^## Middleware$(.*?)^## /ms.exec(README) ?? [];
const BLOCKS = Array.from(SECTION.matchAll(/```js\n(.*?)```/gs), ([, code = ""]) => code);

/** A server of the code between these lines, in a process of its own; resolves to its address. */
async function run(code: string): Promise<string> {
  const program = `
    import express from "express";
    const app = express();
    ${code}
    app.get("/", (_req, res) => void res.send("hello"));
    const server = app.listen(0, "127.0.0.1", () => console.log("http://127.0.0.1:" + server.address().port));`;
  const args = ["--conditions=@usage/source", "--input-type=module", "--eval", program];
  const child: ChildProcess = spawn(process.execPath, args, {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [text] = await Promise.race([
    once(child.stdout ?? child, "data"),
    once(child, "exit").then(() => expect.fail("it has ended")),
  ]);
  return String(text).trim();
}

it("has five lines for what takes express-rate-limit five, and they limit", async () => {
  const [theirs = "", ours = ""] = BLOCKS;
  const linesOf = (code: string): number => code.split("\n").filter((line) => line.trim() !== "").length;
  expect(theirs).toContain(`from "express-rate-limit"`);
  expect([linesOf(theirs), linesOf(ours)]).toEqual([5, 5]);
  const url = await run(ours.replace("1_000", "2"));
  const headers = { "x-api-key": "acme" };
  const statuses: number[] = [];
  for (let i = 0; i < 3; i++) statuses.push((await fetch(url, { headers })).status);
  expect(statuses).toEqual([200, 200, 429]);
  expect((await fetch(url)).status).toBe(403);
});

it("lists what each of the three exports", async () => {
  const [, list = ""] = /^Each of the three exports:\n(.*)/ms.exec(SECTION) ?? [];
  const listed = Array.from(list.matchAll(/^- (.*?):/gm), ([, names = ""]) => names).join();
  const names = Array.from(listed.matchAll(/`(\w+)`/g), ([, name = ""]) => name);
  for (const framework of ["express", "fastify", "hono"]) {
    const source = readFileSync(new URL(`../../src/${framework}.ts`, import.meta.url), "utf8");
    const passedOn = Array.from(source.matchAll(/^export type \{(.*?)\}/gm), ([, names = ""]) => names.split(","));
    const own = Array.from(source.matchAll(/^export (?:function|type) (\w+)/gm), ([, name = ""]) => name);
    const exported = [...passedOn.flat().map((name) => name.trim()), ...own];
    const others = /^(?!.*Exchange)/.test.bind(/^(?!.*Exchange)/);
    expect(exported.filter(others).sort()).toEqual(names.filter(others).sort());
    expect(names).toEqual(expect.arrayContaining(exported));
  }
});

it("names each option, with what it is when it is not given", () => {
  const source = readFileSync(new URL("../../src/middleware/meter-options.ts", import.meta.url), "utf8");
  const [, body = ""] = /^export interface MeterOptions.*?\{$(.*?)^\}/ms.exec(source) ?? [];
  const declared = Array.from(body.matchAll(/^ {2}readonly (\w+)/gm), ([, name = ""]) => name);
  const [, table = ""] = /^\| option .*?\n(.*?)\n\n/ms.exec(SECTION) ?? [];
  expect(Array.from(table.matchAll(/^\| `(\w+)`/gm), ([, name = ""]) => name)).toEqual(declared);
});
