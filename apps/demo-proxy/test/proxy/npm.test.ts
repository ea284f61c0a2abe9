import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { expect, test } from "vitest";
import { BodyLog } from "../support/logged-body.ts";
import { type RunResult, run } from "../support/run.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { startUpstream } from "./node-upstream.ts";
import { startProxy } from "./proxy-fixture.ts";

/** The npm of whoever is there, with nothing of theirs. */
function npm(cwd: string, origin: string, ...args: readonly string[]): Promise<RunResult> {
  const settings = [`--registry=${origin}/`, `--cache=${join(cwd, ".cache")}`, "--userconfig=/dev/null"];
  const token = `--//${new URL(origin).host}/:_authToken=secret`;
  const env = { npm_config_update_notifier: "false", npm_config_loglevel: "notice", npm_config_fund: "false" };
  return run("npm", [...args, ...settings, token], { cwd, env });
}

/** A registry that keeps what is published, and tells of tarballs at the address that the client asked. */
async function startRegistry(): Promise<{ port: number; log: BodyLog }> {
  const log = new BodyLog();
  const packages = new Map<string, { metadata: string; tarball: Buffer }>();
  const answer = ({ method, url = "", headers }: IncomingMessage, body: Buffer): Buffer | undefined => {
    const [, name = "", file] = /^\/([^/?]+)(\/-\/.*)?/.exec(url) ?? [];
    if (method === "POST") return Buffer.from("{}");
    if (method === "PUT") {
      const { _attachments, ...metadata } = JSON.parse(body.toString());
      const [attachment] = Object.values(_attachments as Record<string, { data: string }>);
      packages.set(name, {
        metadata: JSON.stringify(metadata),
        tarball: Buffer.from(attachment?.data ?? "", "base64"),
      });
      return Buffer.from('{"ok":true}');
    }
    const held = packages.get(name);
    if (held === undefined || file !== undefined) return held?.tarball;
    const origin = `${headers["x-forwarded-proto"]}://${headers["x-forwarded-host"]}`;
    return Buffer.from(held.metadata.replaceAll(/https?:\/\/[^/"]+(?=\/[^"]*\.tgz)/g, origin));
  };
  const { port } = await startUpstream(async (request, response) => {
    const found = answer(request, await log.read(request));
    response.writeHead(found === undefined ? 404 : 200, { "content-type": "application/json" });
    log.end(response, found ?? Buffer.from('{"error":"not found"}'));
  });
  return { port, log };
}

function project(files: Readonly<Record<string, string | Buffer>>): string {
  const folder = join(tempFolder(), "project");
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

test("npm publishes and installs; what it moves is counted to the byte", async () => {
  const { port, log } = await startRegistry();
  const proxy = await startProxy({ upstreams: { registry: port } });
  const large = randomBytes(500_000);
  const source = project({ "package.json": '{"name":"left","version":"1.0.0"}', large });
  const published = await npm(source, proxy.origin, "publish");
  expect([published.code, published.output]).toEqual([0, expect.stringContaining("+ left@1.0.0")]);
  const user = project({ "package.json": '{"name":"user","dependencies":{"left":"^1.0.0"}}' });
  const installed = await npm(user, proxy.origin, "install");
  expect([installed.code, installed.output]).toEqual([0, expect.stringContaining("added 1 package")]);
  const digest = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
  expect(digest(readFileSync(join(user, "node_modules/left/large")))).toBe(digest(large));

  await proxy.settled();
  expect(log.lines).toContain("GET /left/-/left-1.0.0.tgz");
  expect(proxy.usage("registry")).toEqual(log.usage());
  expect(log.usage().egressBytes).toBeGreaterThan(500_000);
});

test("npm names the refusal when a limit is used up", async () => {
  const { port, log } = await startRegistry();
  const proxy = await startProxy({ upstreams: { registry: port }, limits: { registry: { apiRequests: 0 } } });
  const user = project({ "package.json": "{}" });
  // By default it asks twice more, after 10 and 60 seconds, whatever the answer says.
  const { code, output } = await npm(user, proxy.origin, "install", "left", "--fetch-retries=0");
  expect([code, output]).toEqual([1, expect.stringMatching(/code E429[\s\S]*429 Too Many Requests - GET \S+\/left/)]);
  expect([...proxy.server.ownAnswers]).toEqual([[429, 1]]);
  expect(log.lines).toEqual([]);
});
