import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "@usage/test-servers";
import { expect, it, onTestFinished, vi } from "vitest";
import { sign } from "../../src/webhooks/sign.ts";
import { startApp, startUpstream, testConfig } from "../support/app.ts";
import { call } from "../support/call.ts";
import { read } from "../support/declarations.ts";
import { SECRET } from "../support/receiver.ts";
import { SOON } from "../support/shared-proxies.ts";
import { tempFolder } from "../support/temp-folder.ts";

/** The receiver that the page shows, as a process. */
async function startShown() {
  const [, code = ""] = /```js\n(.*?)```/s.exec(read("docs/configuration.md")) ?? [];
  const file = join(tempFolder(), "receiver.mjs");
  writeFileSync(file, code);
  const port = await freePort();
  const env = { ...process.env, WEBHOOK_SECRET: SECRET, PORT: String(port) };
  const child = spawn(process.execPath, [file], { env, stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(async () => {
    child.kill();
    await once(child, "exit");
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const address = { host: "127.0.0.1", port };
  await vi.waitFor(() => call(address, "/"), SOON);
  return { address, output: () => output };
}

it("the receiver that the page shows takes what is genuine, acts once on it, and refuses everything else", async () => {
  const { address, output } = await startShown();
  const upstream = await startUpstream();
  const limits = { apiRequests: 2 };
  const url = new URL(`http://127.0.0.1:${address.port}`);
  const webhooks = [{ name: "ops", url, headers: {}, secret: SECRET, format: "json" }] as const;
  const { app, proxy } = await startApp(
    testConfig([{ name: "oci", url: upstream.url, limits }], { webhooks, thresholds: [0.5] }),
  );
  await call(proxy, "/objects/1");
  await app.flusher.flush();
  await vi.waitFor(() => expect(output()).toBe("oci: 50 % of 2 apiRequests\n"), SOON);

  const post = async (changes: Record<string, string> = {}, body = '{"id":"x","backend":"b2"}') => {
    const timestamp = Math.floor(Date.now() / 1_000);
    const headers = {
      "webhook-id": "x",
      "webhook-timestamp": String(timestamp),
      "webhook-signature": sign(SECRET, { id: "x", timestamp, body: '{"id":"x","backend":"b2"}' }),
      ...changes,
    };
    return (await call(address, "/", { method: "POST", headers, body })).status;
  };
  expect(await Promise.all([post(), post()])).toEqual([204, 204]);
  expect(output().match(/b2/g)).toHaveLength(1);
  expect(await post({}, '{"id":"x","backend":"b3"}')).toBe(401);
  expect(await post({ "webhook-id": "y" })).toBe(401);
  expect(await post({ "webhook-timestamp": String(Math.floor(Date.now() / 1_000) - 301) })).toBe(401);
  expect(await post({ "webhook-timestamp": "" })).toBe(401);
  expect(await post({ "webhook-signature": "v1,\u00fc" })).toBe(401);
  // One of several is enough, where a secret is being replaced.
  const timestamp = Math.floor(Date.now() / 1_000);
  const signature = sign(SECRET, { id: "x", timestamp, body: "{}" });
  const both = { "webhook-timestamp": String(timestamp), "webhook-signature": `v1,old ${signature}` };
  expect(await post(both, "{}")).toBe(204);
});
