import { readdir } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { lookLive } from "../../src/admin/api/live/live-look.ts";
import type { LiveReport } from "../../src/admin/api/live/live-report.ts";
import { UsageRates } from "../../src/admin/api/live/rates.ts";
import { Refusals } from "../../src/admin/api/usage/refusals.ts";
import { Turns } from "../../src/admin/turns.ts";
import { Settings } from "../../src/process/settings.ts";
import { OwnAnswers } from "../../src/proxy/answers/own-answers.ts";
import { startApp, startUpstream, testConfig } from "../support/app.ts";
import { call } from "../support/call.ts";

async function start(token?: string) {
  const upstream = await startUpstream();
  const listen = { host: "127.0.0.1", port: 0 };
  const config = testConfig([{ name: "oci", url: upstream.url, limits: {} }], {
    admin: { listen, ...(token !== undefined && { token }) },
  });
  return { ...(await startApp(config)), config };
}

describe("the files of the dashboard", () => {
  it("are all served, with the type that they have and a policy that lets nothing else in", async () => {
    const { admin } = await start();
    const files = await readdir(new URL("../../src/dashboard/", import.meta.url));
    const paths = [...files, "uplot.css", "uplot.js"].map((name) =>
      name === "index.html" ? "/" : `/dashboard/${name}`,
    );
    expect(paths.length).toBeGreaterThan(10);
    for (const path of paths) {
      const { status, headers, text } = await call(admin, path);
      expect([path, status]).toEqual([path, 200]);
      expect(headers["content-type"]).toMatch(/^(text\/(html|css|javascript); charset=utf-8|image\/svg\+xml)$/);
      expect(headers).toMatchObject({
        "cache-control": "no-store",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
      });
      const policy = headers["content-security-policy"];
      expect(policy).toMatch(/^default-src 'none'; script-src 'self'; .*frame-ancestors 'none'$/);
      expect(policy).not.toMatch(/unsafe|\*|https?:/);
      expect(headers["content-length"]).toBe(String(Buffer.byteLength(text)));
    }
  });

  it("hold nothing inline that the policy would refuse, and name no other host", async () => {
    const { admin } = await start();
    const { text } = await call(admin, "/");
    expect(text).not.toMatch(/<style|style=|\son\w+=|<script(?![^>]*src=)/);
    expect(text).not.toMatch(/https?:\/\//);
    // Another server may show the page under any path.
    expect(text).not.toMatch(/(?:src|href)="\//);
  });

  it("are open to all where a token is needed, and nothing beside them is", async () => {
    const { admin } = await start("s3cret");
    for (const path of ["/", "/?x", "/dashboard/dashboard.js", "/dashboard/base.css"]) {
      expect([path, (await call(admin, path)).status]).toEqual([path, 200]);
    }
    for (const path of [
      "/api/events",
      "/api/audit",
      "/dashboard/",
      "/dashboard/%2e%2e/admin/api.ts",
      "/dashboard/../admin/api.ts",
      "/dashboard/..%2fadmin%2fapi.ts",
      "//api/usage",
      "/dashboard/a.js/../../api/usage",
    ]) {
      expect([path, (await call(admin, path)).status]).toEqual([path, 401]);
    }
    expect((await call(admin, "/dashboard/api.ts")).status).toBe(404);
  });

  it("can only be read", async () => {
    const { admin } = await start();
    for (const path of ["/", "/dashboard/base.css", "/api/events", "/api/audit"]) {
      expect(await call(admin, path, { method: "POST" })).toMatchObject({
        status: 405,
        headers: { allow: "GET, HEAD" },
      });
    }
  });
});

describe("an event", () => {
  it("names the counter and the store without their passwords", async () => {
    const { app, config } = await start();
    const clock = { now: () => 0, elapsed: () => 0, after: () => () => {} };
    const { counter } = app.tracker;
    const rates = new UsageRates({ counter, clock });
    const look = await lookLive(
      {
        config: {
          counter: { kind: "redis", url: "redis://user:hunter2@127.0.0.1:6379/3", prefix: "usage" },
          store: { kind: "postgres", url: "postgres://user:hunter3@127.0.0.1:5432/usage" },
        },
        inForce: () => config,
        live: () => ({ loadedAtMs: 0, needRestart: [], complaints: [] }),
        router: app.router,
        tracker: app.tracker,
        store: app.store,
        flusher: app.flusher,
        clock,
        rates,
        refusals: new Refusals({ answers: new OwnAnswers("timeout=65"), router: app.router, counter, clock }),
        startedMs: 0,
        settings: new Settings({ store: app.store, clock }),
        readiness: { address: { host: "127.0.0.1", port: 1 } },
        turns: new Turns(),
      },
      1,
    );
    const text = Buffer.concat(await look.since(0)).toString();
    const report = JSON.parse(text) as LiveReport;
    expect(report.places).toEqual({
      counter: "Redis 127.0.0.1:6379/3",
      store: "Postgres 127.0.0.1:5432/usage",
    });
    expect(text).not.toMatch(/hunter|user/);
  });
});
