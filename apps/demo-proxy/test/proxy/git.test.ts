import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gitBinary } from "@usage/test-servers";
import { expect, test } from "vitest";
import { BodyLog } from "../support/logged-body.ts";
import { type RunResult, run } from "../support/run.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { startUpstream } from "./node-upstream.ts";
import { startProxy } from "./proxy-fixture.ts";

const program = await gitBinary();
const NOBODY = {
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_TERMINAL_PROMPT: "0",
  GIT_AUTHOR_NAME: "a",
  GIT_AUTHOR_EMAIL: "a@example.com",
  GIT_COMMITTER_NAME: "a",
  GIT_COMMITTER_EMAIL: "a@example.com",
};

function git(cwd: string, ...args: readonly string[]): Promise<RunResult> {
  return run(program.path, [...program.args, ...args], { cwd, env: { ...program.env, ...NOBODY } });
}

async function done(cwd: string, ...args: readonly string[]): Promise<string> {
  const { code, output } = await git(cwd, ...args);
  expect(code, output).toBe(0);
  return output;
}

/** What CGI (RFC 3875) says of a request. */
function cgi(root: string, { method = "GET", url = "/", headers }: IncomingMessage, body: Buffer): NodeJS.ProcessEnv {
  const { pathname, searchParams } = new URL(url, "http://localhost");
  return {
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: "1",
    REQUEST_METHOD: method,
    PATH_INFO: pathname,
    QUERY_STRING: searchParams.toString(),
    CONTENT_TYPE: headers["content-type"] ?? "",
    CONTENT_LENGTH: String(body.length),
    HTTP_CONTENT_ENCODING: headers["content-encoding"] ?? "",
    HTTP_GIT_PROTOCOL: String(headers["git-protocol"] ?? ""),
  };
}

/** Git's own server, behind HTTP: what it answers, as CGI. */
async function backend(root: string, request: IncomingMessage, body: Buffer): Promise<Buffer> {
  const env = { ...process.env, ...program.env, ...NOBODY, ...cgi(root, request, body) };
  const child = spawn(program.path, [...program.args, "http-backend"], { env, stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.on("error", () => {});
  child.stdin.end(body);
  return buffer(child.stdout);
}

async function startGitServer(): Promise<{ port: number; log: BodyLog }> {
  const root = tempFolder();
  await done(root, "init", "--quiet", "--bare", "--initial-branch=main", "repository.git");
  await done(join(root, "repository.git"), "config", "http.receivepack", "true");
  const log = new BodyLog();
  const { port } = await startUpstream(async (request, response) => {
    const answer = await backend(root, request, await log.read(request));
    const end = answer.indexOf("\r\n\r\n");
    for (const line of answer.subarray(0, end).toString().split("\r\n")) {
      const [name = "", value = ""] = line.split(": ");
      if (name === "Status") response.statusCode = Number(value.slice(0, 3));
      else response.setHeader(name, value);
    }
    log.end(response, answer.subarray(end + 4));
  });
  return { port, log };
}

test("git pushes, clones and fetches; what it moves is counted to the byte", async () => {
  const { port, log } = await startGitServer();
  const proxy = await startProxy({ upstreams: { git: port } });
  const [folder, url] = [tempFolder(), `${proxy.origin}/repository.git`];
  await done(folder, "clone", "--quiet", url, "first");
  const first = join(folder, "first");
  mkdirSync(join(first, "docs"));
  writeFileSync(join(first, "docs/readme.txt"), "small\n");
  // More than git sends in one piece: it asks first, and then sends a body of unknown length.
  writeFileSync(join(first, "large"), randomBytes(3_000_000));
  await done(first, "add", ".");
  await done(first, "commit", "--quiet", "-m", "Two files");
  await done(first, "push", "--quiet", "origin", "HEAD:main");
  await done(folder, "clone", "--quiet", url, "second");
  const second = join(folder, "second");
  expect(await done(second, "rev-parse", "HEAD")).toBe(await done(first, "rev-parse", "HEAD"));
  expect(await done(second, "fsck", "--strict")).not.toContain("error");
  await done(first, "commit", "--quiet", "--allow-empty", "-m", "Another one");
  await done(first, "push", "--quiet", "origin", "HEAD:main");
  await done(second, "fetch", "--quiet");
  expect(await done(second, "rev-parse", "origin/main")).toBe(await done(first, "rev-parse", "HEAD"));

  await proxy.settled();
  const { apiRequests, egressBytes, ingressBytes } = log.usage();
  expect(proxy.usage("git")).toEqual({ apiRequests, egressBytes, ingressBytes });
  expect(Math.min(egressBytes, ingressBytes)).toBeGreaterThan(3_000_000);
  expect(log.lines).toContain("POST /repository.git/git-receive-pack");
});

test("git says at once that a limit is used up, and asks once", async () => {
  const { port, log } = await startGitServer();
  const proxy = await startProxy({ upstreams: { git: port }, limits: { git: { apiRequests: 0 } } });
  const { code, output } = await git(tempFolder(), "clone", `${proxy.origin}/repository.git`);
  expect([code, output]).toEqual([128, expect.stringContaining("The requested URL returned error: 429")]);
  expect([...proxy.server.ownAnswers]).toEqual([[429, 1]]);
  expect(log.lines).toEqual([]);
});
