import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startUpstream } from "./support/app.ts";
import { call } from "./support/call.ts";
import { Child } from "./support/child.ts";
import { Receiver } from "./support/receiver.ts";
import { type RunningProxy, startProxy } from "./support/running-proxy.ts";
import { tempFolder } from "./support/temp-folder.ts";

const SECRET = "hunter2-0123456789";

/** The status of the admin listener's API for a token. */
async function statusWith({ admin }: RunningProxy, token: string): Promise<number> {
  return (await call(admin, "/api/usage", { headers: { authorization: `Bearer ${token}` } })).status;
}

function write(folder: string, yaml: string): void {
  // As orchestrators replace a file: at once.
  writeFileSync(join(folder, "next.yaml"), yaml);
  renameSync(join(folder, "next.yaml"), join(folder, "proxy.yaml"));
}

describe("a token by reference", () => {
  it.each([
    ["a variable", "${ADMIN_TOKEN}"],
    ["a file", "${file:token}"],
    ["a file that a variable names", "${file:${CREDENTIALS_DIRECTORY}/token}"],
  ])("is what the reference stands for, and not its text: %s", async (_, token) => {
    const folder = tempFolder();
    writeFileSync(join(folder, "token"), `${SECRET}\n`);
    const admin = `admin: { listen: 0.0.0.0:0, token: "${token}" }`;
    write(folder, `listen: 127.0.0.1:0\n${admin}\nbackends: [{ name: oci, url: http://127.0.0.1:1 }]`);
    const proxy = await startProxy(folder, { ADMIN_TOKEN: SECRET, CREDENTIALS_DIRECTORY: folder });
    expect(await statusWith(proxy, SECRET)).toBe(200);
    expect(await statusWith(proxy, token)).toBe(401);
    expect(await statusWith(proxy, `${SECRET}\n`.trim())).toBe(200);
  });

  it("keeps the proxy from starting where it stands for nothing", async () => {
    const folder = tempFolder();
    write(folder, 'admin:\n  token: "${ADMIN_TOKEN}"\nbackends: [{ name: oci, url: http://127.0.0.1:1 }]');
    const child = new Child("src/main.ts", ["--config", "proxy.yaml"], folder);
    expect(await child.exit()).toBe(1);
    expect(child.errors).toBe(
      "proxy.yaml:2:10 admin.token: the environment variable ADMIN_TOKEN is not set; set it, or write ${ADMIN_TOKEN:-default}\n",
    );
  });
});

describe("a secret", () => {
  it("is in no line of the log and in no answer of the admin listener", async () => {
    const upstream = await startUpstream();
    const refusing = (await Receiver.start(() => 401)).url;
    const whsec = `whsec_${Buffer.alloc(32, SECRET).toString("base64")}`;
    const folder = tempFolder();
    writeFileSync(join(folder, "key"), SECRET);
    const yaml = (limit: string) => `
listen: 127.0.0.1:0
admin: { listen: 127.0.0.1:0, token: "\${ADMIN_TOKEN}" }
log: { level: debug, access: true }
flush: { intervalMs: 100 }
webhooks:
- { name: away, url: "http://127.0.0.1:1/\${KEY}?key=\${KEY}", headers: { authorization: "Bearer \${KEY}" }, secret: "\${WHSEC}" }
- { name: refuses, url: "${refusing.href}", headers: { authorization: "Bearer \${KEY}" }, secret: "\${WHSEC}" }
backends:
- { name: variable, url: "${upstream.url.href}\${KEY}/", limits: { apiRequests: "${limit}" } }
- { name: file, url: "${upstream.url.href}\${file:key}" }
- { name: literal, url: "${upstream.url.href}${SECRET}" }
- { name: away, url: "http://127.0.0.1:1/\${KEY}" }
`;
    write(folder, yaml("${LIMIT:-1}"));
    const proxy = await startProxy(folder, { ADMIN_TOKEN: SECRET, KEY: SECRET, WHSEC: whsec });
    const { child } = proxy;
    await call(proxy.proxy, "/objects/1");
    await call(proxy.proxy, "/objects/1");
    await expect.poll(() => child.errors.match(/webhook-failed/g), { timeout: 15_000 }).toHaveLength(2);
    write(folder, yaml("${KEY}"));
    await expect.poll(() => child.errors, { timeout: 15_000 }).toContain("config-refused");
    const headers = { authorization: `Bearer ${SECRET}` };
    const answers = await Promise.all(
      ["/api/usage", "/api/audit", "/api/history", "/api/webhooks", "/metrics", "/healthz"].map((path) =>
        call(proxy.admin, path, { headers }),
      ),
    );
    const events = await fetch(`http://127.0.0.1:${proxy.admin.port}/api/events`, { headers });
    const { value: event } = (await events.body?.getReader().read()) ?? {};
    child.signal("SIGTERM");
    expect(await child.exit()).toBe(0);

    const told = [...answers.map(({ text }) => text), new TextDecoder().decode(event), child.output, child.errors];
    // They do tell about the backends, and why the configuration was refused.
    expect(answers[0]?.json).toMatchObject({
      config: { error: expect.stringMatching(/apiRequests: expected .*, got what \$\{KEY\} stands for$/) },
      backends: ["variable", "file", "literal", "away"].map((name) => ({
        name,
        url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/\.\.\.$/),
      })),
    });
    expect(answers[3]?.json).toMatchObject({
      webhooks: [
        { name: "away", trouble: { code: "ECONNREFUSED" }, signed: true, headers: ["authorization"] },
        { name: "refuses", trouble: { code: "401", reason: "it answers 401; check its headers and its secret" } },
      ],
    });
    expect(child.log[0]).toMatchObject({ event: "start", config: { admin: { token: true } } });
    for (const text of told) {
      expect(text.length).toBeGreaterThan(0);
      expect(text).not.toContain("hunter2");
      expect(text).not.toContain(whsec.slice(6));
    }
  });

  it.each([
    [
      "the database",
      'store: { kind: postgres, url: "postgres://someone:${PW}@127.0.0.1:1/usage" }',
      "Postgres 127.0.0.1:1/usage",
    ],
    [
      "the database, all of it a variable",
      'store: { kind: postgres, url: "${DATABASE_URL}" }',
      "Postgres 127.0.0.1:1/usage",
    ],
    ["Redis", 'counter: { kind: redis, url: "redis://someone:${PW}@127.0.0.1:1" }', "Redis 127.0.0.1:1"],
  ])("is in no word about what cannot be reached: %s", async (_, setting, place) => {
    const folder = tempFolder();
    write(folder, `${setting}\nbackends: [{ name: oci, url: http://127.0.0.1:1 }]`);
    const env = { PW: SECRET, DATABASE_URL: `postgres://someone:${SECRET}@127.0.0.1:1/usage` };
    const child = new Child("src/main.ts", ["--config", "proxy.yaml"], folder, env);
    expect(await child.exit()).toBe(1);
    expect(child.errors).toContain(place);
    expect(child.output + child.errors).not.toMatch(/hunter2|someone/);
  });
});

describe("a reload", () => {
  it("reads files again", async () => {
    const upstream = await startUpstream();
    const folder = tempFolder();
    writeFileSync(join(folder, "limit"), "1\n");
    const backend = `- { name: oci, url: "${upstream.url.href}", limits: { apiRequests: "\${file:limit}" } }`;
    write(folder, `listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\nbackends:\n${backend}`);
    const { child, proxy } = await startProxy(folder);
    expect((await call(proxy, "/objects/1")).status).toBe(200);
    expect((await call(proxy, "/objects/1")).status).toBe(429);
    writeFileSync(join(folder, "limit"), "2\n");
    child.signal("SIGHUP");
    await child.line(/"event":"config",.*"changed":\["oci"\],.*"msg":"(SIGHUP: configuration taken over)/m);
    expect((await call(proxy, "/objects/1")).status).toBe(200);
    expect((await call(proxy, "/objects/1")).status).toBe(429);
  });
});
