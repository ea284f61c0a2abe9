import { once } from "node:events";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import { describeStore } from "../../src/counting/open-store.ts";
import { tempFolder } from "../support/temp-folder.ts";

const BACKEND = "backends: [{ name: oci, url: 'http://127.0.0.1:9001' }]";

function storeOf(yaml: string, env: Record<string, string> = {}): unknown {
  try {
    return parseConfig(`${BACKEND}\nstore: ${yaml}`, { file: "proxy.yaml", folder: "/here", env }).store;
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

const sqlite = (file: string, env?: Record<string, string>) => storeOf(`{ kind: sqlite, file: '${file}' }`, env);

describe("the path of the SQLite file", () => {
  const env = { HOME: "/home/me", DATA: "/data" };

  it.each([
    ["usage.db", "/here/usage.db"],
    ["../usage.db", "/usage.db"],
    ["~/usage.db", "/home/me/usage.db"],
    ["./~/usage.db", "/here/~/usage.db"],
    ["${HOME}/usage.db", "/home/me/usage.db"],
    ["${DATA}/${NAME:-usage}.db", "/data/usage.db"],
    ["C:usage.db", "/here/C:usage.db"],
    ["a:b/usage.db", "/here/a:b/usage.db"],
    ["usage#1.db", "/here/usage#1.db"],
    ["usage", "/here/usage"],
  ])("%s is %s", (file, path) => {
    expect(sqlite(file, env)).toEqual({ kind: "sqlite", file: path });
  });

  const IN_MEMORY = "a database in memory would lose all counts when the proxy ends; give the path of a file";
  const NO_URL = "expected a path and no URL, such as /var/lib/usage.db";
  const FOLDER = "is a folder; name the file in it, such as usage.db";
  it.each([
    ["", "give the path of a file"],
    [":memory:", IN_MEMORY],
    [":MEMORY:", IN_MEMORY],
    ["file::memory:?cache=shared", IN_MEMORY],
    ["file:usage.db?mode=memory", IN_MEMORY],
    ["file:usage.db", NO_URL],
    ["file:///var/lib/usage.db", NO_URL],
    ["sqlite:///usage.db", NO_URL],
    ["sqlite:usage.db", NO_URL],
    ["https://h/usage.db", NO_URL],
    ["usage.db?mode=ro", "expected a path alone: options after ? cannot stand here"],
    ["/", FOLDER],
    ["data/", FOLDER],
    [".", FOLDER],
    ["..", FOLDER],
    ["data/..", FOLDER],
    ["~", FOLDER],
    ["~/", FOLDER],
    ["~root/usage.db", "only ~/ stands for a home folder; write ./~ for a file whose name begins so"],
  ])("%s is refused", (file, message) => {
    expect(sqlite(file, env)).toBe(`proxy.yaml:2:30 store.file: ${message}`);
  });

  it("may be that of a file, or of nothing yet, and of nothing else", async () => {
    const folder = tempFolder();
    const at = (name: string) => join(folder, name);
    writeFileSync(at("usage.db"), "");
    mkdirSync(at("data"));
    symlinkSync(at("data"), at("link"));
    const server = createServer().listen(at("socket"));
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const complaints = ["usage.db", "new.db", "usage.db/usage.db", "data", "link", "socket"].map((name) => {
      const store = sqlite(at(name));
      return typeof store === "string" ? store.replace(/^.*store\.file: /, "") : "";
    });
    expect(complaints).toEqual([
      "",
      "",
      "",
      FOLDER,
      FOLDER,
      "is no file but a device, a socket or a pipe; name a file",
    ]);
  });

  it("is refused with ~/ where the home folder is not known", () => {
    expect(sqlite("~/usage.db")).toBe(
      "proxy.yaml:2:30 store.file: ~/ stands for the home folder, and HOME is not set; write the path out",
    );
  });
});

describe("a connection string of Postgres", () => {
  const postgres = (url: string) => storeOf(`{ kind: postgres, url: '${url}' }`);

  it.each([
    ["postgres://u:hunter2@h/db", "Postgres h/db"],
    ["postgresql://u:hunter2@h:5/db", "Postgres h:5/db"],
    ["postgresql+asyncpg://u:hunter2@h:5/db", "Postgres h:5/db"],
    ["jdbc:postgresql://h/db?user=u&password=hunter2", "Postgres h/db"],
    ["postgres://u:hunter2@[::1]:5432/db", "Postgres [::1]:5432/db"],
    ["postgres://u:hunter2@a:5432,b:5433,c/db?target_session_attrs=primary", "Postgres a:5432,b:5433,c/db"],
    ["postgres:///db?host=/run/postgresql&user=u&password=hunter2", "Postgres /run/postgresql/db"],
    ["postgres://u:hunter2@%2Frun%2Fpostgresql/db", "Postgres /run/postgresql/db"],
    ["postgres://u:hunter2@/db?host=a,b&port=5,6", "Postgres a,b/db"],
    ["postgres://u:hunter2@h", "Postgres h/"],
    ["postgres://", "Postgres localhost/"],
    ["postgres://u:hun%2Fter2%40x@h/my%20db", "Postgres h/my db"],
    ["postgres://u:hunter2@h/db?sslmode=require&channel_binding=require", "Postgres h/db"],
    [
      "postgres://u:hunter2@ep-a-b.eu-central-1.aws.neon.tech/db?options=project%3Dx",
      "Postgres ep-a-b.eu-central-1.aws.neon.tech/db",
    ],
  ])("that the store understands is taken, and named without a secret: %s", (url, described) => {
    expect(postgres(url)).toEqual({ kind: "postgres", url });
    expect(describeStore({ kind: "postgres", url })).toBe(described);
  });

  it.each([
    "postgres://u:hunter2@x:port",
    "postgres://u:hun/ter2@h/db",
    "postgres://u:1/hunter2@h/db",
    "postgres://u:12?hunter2@h/db",
    "postgres://u:hunter2@[::1/db",
    "postgres://u:hunter2@h/%zz",
    "postgres:u:hunter2@h",
  ])("whose parts cannot be told apart is refused, and never shown: %s", (url) => {
    expect(postgres(url)).toMatch(/^proxy\.yaml:2:31 store\.url: expected an address such as postgres:/);
    expect(postgres(url)).not.toContain("ter2");
    expect(describeStore({ kind: "postgres", url })).toBe("Postgres");
  });

  it("of another database is refused", () => {
    for (const url of ["mysql://u@h/db", "h/db", "prisma+postgres://x", "host=h dbname=db"]) {
      expect(postgres(url)).toBe("proxy.yaml:2:31 store.url: expected postgres://");
    }
  });
});

describe("an address of Redis that the counter cannot use is refused in words:", () => {
  it.each([
    ["redis://h?family=6", "a query or fragment cannot stand here"],
    ["redis+sentinel://h:26379/mymaster", "expected redis://, or rediss:// for TLS"],
    ["unix:///run/redis.sock", "expected redis://, or rediss:// for TLS"],
    ["redis+socket:///run/redis.sock", "expected redis://, or rediss:// for TLS"],
    ["redis-sentinel://h", "expected redis://, or rediss:// for TLS"],
    ["/run/redis.sock", "expected an address such as redis://"],
    ["redis://h1:1,h2:2", "expected an address such as redis://"],
    ["h:6379", "expected redis://, or rediss:// for TLS"],
  ])("%s", (url, words) => {
    const text = `${BACKEND}\ncounter: { kind: redis, url: '${url}' }`;
    expect(() => parseConfig(text, { file: "proxy.yaml", folder: "/here" })).toThrow(
      `proxy.yaml:2:30 counter.url: ${words}`,
    );
  });
});
