import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { openPostgresStore, StoreOpenError } from "@usage/store-drizzle/postgres";
import { type PostgresServer, startFaultProxy, startPgBouncer, startPostgres } from "@usage/test-servers";
import { sql } from "drizzle-orm";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { AUTHORITY, CERTIFICATE, KEY } from "./support/certificates.ts";
import { freshFolder } from "./support/folder.ts";
import { manyTallies, storedRequests } from "./support/tallies.ts";

const PASSWORD = "p/w?d@#:%&=+ ü";

/** The certificate is for 127.0.0.1. The user `me` comes in with a password, `tls` with TLS only, everybody else as they are. */
const HBA = `local all all trust
host all me 127.0.0.1/32 scram-sha-256
hostssl all tls 127.0.0.1/32 trust
host all postgres 127.0.0.1/32 trust
`;

describe("openPostgresStore on a server with TLS and passwords", () => {
  let server: PostgresServer;
  let folder: Awaited<ReturnType<typeof freshFolder>>;
  let authority: string;
  let port: number;
  beforeAll(async () => {
    server = await startPostgres();
    folder = await freshFolder();
    authority = join(folder.path, "ca.crt");
    writeFileSync(authority, AUTHORITY);
    port = Number(new URL(server.url).port);
    await setUp(server);
  });
  afterAll(async () => {
    await server.stop();
    await folder.dispose();
  });

  /** Stores something by way of a url, and tells how it is connected. */
  async function connected(url: string): Promise<Record<string, unknown>> {
    const store = await openPostgresStore(url);
    onTestFinished(() => store.close());
    await store.merge(manyTallies(1));
    expect(await storedRequests(store)).toBe(1);
    const [row] = await store.db.execute(sql`
      select ssl as tls, current_user::text as name, current_database()::text as database, host(inet_client_addr()) as client,
        current_setting('search_path') as path, current_setting('application_name') as application
      from pg_stat_ssl where pid = pg_backend_pid()`);
    return row ?? {};
  }

  async function refusal(url: string): Promise<StoreOpenError> {
    const error = await openPostgresStore(url, { timeoutMs: 8_000 }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StoreOpenError);
    expect(inspect(error, { depth: 10 })).not.toContain("s3cret");
    return error as StoreOpenError;
  }

  const escaped = encodeURIComponent(PASSWORD);

  it.each<[what: string, url: () => string, expected: Record<string, unknown>]>([
    ["as it is", () => server.url, { tls: false, name: "postgres", database: "postgres" }],
    [
      "of Neon",
      () =>
        `postgresql://me:${escaped}@127.0.0.1:${port}/postgres?sslmode=verify-full&channel_binding=require&sslrootcert=${authority}`,
      { tls: true, name: "me" },
    ],
    [
      "of Supabase for Prisma",
      () => `postgres://me:${escaped}@127.0.0.1:${port}/postgres?pgbouncer=true&connection_limit=1`,
      { tls: false },
    ],
    [
      "of Prisma",
      () => `postgres://me:${escaped}@127.0.0.1:${port}/postgres?schema=public&sslmode=require`,
      { tls: true, path: '"public"' },
    ],
    [
      "with a name and a setting",
      () => `${server.url}?application_name=my+proxy&options=-c%20search_path%3Dpublic`,
      { application: "my proxy", path: "public" },
    ],
    [
      "of a socket",
      () => `postgres://postgres@/postgres?host=${server.folder}&port=${port}&sslmode=require`,
      { tls: false, client: null },
    ],
    [
      "of a socket, escaped",
      () => `postgres://postgres@${encodeURIComponent(server.folder)}:${port}/postgres`,
      { client: null },
    ],
    ["with sslmode=disable", () => `${server.url}?sslmode=disable`, { tls: false }],
    ["with sslmode=allow", () => `${server.url}?sslmode=allow`, { tls: true }],
    ["with sslmode=prefer", () => `${server.url}?sslmode=prefer`, { tls: true }],
    [
      "with sslmode=require",
      () => `postgres://tls@127.0.0.1:${port}/postgres?sslmode=require`,
      { tls: true, name: "tls" },
    ],
    ["with sslmode=no-verify", () => `${server.url}?sslmode=no-verify`, { tls: true }],
    [
      "with sslmode=verify-ca",
      () => `${server.url.replace("127.0.0.1", "localhost")}?sslmode=verify-ca&sslrootcert=${authority}`,
      { tls: true },
    ],
    ["with sslmode=verify-full", () => `${server.url}?sslmode=verify-full&sslrootcert=${authority}`, { tls: true }],
    [
      "of JDBC",
      () =>
        `jdbc:postgresql://127.0.0.1:${port}/postgres?user=me&password=${escaped}&ssl=true&sslrootcert=${authority}`,
      { tls: true, name: "me" },
    ],
    [
      "of SQLAlchemy",
      () => `postgresql+asyncpg://me:${escaped}@127.0.0.1:${port}/postgres?ssl=require`,
      { tls: true, name: "me" },
    ],
    [
      "of several hosts",
      () => `postgres://me:${escaped}@127.0.0.1:1,127.0.0.1:${port}/postgres?sslmode=require`,
      { tls: true, name: "me" },
    ],
  ])("connects by a url %s", async (_, url, expected) => {
    expect(await connected(url())).toMatchObject(expected);
  });

  it.each<[what: string, url: () => string, code: string, advice: string]>([
    [
      "a name that does not resolve",
      () => "postgres://me:s3cret@no-such-host.invalid/postgres",
      "ENOTFOUND",
      "cannot connect to Postgres at no-such-host.invalid:5432",
    ],
    [
      "a port where nothing listens",
      () => "postgres://me:s3cret@127.0.0.1:1/postgres",
      "ECONNREFUSED",
      "nothing listens there",
    ],
    [
      "a socket that is not there",
      () => "postgres://me:s3cret@/postgres?host=/nowhere",
      "ENOENT",
      "no socket is there",
    ],
    ["a wrong password", () => `postgres://me:s3cret@127.0.0.1:${port}/postgres`, "28P01", "see the user and password"],
    [
      "a user that is not let in",
      () => `postgres://nobody:s3cret@127.0.0.1:${port}/postgres`,
      "28000",
      "only from elsewhere",
    ],
    [
      "a user that may not come without TLS",
      () => `postgres://tls:s3cret@127.0.0.1:${port}/postgres`,
      "28000",
      "add sslmode=require to the url",
    ],
    [
      "a database that does not exist",
      () => `postgres://postgres@127.0.0.1:${port}/nowhere`,
      "3D000",
      "create the database",
    ],
    [
      "a setting that the server does not have",
      () => `${server.url}?options=-c%20no_such=1`,
      "42704",
      "see the settings in the url's options",
    ],
    [
      "an authority that is not known",
      () => `${server.url}?sslmode=verify-full`,
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      "as sslrootcert=FILE",
    ],
    [
      "a certificate for another host",
      () => `postgres://postgres@localhost:${port}/postgres?sslmode=verify-full&sslrootcert=${authority}`,
      "ERR_TLS_CERT_ALTNAME_INVALID",
      "is for another host",
    ],
  ])("says of %s what it is and what to do, and speaks of no migration", async (_, url, code, advice) => {
    const error = await refusal(url());
    expect(error.driverCode).toBe(code);
    expect(error.message).toContain(advice);
    expect(error.message).toMatch(/^cannot connect to Postgres at /);
    expect(error.message).not.toMatch(/migrat|counted twice/);
  });

  it("says that a server has no TLS where that is asked for, and does without where it is only preferred", async () => {
    const plain = await startPostgres();
    onTestFinished(() => plain.stop());
    const error = await refusal(`${plain.url}?sslmode=require`);
    expect(error.message).toContain("where it has no TLS, sslmode=disable");
    expect(await connected(`${plain.url}?sslmode=prefer`)).toMatchObject({ tls: false });
  });

  it("says so when nothing answers, within the time that a statement has", async () => {
    const silent = await startFaultProxy({ port });
    onTestFinished(() => silent.close());
    silent.blackHole = true;
    const error = await openPostgresStore(silent.url(server.url), { timeoutMs: 500 }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(StoreOpenError);
    expect(error).toMatchObject({ message: expect.stringContaining("no answer from the database within 500 ms") });
    const early = await refusal(`${silent.url(server.url)}?connect_timeout=1`);
    expect(early).toMatchObject({
      driverCode: "CONNECT_TIMEOUT",
      message: expect.stringContaining("any firewall in between"),
    });
  });

  it("says so when a connection fails at once, which must not end the process", async () => {
    expect(await refusal("postgres://me@255.255.255.255/usage")).toBeInstanceOf(StoreOpenError);
    const folder = `/tmp/${"x".repeat(200)}`;
    expect(await refusal(`postgres://me@/usage?host=${folder}`)).toBeInstanceOf(StoreOpenError);
  });

  it("works behind PgBouncer as providers run it, which refuses a statement_timeout", async () => {
    const pooler = await startPgBouncer({ url: server.url });
    onTestFinished(() => pooler.stop());
    const stores = await Promise.all([1, 2, 3].map(() => openPostgresStore(`${pooler.url}?pgbouncer=true`)));
    await Promise.all(stores.map((store, i) => store.merge(manyTallies(3_000, `pooled-${i}`))));
    for (const store of stores)
      expect((await store.totals("2026-01", "pooled-1")).usage.size).toBeGreaterThanOrEqual(3_000);
    await Promise.all(stores.map((store) => store.close()));
    const error = await refusal(`${pooler.url}?statement_timeout=5000`);
    expect(error).toMatchObject({ driverCode: "08P01", message: expect.stringContaining("ignore_startup_parameters") });
  });
});

/** By the server itself, since its files must be its own account's. */
async function setUp(server: PostgresServer): Promise<void> {
  const client = postgres(server.url, { max: 1, onnotice: () => {} });
  const files = { "server.crt": CERTIFICATE, "server.key": KEY, "pg_hba.conf": HBA };
  for (const [name, text] of Object.entries(files)) {
    const [object] = await client`select lo_from_bytea(0, ${Buffer.from(text)}) as id`;
    await client`select lo_export(${object?.id}, ${join(server.folder, name)})`;
  }
  await client.unsafe(`copy (select 1) to program 'chmod 600 server.key'`);
  await client.unsafe(`create role me login superuser password '${PASSWORD}'`);
  await client.unsafe("create role tls login superuser");
  await client.unsafe("alter system set ssl = on");
  await client`select pg_reload_conf()`;
  await client.end();
  // It takes a moment until the server has read its files again.
  const look = () => openPostgresStore(`${server.url}?sslmode=require`).then((store) => store.close());
  for (let attempts = 0; attempts < 100; attempts++) {
    if ((await Promise.allSettled([look()]))[0].status === "fulfilled") return;
    await sleep(50);
  }
  await look();
}
