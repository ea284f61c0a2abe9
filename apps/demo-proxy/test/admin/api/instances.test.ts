import { join } from "node:path";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { expect, it, onTestFinished } from "vitest";
import type { InstancesReport } from "../../../src/admin/api/instances.ts";
import { compose } from "../../../src/compose.ts";
import { testConfig } from "../../support/app.ts";
import { call } from "../../support/call.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const NOW = Date.UTC(2026, 0, 20, 12);
const PERIOD = "2026-01";

async function startOn(file: string, clock: FakeClock) {
  const config = testConfig([{ name: "oci", url: new URL("http://127.0.0.1:9"), limits: {} }], {
    store: { kind: "sqlite", file },
    flush: { intervalMs: 30_000, nearLimitIntervalMs: 30_000, nearLimitRatio: 1, timeoutMs: 20_000 },
  });
  const app = await compose(config, { clock });
  onTestFinished(async () => void (await app.stop({ graceMs: 0 })));
  const { admin, proxy } = await app.start();
  const instances = async () => (await call(admin, "/api/instances")).json as InstancesReport;
  return { app, proxy, instances };
}

it("tells who is there, what each counted, and when it was last heard of, whether it ended or was killed", async () => {
  const file = join(tempFolder(), "usage.db");
  const clock = new FakeClock(NOW);
  const first = await startOn(file, clock);
  clock.advance(5_000);
  const second = await startOn(file, clock);
  await expect
    .poll(async () => (await second.instances()).instances.map(({ state }) => state))
    .toEqual(["live", "live"]);

  first.app.tracker.record("oci", { apiRequests: 3, egressBytes: 10 });
  await first.app.flusher.flush();
  second.app.tracker.record("oci", { apiRequests: 4 });
  await second.app.flusher.flush();
  const unknown = "019bd000-0000-7000-8000-000000000000";
  await first.app.store.merge([
    { writer: "import", period: PERIOD, backend: "oci", usage: { apiRequests: 100 } },
    { writer: `${unknown}.1`, period: PERIOD, backend: "oci", usage: { apiRequests: 1 } },
    { writer: unknown, period: PERIOD, backend: "b2", usage: { apiRequests: 1 } },
  ]);
  const { period, others, instances } = await second.instances();
  expect([period, others.apiRequests]).toEqual([PERIOD, 100]);
  const told = instances.map(({ self, state, usage }) => [self, state, usage.apiRequests]);
  expect(told).toEqual([
    [true, "live", 4],
    [false, "live", 3],
    [false, "unknown", 2],
  ]);
  expect(instances[0]).toMatchObject({
    id: second.app.tracker.counter.writer,
    startedAt: new Date(NOW + 5_000).toISOString(),
    stoppedAt: null,
    pid: process.pid,
    version: expect.stringMatching(/^\d+\.\d+/),
    address: `127.0.0.1:${second.proxy.port}`,
  });
  expect(instances[2]).toMatchObject({ id: unknown, seenAt: null, version: null, host: null });
  expect(instances[2]?.startedAt).toBe(new Date(0x019bd0000000).toISOString());

  // A killed one is never heard of again, as is one that flushes no more.
  await using third = await openSqliteStore(file);
  const killed = { id: "019bd000-0000-7000-8000-000000000001", startedAt: NOW, labels: {} };
  await third.heartbeat?.(killed);
  await third.merge([{ writer: killed.id, period: PERIOD, backend: "oci", usage: { apiRequests: 9 } }]);
  expect((await second.instances()).instances.find(({ id }) => id === killed.id)?.state).toBe("live");
  await first.app.stop({ graceMs: 0 });
  clock.advance(100_000);
  await second.app.flusher.flush();
  await expect
    .poll(async () => (await second.instances()).instances.map(({ state, usage }) => [state, usage.apiRequests]))
    .toEqual([
      ["live", 4],
      ["live", 9],
      ["stopped", 3],
      ["unknown", 2],
    ]);
  clock.advance(100_000);
  const later = await second.instances();
  expect(later.instances.find(({ id }) => id === killed.id)).toMatchObject({
    state: "silent",
    seenAt: expect.any(String),
  });
});
