import Database from "better-sqlite3";
import { expect, it, onTestFinished } from "vitest";
import { logFlushes } from "../../src/log/flush-log.ts";
import { startApp, startUpstream, testConfig } from "../support/app.ts";
import { call } from "../support/call.ts";
import { recordedLog } from "../support/recorded-log.ts";

/** A proxy with one request that is not stored, the lines that it logs, and its database. */
async function start() {
  const upstream = await startUpstream();
  const config = testConfig([{ name: "oci", url: upstream.url, limits: {} }]);
  const { log, lines } = recordedLog();
  const { app, proxy } = await startApp(config);
  logFlushes(log, app.tracker);
  await call(proxy, "/objects/10");
  const database = new Database(config.store.kind === "sqlite" ? config.store.file : "");
  onTestFinished(() => void database.close());
  return { app, lines, database, flush: () => app.flusher.flush() };
}

it("failing flushes are told at first, then counted, and so is that they work again", async () => {
  const { lines, database, flush } = await start();
  // Not even reading works, as when a database is away.
  database.exec("alter table usage_tallies rename to away");
  for (let i = 0; i < 12; i++) await expect(flush()).rejects.toThrow();
  expect(lines).toMatchObject([
    { level: "error", event: "flush-failed", failures: 1, error: expect.stringContaining("usage_tallies") },
    { level: "error", event: "flush-failed", failures: 10, msg: expect.stringMatching(/^flush has failed 10 times/) },
  ]);
  database.exec("alter table away rename to usage_tallies");
  for (const _ of [1, 2]) await flush();
  expect(lines.slice(2)).toMatchObject([
    { level: "info", event: "flush-recovered", failures: 12, msg: expect.stringContaining("nothing is lost") },
  ]);
  expect(lines).toHaveLength(3);
});

it("what the store refuses for ever is told once", async () => {
  const { app, lines, database, flush } = await start();
  database.exec("create trigger no before insert on usage_tallies begin select raise(abort, 'not this'); end");
  for (const _ of [1, 2]) await flush();
  const { key: period } = app.tracker.counter.period();
  const error = expect.stringContaining("not this");
  expect(lines).toMatchObject([{ level: "error", event: "usage-refused", backend: "oci", period, error }]);
});
