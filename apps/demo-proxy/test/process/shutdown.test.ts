import { describe, expect, it } from "vitest";
import { startUpstream } from "../support/app.ts";
import { call } from "../support/call.ts";
import { startHeldUpstream } from "../support/held-upstream.ts";
import { startProxy, writeConfig } from "../support/running-proxy.ts";
import { tempFolder } from "../support/temp-folder.ts";

function folderFor(upstream: URL, shutdown: string): string {
  const folder = tempFolder();
  writeConfig(folder, `shutdown: ${shutdown}\nbackends: [{ name: oci, url: "${upstream.href}" }]`);
  return folder;
}

describe("on SIGTERM, with a drain delay, the proxy", () => {
  it("says that it is not ready, and takes requests until the delay is over", async () => {
    const upstream = await startUpstream();
    const { child, proxy, admin } = await startProxy(folderFor(upstream.url, "{ drainDelayMs: 3000 }"));
    expect((await call(admin, "/readyz")).status).toBe(200);
    child.signal("SIGTERM");
    const stopping = await child.event("stopping");
    expect(stopping).toMatchObject({ drainDelayMs: 3_000, graceMs: 10_000 });
    expect(stopping.msg).toBe(
      "SIGTERM: not ready; requests are taken for 3 s more, then no new requests; waiting up to 10 s for running ones",
    );
    expect((await call(admin, "/readyz")).status).toBe(503);
    expect((await call(proxy, "/objects/5")).status).toBe(200);
    expect(await child.exit()).toBe(0);
    const stopped = child.log.at(-1);
    expect(stopped).toMatchObject({ event: "stopped", stored: true });
    expect(Date.parse(String(stopped?.time)) - Date.parse(stopping.time)).toBeGreaterThanOrEqual(2_900);
    expect(upstream.measured()).toMatchObject({ apiRequests: 1 });
    await expect(call(proxy, "/objects/5")).rejects.toThrow("ECONNREFUSED");
  });

  it("ends at once when a second signal comes, and does not wait after Ctrl-C", async () => {
    const upstream = await startUpstream();
    const [again, interrupted] = await Promise.all(
      [1, 2].map(() => startProxy(folderFor(upstream.url, "{ drainDelayMs: 2147483647 }"))),
    );
    again?.child.signal("SIGTERM");
    await again?.child.event("stopping");
    const pressing = setInterval(() => again?.child.signal("SIGTERM"), 100);
    expect(await again?.child.exit()).toBe(143);
    clearInterval(pressing);
    interrupted?.child.signal("SIGINT");
    expect(await interrupted?.child.exit()).toBe(0);
  });

  it("takes the times over while it runs", async () => {
    const upstream = await startUpstream();
    const folder = folderFor(upstream.url, "{ drainDelayMs: 2147483647 }");
    const { child } = await startProxy(folder);
    writeConfig(folder, `shutdown: { graceMs: 7000 }\nbackends: [{ name: oci, url: "${upstream.url.href}" }]`);
    child.signal("SIGHUP");
    expect(await child.event("config")).toMatchObject({ needRestart: [] });
    child.signal("SIGTERM");
    expect(await child.event("stopping")).toMatchObject({ drainDelayMs: 0, graceMs: 7_000 });
    expect(await child.exit()).toBe(0);
  });
});

describe("the grace of running requests", () => {
  it("is as long as it is set", async () => {
    const upstream = await startHeldUpstream();
    const { child, proxy } = await startProxy(folderFor(upstream.url, "{ graceMs: 100 }"));
    const running = call(proxy, "/").catch(() => "cut");
    await upstream.next();
    child.signal("SIGTERM");
    expect(await child.exit()).toBe(0);
    expect(await running).toBe("cut");
    expect(child.problems).toMatchObject([{ event: "cut", requests: 1 }]);
  });
});
