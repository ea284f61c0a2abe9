import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Tally } from "@usage/counter-core";
import { openPostgresStore, StoreError, StoreTimeoutError } from "@usage/store-drizzle/postgres";
import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from "@usage/test-servers";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { runNode } from "./support/run-node.ts";
import { manyTallies, storedRequests, tally } from "./support/tallies.ts";

const TALLY = tally("w", "oci", { apiRequests: 1 });

describe("a store whose host's name leads to another Postgres server", () => {
  let first: PostgresServer;
  let second: PostgresServer;
  beforeAll(async () => {
    [first, second] = await Promise.all([startPostgres(), startPostgres()]);
  });
  afterAll(() => Promise.all([first.stop(), second.stop()]));

  /** The name: new connections go where it leads. */
  let name: FaultProxy;
  let store: Awaited<ReturnType<typeof openPostgresStore>>;
  beforeEach(async () => {
    await Promise.all(
      [first, second].map((server) => administer(server, "drop table if exists usage_tallies cascade")),
    );
    await (await openPostgresStore(second.url)).close();
    name = await startFaultProxy({ port: portOf(first) });
    store = await openPostgresStore(name.url(first.url), { timeoutMs: 3_000 });
    await store.merge(manyTallies(2_000));
  });
  afterEach(async () => {
    await store.close();
    await name.close();
    await makeReadOnly(first, false);
  });

  /** How many attempts it took until a merge was stored. */
  async function attemptsUntilStored(tallies: readonly Tally[] = [TALLY]): Promise<number> {
    for (let attempts = 1; ; attempts++) {
      const outcome = await store.merge(tallies).catch((error: unknown) => error);
      if (Array.isArray(outcome)) return attempts;
      if (attempts === 5) throw outcome;
    }
  }

  it("stores on the new primary at the second attempt, while the old one is read-only and can be reached", async () => {
    await makeReadOnly(first, true);
    name.leadTo(portOf(second));
    const error = await store.merge([TALLY]).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StoreError);
    expect(error).toMatchObject({
      driverCode: "25006",
      message: expect.stringContaining("give the address of the primary"),
    });
    expect(await store.merge([TALLY])).toEqual([]);
    expect(await requestsOn(second)).toBe(1);
    expect(await storedRequests(store)).toBe(1);
  });

  it.each(["53100", "57P04", "25P02", "XX000", "58030"])(
    "stores on the new primary at the second attempt, while the old one answers %s",
    async (code) => {
      await administer(
        first,
        `create or replace function fail() returns trigger language plpgsql as
          $$ begin raise exception 'no more' using errcode = '${code}'; end $$;
        create trigger fail before insert on usage_tallies for each row execute function fail()`,
      );
      name.leadTo(portOf(second));
      await expect(store.merge([TALLY])).rejects.toThrow(`(${code})`);
      expect(await store.merge([TALLY])).toEqual([]);
      expect(await requestsOn(second)).toBe(1);
    },
  );

  it("stores on the new primary at the second attempt, while the old one is silent", async () => {
    const silent = await startFaultProxy({ port: portOf(first) });
    onTestFinished(() => silent.close());
    name.connectTo(silent.port);
    // A statement may still meet a connection that was just closed.
    await store.totals("2026-01", "w").catch(() => {});
    // All connections that it may have: none is left that would be made anew by itself.
    await Promise.all([1, 2, 3, 4].map(() => store.totals("2026-01", "w")));
    silent.blackHole = true;
    name.leadTo(portOf(second));
    await expect(store.merge([TALLY])).rejects.toThrow(StoreTimeoutError);
    expect(await store.merge([TALLY])).toEqual([]);
    expect(await requestsOn(second)).toBe(1);
  });

  it("goes on where it was when the old server is the primary again", async () => {
    await makeReadOnly(first, true);
    await expect(store.merge([TALLY])).rejects.toThrow("25006");
    await expect(store.merge([TALLY])).rejects.toThrow("25006");
    await makeReadOnly(first, false);
    expect(await attemptsUntilStored()).toBeLessThanOrEqual(2);
    expect(await requestsOn(first)).toBe(2_001);
  });

  it("lets what runs on the old connections end, and keeps none of them", async () => {
    // All connections that it may have are made before.
    await Promise.all([1, 2, 3, 4].map(() => store.totals("2026-01", "w")));
    await makeReadOnly(first, true);
    name.leadTo(portOf(second));
    // A statement each: the next one of a read may find the new server.
    const names = manyTallies(2_000).map(({ backend }) => backend);
    const reading = Promise.all([1, 2, 3].map(() => store.tallies("2026-01", names)));
    await expect(store.merge([TALLY])).rejects.toThrow("25006");
    for (const tallies of await reading) expect(tallies).toHaveLength(2_000);
    await attemptsUntilStored();
    await expect
      .poll(() =>
        administer(
          first,
          "select from pg_stat_activity where application_name = 'postgres.js' and pid <> pg_backend_pid()",
        ),
      )
      .toHaveLength(0);
  });

  it("keeps its connections when the rows are to blame", async () => {
    await administer(first, "alter table usage_tallies add constraint small check (amount < 10)");
    const { connections } = name;
    expect(await store.merge([tally("w", "large", { apiRequests: 10 })])).toHaveLength(1);
    await store.merge([TALLY]);
    expect(name.connections).toBe(connections);
  });

  it("reads all or fails, however often its connections are cut in the middle of rows", async () => {
    let cutting = true;
    const outcomes = new Set<unknown>();
    const readers = Array.from({ length: 5 }, async () => {
      while (cutting) {
        const read = store.totals("2026-01", "w").then(({ usage }) => usage.size);
        outcomes.add(await read.catch((error: unknown) => (error instanceof StoreError ? "failed" : error)));
      }
    });
    for (let cuts = 0; cuts < 400; cuts++) {
      name.cutAfter(1 + ((cuts * 7_919) % 300_000), "toClient");
      await sleep(10);
    }
    await name.heal();
    cutting = false;
    await Promise.all(readers);
    expect(outcomes).toEqual(new Set([2_000, "failed"]));
  });

  it("does not keep the process from ending when the server is silent", async () => {
    const child = runNode("leave-silent-server.ts", name.url(first.url));
    await once(child.process.stdout as NodeJS.ReadableStream, "data");
    name.blackHole = true;
    child.process.stdin?.write("silent\n");
    expect(await child.output).toContain("StoreTimeoutError");
  });
});

describe("a store on several Postgres hosts", () => {
  let first: PostgresServer;
  let second: PostgresServer;
  beforeAll(async () => {
    [first, second] = await Promise.all([startPostgres(), startPostgres()]);
    for (const server of [first, second]) await (await openPostgresStore(server.url)).close();
  });
  afterAll(() => Promise.all([first.stop(), second.stop()]));
  afterEach(() => Promise.all([first, second].map((server) => makeReadOnly(server, false))));

  const urlOf = (parameters = "") =>
    `postgres://postgres@127.0.0.1:${portOf(first)},127.0.0.1:${portOf(second)}/postgres${parameters}`;

  it("goes to the first that can be written to, and to the other when that changes", async () => {
    await makeReadOnly(first, true);
    await using store = await openPostgresStore(urlOf(), { timeoutMs: 5_000 });
    await store.merge([tally("v", "oci", { apiRequests: 3 })]);
    expect(await requestsOn(second)).toBe(3);
    await makeReadOnly(first, false);
    await makeReadOnly(second, true);
    await expect(store.merge([TALLY])).rejects.toThrow("25006");
    expect(await store.merge([TALLY])).toEqual([]);
    expect(await requestsOn(first)).toBe(1);
  });

  it("goes to the other one when the one that it uses dies, and back", async () => {
    await using store = await openPostgresStore(urlOf(), { timeoutMs: 5_000 });
    for (const [gone, left] of [[first, second] as const, [second, first] as const]) {
      await store.merge([tally("u", "oci", { apiRequests: 1 })]).catch(() => {});
      await gone.kill();
      const merge = () => store.merge([tally("u", "oci", { apiRequests: 5 })]).catch((reason: unknown) => reason);
      const outcomes = [await merge(), await merge()];
      expect(outcomes).toContainEqual([]);
      expect(await requestsOn(left)).toBeGreaterThanOrEqual(5);
      await gone.start();
    }
  });

  it("takes one that cannot be written to where any will do, or where no other can be had", async () => {
    await makeReadOnly(first, true);
    await using any = await openPostgresStore(urlOf("?target_session_attrs=any"));
    await expect(any.merge([tally("t", "oci", { apiRequests: 1 })])).rejects.toThrow("25006");
    await makeReadOnly(second, true);
    await using none = await openPostgresStore(urlOf());
    await expect(none.merge([tally("t", "oci", { apiRequests: 1 })])).rejects.toThrow("25006");
  });

  it("searches no further for one that can be written to once it is closed", async () => {
    const names = await Promise.all([first, second].map((server) => startFaultProxy({ port: portOf(server) })));
    onTestFinished(async () => void (await Promise.all(names.map((one) => one.close()))));
    const made = () => names.reduce((sum, { connections }) => sum + connections, 0);
    const hosts = names.map(({ port }) => `127.0.0.1:${port}`).join(",");
    const store = await openPostgresStore(`postgres://postgres@${hosts}/postgres`, { timeoutMs: 1_000 });
    for (const one of names) one.blackHole = true;
    await expect(store.merge([TALLY])).rejects.toThrow(StoreTimeoutError);
    await expect.poll(made, { interval: 5 }).toBeGreaterThan(1);
    const before = made();
    await store.close();
    await sleep(500);
    expect(made()).toBe(before);
  });

  it("says of all of them that none can be connected to", async () => {
    const url = "postgres://postgres@127.0.0.1:1,127.0.0.1:2/postgres";
    await expect(openPostgresStore(url)).rejects.toThrow(/127\.0\.0\.1:1, 127\.0\.0\.1:2\).*ECONNREFUSED/);
  });
});

function portOf(server: PostgresServer): number {
  return Number(new URL(server.url).port);
}

async function administer(server: PostgresServer, statement: string): Promise<readonly unknown[]> {
  const client = postgres(server.url, { max: 1, onnotice: () => {}, connection: { application_name: "test" } });
  try {
    return await client.unsafe(statement);
  } finally {
    await client.end();
  }
}

/** As a server is that was primary before: it goes on to answer, and takes nothing. Resolves once all sessions know it. */
async function makeReadOnly(server: PostgresServer, isReadOnly: boolean): Promise<void> {
  const client = postgres(server.url, { max: 1, connection: { application_name: "test" } });
  const wanted = isReadOnly ? "on" : "off";
  await client`set default_transaction_read_only = off`;
  await client.unsafe(`alter system set default_transaction_read_only = ${wanted}`);
  await client`select pg_reload_conf()`;
  await expect
    .poll(async () => {
      const probe = postgres(server.url, { max: 1, connection: { application_name: "test" } });
      const [row] = await probe`show default_transaction_read_only`;
      await probe.end();
      return row?.default_transaction_read_only;
    })
    .toBe(wanted);
  await client.end();
  // The other sessions were told at the same time, and look before their next statement.
  await sleep(200);
}

async function requestsOn(server: PostgresServer): Promise<number> {
  const rows = await administer(
    server,
    "select coalesce(sum(amount), 0)::integer as sum from usage_tallies where dimension = 'apiRequests'",
  );
  return (rows[0] as { readonly sum: number }).sum;
}
