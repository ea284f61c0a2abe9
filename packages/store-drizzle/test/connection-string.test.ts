import { StoreOpenError } from "@usage/store-drizzle/postgres";
import { describe, expect, it } from "vitest";
import { addressText, type ConnectionTarget, parseConnectionString } from "../src/postgres/connection-string.ts";

const HOST = { host: "db.example.com", port: 5432 };

describe("a connection string", () => {
  it.each<[what: string, url: string, expected: Partial<ConnectionTarget>]>([
    [
      "of libpq",
      "postgresql://me:pw@db.example.com:6543/usage",
      { servers: [{ ...HOST, port: 6543 }], user: "me", password: "pw", database: "usage", tls: false },
    ],
    ["without a port", "postgres://me@db.example.com/usage", { servers: [HOST], user: "me", database: "usage" }],
    ["without anything", "postgres://", { servers: [{ host: "localhost", port: 5432 }] }],
    ["of an IPv6 address", "postgres://me@[::1]:6543/usage", { servers: [{ host: "::1", port: 6543 }] }],
    [
      "of SQLAlchemy",
      "postgresql+asyncpg://me:pw@db.example.com/usage?ssl=require",
      { servers: [HOST], tls: { options: { rejectUnauthorized: false }, direct: false } },
    ],
    [
      "of JDBC",
      "jdbc:postgresql://db.example.com/usage?user=me&password=p+w&currentSchema=a,b&ApplicationName=proxy&ssl=false",
      {
        servers: [HOST],
        user: "me",
        password: "p+w",
        settings: { search_path: "a,b", application_name: "proxy" },
        tls: false,
      },
    ],
    [
      "of Supabase for Prisma",
      "postgres://postgres.ref:pw@db.example.com:6543/postgres?pgbouncer=true&connection_limit=1",
      { servers: [{ ...HOST, port: 6543 }], user: "postgres.ref", settings: {}, maxConnections: 1 },
    ],
    [
      "of Prisma",
      "postgresql://me:pw@db.example.com/usage?schema=my-app&connect_timeout=15&pool_timeout=0&sslmode=disable",
      { settings: { search_path: '"my-app"' }, connectTimeoutSeconds: 15, tls: false },
    ],
    [
      "of Vercel",
      "postgres://me:pw@db.example.com/usage?sslmode=require&supa=base-pooler.x",
      { settings: {}, tls: { options: { rejectUnauthorized: false }, direct: false } },
    ],
    [
      "of Rails",
      "postgres://me:pw@db.example.com/usage?pool=5&prepared_statements=false&schema_search_path=app",
      { settings: { search_path: "app" } },
    ],
    [
      "of pgx",
      "postgres://me@db.example.com/usage?pool_max_conns=10&default_query_exec_mode=simple_protocol",
      { settings: {}, maxConnections: 10 },
    ],
    [
      "of node-postgres",
      "postgres://me@db.example.com/usage?sslmode=no-verify&uselibpqcompat=true&statement_timeout=5000",
      { settings: { statement_timeout: "5000" }, tls: { options: { rejectUnauthorized: false }, direct: false } },
    ],
    [
      "with options",
      "postgres://me@db.example.com/usage?options=endpoint%3Dep-x&application_name=my+proxy",
      { settings: { options: "endpoint=ep-x", application_name: "my proxy" } },
    ],
    [
      "with a name to fall back on",
      "postgres://me@db.example.com/usage?fallback_application_name=proxy",
      { settings: { application_name: "proxy" } },
    ],
    [
      "of a socket",
      "postgres:///usage?host=/var/run/postgresql&port=5433",
      { servers: [{ folder: "/var/run/postgresql", port: 5433 }], database: "usage" },
    ],
    [
      "of a socket in place of the host",
      "postgres://me@%2Fvar%2Frun%2Fpostgresql/usage",
      { servers: [{ folder: "/var/run/postgresql", port: 5432 }] },
    ],
    [
      "of a socket that takes the host's place",
      "postgres://me:pw@localhost/usage?host=/cloudsql/project:region:db",
      { servers: [{ folder: "/cloudsql/project:region:db", port: 5432 }] },
    ],
    [
      "of several hosts",
      "postgres://me@a:1,b:2,[::1]:3/usage",
      {
        servers: [
          { host: "a", port: 1 },
          { host: "b", port: 2 },
          { host: "::1", port: 3 },
        ],
        anyServer: false,
      },
    ],
    [
      "of several hosts and ports in parameters",
      "postgres:///usage?host=a,b&port=1,2&target_session_attrs=any",
      {
        servers: [
          { host: "a", port: 1 },
          { host: "b", port: 2 },
        ],
        anyServer: true,
      },
    ],
    [
      "with what the system does to connections",
      "postgres://db.example.com/usage?keepalives=1&keepalives_idle=30&keepalives_interval=10&tcp_user_timeout=5000&gssencmode=disable&client_encoding=utf-8",
      { keepAliveSeconds: 30, settings: {} },
    ],
    ["with keep-alive off", "postgres://db.example.com/usage?keepalives=0&keepalives_idle=30", { keepAliveSeconds: 0 }],
    [
      "with a user as Azure has them",
      "postgres://me@server:pw@db.example.com/usage",
      { servers: [HOST], user: "me@server", password: "pw" },
    ],
    [
      "with every special character escaped",
      `postgres://m%2Fe:${encodeURIComponent("/?#@:%&=+ ü[]")}@db.example.com/u%20s`,
      { user: "m/e", password: "/?#@:%&=+ ü[]", database: "u s" },
    ],
    [
      "with special characters that need no escape",
      "postgres://me:p#w:@x+&=@db.example.com/usage",
      { servers: [HOST], user: "me", password: "p#w:@x+&=", database: "usage" },
    ],
  ])("%s is read", (_, url, expected) => {
    expect(parseConnectionString(url)).toMatchObject(expected);
  });

  it.each<[parameters: string, tls: unknown]>([
    ["", false],
    ["sslmode=allow", "prefer"],
    ["sslmode=prefer", "prefer"],
    ["sslmode=require&ssl=false", { options: { rejectUnauthorized: false } }],
    ["ssl=true", { options: { rejectUnauthorized: true, checkServerIdentity: expect.any(Function) } }],
    ["requiressl=1", { options: { rejectUnauthorized: false } }],
    ["sslmode=verify-ca", { options: { rejectUnauthorized: true, checkServerIdentity: expect.any(Function) } }],
    ["sslmode=verify-full&sslrootcert=system", { options: { rejectUnauthorized: true } }],
    ["sslrootcert=system", { options: { rejectUnauthorized: true } }],
    [
      "sslmode=require&channel_binding=require",
      { options: { rejectUnauthorized: true, checkServerIdentity: expect.any(Function) } },
    ],
    ["sslmode=require&channel_binding=prefer", { options: { rejectUnauthorized: false } }],
    ["sslmode=require&sslaccept=strict", { options: { rejectUnauthorized: true } }],
    [
      "sslmode=require&sslnegotiation=direct&ssl_min_protocol_version=TLSv1.3",
      { options: { minVersion: "TLSv1.3" }, direct: true },
    ],
  ])("with %s has the TLS that was asked for", (parameters, tls) => {
    const found = parseConnectionString(`postgres://db.example.com/usage?${parameters}`).tls;
    if (typeof tls === "object") expect(found).toMatchObject(tls as object);
    else expect(found).toBe(tls);
  });

  it.each<[url: string, problem: string]>([
    ["", "is missing"],
    ["host=db.example.com dbname=usage password=s3cret", "not a list of key=value"],
    ["db.example.com/usage", "is not like postgres://"],
    ["mysql://me:s3cret@db.example.com/usage", "must begin with postgres://, not with mysql://"],
    ["prisma+postgres://accelerate.prisma-data.net/?api_key=s3cret", "a service of Prisma's"],
    ["postgres://me:s3/cret@db.example.com/usage", "write / as %2F"],
    ["postgres://me:1/s3cret@db.example.com/usage", "write / as %2F"],
    ["postgres://me:1?s3cret@db.example.com/usage", "write / as %2F"],
    ["postgres://me:1?s3cret=1@db.example.com/usage", "write / as %2F"],
    ["postgres://me:p@w?s3cret=1@db.example.com/usage", "write / as %2F"],
    ["postgres://me:100%s3cret@db.example.com/usage", "write % as %25"],
    ["postgres://me:s3cret@db.example.com:port/usage", "port that is no number"],
    ["postgres://me:s3cret@db.example.com:70000/usage", "port that is no number"],
    ["postgres://me:s3cret@db example.com/usage", "a host that is none"],
    ["postgres://me:s3cret@::1/usage", "a host that is none"],
    ["postgres://me:s3cret@a,b,c/usage?port=1,2", "3 hosts and 2 ports"],
    ["postgres://me:s3cret@db.example.com/usage?replication=database", "replication is not supported"],
    [
      "postgres://me:s3cret@db.example.com/usage?service=main",
      "service is not supported: write what it says into the url",
    ],
    ["postgres://me:s3cret@db.example.com/usage?require_auth=scram-sha-256", "require_auth is not supported"],
    ["postgres://me:s3cret@db.example.com/usage?gssencmode=require", "gssencmode=require is not supported"],
    ["postgres://me:s3cret@db.example.com/usage?target_session_attrs=standby", "the store writes"],
    ["postgres://me:s3cret@db.example.com/usage?sslMode=require", "sslMode: do you mean sslmode?"],
    ["postgres://me:s3cret@db.example.com/usage?synchronous_commit=off", "synchronous_commit: take it out"],
    ["postgres://me:s3cret@db.example.com/usage?__proto__=1", "cannot be told apart"],
    ["postgres://me:s3cret@db.example.com/usage?constructor=1", "constructor: take it out"],
    ["postgres://me:s3cret@db.example.com/usage?sslmode=requried", "sslmode is one of disable, allow, prefer, require"],
    [
      "postgres://me:s3cret@db.example.com/usage?sslmode=prefer&channel_binding=require",
      "channel_binding=require needs TLS, and sslmode allows to do without",
    ],
    ["postgres://me:s3cret@db.example.com/usage?sslmode=require&sslrootcert=system", "needs sslmode=verify-full"],
    ["postgres://me:s3cret@db.example.com/usage?sslnegotiation=direct", "needs sslmode=require"],
    ["postgres://me:s3cret@db.example.com/usage?sslmode=require&sslcert=a.crt", "sslcert and sslkey"],
    [
      "postgres://me:s3cret@db.example.com/usage?sslmode=verify-ca&sslrootcert=/nowhere/ca.crt",
      "the file of sslrootcert cannot be read (ENOENT): /nowhere/ca.crt",
    ],
    ["postgres://me:s3cret@db.example.com/usage?connect_timeout=soon", "connect_timeout must be a whole number"],
    ["postgres://me:s3cret@db.example.com/usage?client_encoding=latin1", "always UTF8"],
    ["postgres://me:s3cret@@db.example.com:1@/usage?host=@abstract", "abstract namespace"],
  ])("that cannot be used says why, and nothing of a password: %s", (url, problem) => {
    const parse = () => parseConnectionString(url);
    expect(parse).toThrow(StoreOpenError);
    expect(parse).toThrow(problem);
    expect(parse).not.toThrow(/s3|cret/);
  });

  it("names servers as they are written", () => {
    const { servers } = parseConnectionString("postgres://a:1,[::1],%2Frun%2Fpg:5/usage");
    expect(servers.map(addressText)).toEqual(["a:1", "[::1]:5432", "/run/pg/.s.PGSQL.5"]);
  });
});
