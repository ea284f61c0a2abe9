import { createHash } from "node:crypto";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { send } from "../proxy/client.ts";
import { startUpstream } from "../proxy/node-upstream.ts";
import { call } from "../support/call.ts";
import { configured } from "../support/configured-app.ts";
import { startProxy } from "../support/running-proxy.ts";
import { tempFolder } from "../support/temp-folder.ts";

const SECRET = "hunter2-0123456789";
const KEY = "clients-key-hunter2-01";

const yaml = (url: string, more = "") => `
listen: 127.0.0.1:0
admin: { listen: 127.0.0.1:0 }
log: { level: debug, access: true }
clients:
- { name: app, key: "\${CLIENT_KEY}", limits: { day: { apiRequests: 1000 } } }
- { name: hashed, key: "sha256:${createHash("sha256").update(`${KEY}-hashed`).digest("hex")}" }
${more}
backends:
- { name: llm, url: "${url}", auth: { kind: bearer, token: "\${SECRET}" }, limits: { apiRequests: 3 } }
- { name: s3, url: "${url}", auth: { kind: s3, region: auto, accessKeyId: "id-\${SECRET}", secretAccessKey: "\${SECRET}" } }
- { name: other, url: "${url}", headers: { set: { x-api-key: "\${SECRET}" }, remove: [x-gone] } }
- { name: away, url: "http://127.0.0.1:1", auth: { kind: bearer, token: "\${SECRET}" } }
`;

describe("a key of a client and the credentials of a backend", () => {
  it("are in no line of the log, and in no answer of either listener", async () => {
    const upstream = await startUpstream((request, response) => {
      response.writeHead(request.url === "/denied" ? 401 : 200).end();
    });
    const folder = tempFolder();
    const write = (text: string) => {
      writeFileSync(join(folder, "next.yaml"), text);
      renameSync(join(folder, "next.yaml"), join(folder, "proxy.yaml"));
    };
    const url = `http://127.0.0.1:${upstream.port}`;
    write(yaml(url));
    const { child, proxy, admin } = await startProxy(folder, { SECRET, CLIENT_KEY: KEY });
    const answers = [];
    for (const path of ["/a", "/denied", "/b", "/c", "/d?X-Amz-Signature=0", "/e"]) {
      answers.push(await send(proxy.port, path, { headers: { authorization: `Bearer ${KEY}` } }));
    }
    answers.push(await send(proxy.port, "/f", { headers: { "x-api-key": `${KEY}-hashed` } }));
    for (const authorization of [`Bearer ${KEY}x`, `AWS4-HMAC-SHA256 Credential=${KEY}/x, Signature=${KEY}`, KEY]) {
      answers.push(await send(proxy.port, "/g", { headers: { authorization } }));
    }
    expect(answers.map(({ status }) => status)).toEqual([200, 502, 200, 200, 400, 200, 200, 401, 400, 401]);
    const told = await Promise.all(
      ["/api/usage", "/api/clients", "/api/audit", "/api/history", "/metrics", "/healthz", "/"].map((path) =>
        call(admin, path),
      ),
    );
    write(yaml(url, "routing: ${SECRET}"));
    await expect.poll(() => child.errors, { timeout: 15_000 }).toContain("config-refused");
    child.signal("SIGTERM");
    expect(await child.exit()).toBe(0);
    expect(child.log[0]).toMatchObject({
      event: "start",
      config: {
        clients: 2,
        backends: [{ auth: "bearer" }, { auth: "s3" }, { headers: { set: ["x-api-key"], remove: ["x-gone"] } }, {}],
      },
    });
    expect(child.output).toContain('"client":"app"');
    const texts = [...answers.map(({ rawHeaders, text }) => rawHeaders.join() + text), ...told.map(({ text }) => text)];
    for (const text of [...texts, child.output, child.errors]) {
      expect(text.length).toBeGreaterThan(0);
      expect(text).not.toContain("hunter2");
    }
  });

  it("are not in the configuration as whoever dumps it sees it, and of a client's key no more than a hash is kept", () => {
    const text = yaml("http://127.0.0.1:1").replaceAll("${SECRET}", SECRET).replaceAll("${CLIENT_KEY}", KEY);
    const config = configured(text);
    const dumps = [
      JSON.stringify(config),
      inspect(config, { depth: 9, showHidden: true, getters: true }),
      String(config),
    ];
    for (const dump of dumps) expect(dump).not.toMatch(/hunter2/);
    expect(JSON.stringify(config.backends[0]?.auth)).toBe('{"kind":"bearer","token":"[secret]"}');
  });

  it("are taken over while the proxy runs", async () => {
    const upstream = await startUpstream((_request, response) => response.end());
    const folder = tempFolder();
    const write = (key: string, token: string) =>
      writeFileSync(
        join(folder, "proxy.yaml"),
        `listen: 127.0.0.1:0
admin: { listen: 127.0.0.1:0 }
clients: [{ name: app, key: ${key} }]
backends: [{ name: llm, url: "http://127.0.0.1:${upstream.port}", auth: { kind: bearer, token: ${token} } }]`,
      );
    write("first-key-0123456789", "first-token");
    const { child, proxy } = await startProxy(folder);
    const ask = async (key: string) =>
      (await send(proxy.port, "/", { headers: { authorization: `Bearer ${key}` } })).status;
    expect([await ask("first-key-0123456789"), await ask("other-key-0123456789")]).toEqual([200, 401]);
    write("other-key-0123456789", "other-token");
    child.signal("SIGHUP");
    await child.line(
      /"event":"config",.*"changed":\["llm"\],.*"needRestart":\[\],.*"msg":"(SIGHUP: configuration taken over)/m,
    );
    expect([await ask("first-key-0123456789"), await ask("other-key-0123456789")]).toEqual([401, 200]);
    expect(upstream.requests.map(({ headers }) => headers.authorization)).toEqual([
      "Bearer first-token",
      "Bearer other-token",
    ]);
  });
});
