import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/read-config.ts";
import { describeConfig, summarizeConfig } from "../../src/log/describe-config.ts";
import type { LogLevel } from "../../src/log/log-level.ts";
import { createLogger } from "../../src/log/logger.ts";

function logTo(options: { level?: LogLevel; out?: boolean; err?: boolean; colors?: boolean }) {
  const [out, err] = [[] as string[], [] as string[]];
  const log = createLogger({
    level: options.level ?? "info",
    out: { write: (text) => out.push(text), isTTY: options.out ?? false },
    err: { write: (text) => err.push(text), isTTY: options.err ?? false },
    colors: options.colors ?? false,
  });
  return { log, out, err };
}

describe("the log", () => {
  it("writes one line of JSON per event, what is wrong to the other stream", () => {
    const { log, out, err } = logTo({});
    log.info({ event: "start", backend: 'a\n"b"' }, "it starts");
    log.warn({ event: "redis-away" }, "it is away");
    log.error({ event: "flush-failed" }, "it failed");
    log.info({ event: "stopped" }, "it ends");
    expect([...out, ...err].every((text) => text.indexOf("\n") === text.length - 1)).toBe(true);
    const time = expect.stringMatching(/^\d{4}-\d{2}-\d{2}T.*Z$/);
    expect(out.map((text) => JSON.parse(text))).toEqual([
      { level: "info", time, event: "start", backend: 'a\n"b"', msg: "it starts" },
      { level: "info", time, event: "stopped", msg: "it ends" },
    ]);
    expect(err.map((text) => JSON.parse(text))).toEqual([
      { level: "warn", time, event: "redis-away", msg: "it is away" },
      { level: "error", time, event: "flush-failed", msg: "it failed" },
    ]);
  });

  it("is for people where it goes to a terminal, and cannot make the terminal do anything", () => {
    const { log, out, err } = logTo({ out: true });
    log.info({ event: "start", backends: 3 }, "it starts");
    log.info({ event: "drain" }, '"\x1b[2J\x07\x9b31m" is drained');
    log.warn({ event: "redis-away" }, "it is away");
    expect(out[0]).toMatch(/^\d\d:\d\d:\d\d it starts\n$/);
    expect(out[1]).toMatch(/^\d\d:\d\d:\d\d "\\x1b\[2J\\x07\\x9b31m" is drained\n$/);
    expect(JSON.parse(err[0] ?? "")).toMatchObject({ event: "redis-away" });
    const colored = logTo({ out: true, err: true, colors: true });
    colored.log.error({ event: "x" }, "it failed");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are made of them
    expect(colored.err[0]).toMatch(/\x1b\[31merror: it failed\x1b\[39m\n$/);
  });

  it("leaves out what is below its level", () => {
    const counts = (["debug", "info", "warn", "error", "silent"] as const).map((level) => {
      const { log, out, err } = logTo({ level });
      for (const write of ["debug", "info", "warn", "error"] as const) log[write]({ event: "x" }, "x");
      return out.length + err.length;
    });
    expect(counts).toEqual([4, 3, 2, 1, 0]);
  });
});

describe("the configuration in the log", () => {
  const text = (store: string, counter: string) => `
admin: { listen: 0.0.0.0:9, token: "tok3n-0123456789" }
counter: { kind: redis, ${counter}, prefix: usage }
store: ${store}
backends: [{ name: oci, url: "http://127.0.0.1:9001/path-5ecret", limits: { apiRequests: 5 } }]`;
  const parse = (yaml: string) => parseConfig(yaml, { file: "proxy.yaml", folder: "/here" });

  it.each([
    ["one server", "url: 'rediss://someone:hunter2@h:1/3'", "Redis h:1/3"],
    ["a cluster", "cluster: ['redis://someone:hunter2@h:1', 'redis://someone:hunter2@i:2']", "Redis h:1, i:2"],
  ])("names everything but the secrets, with %s", (_, counter, place) => {
    const config = parse(text("{ kind: postgres, url: 'postgres://someone:hunter2@h:5/db' }", counter));
    const described = describeConfig(config);
    expect(described).toMatchObject({
      listen: "127.0.0.1:8080",
      admin: { listen: "0.0.0.0:9", token: true },
      counter: place,
      prefix: "usage",
      store: "Postgres h:5/db",
      flush: { intervalMs: 30_000 },
      log: { level: "info", access: false },
      backends: [{ name: "oci", url: "http://127.0.0.1:9001/...", limits: { apiRequests: 5 } }],
    });
    // All there is to configure is in it, in one way or another.
    expect(Object.keys(described)).toEqual(expect.arrayContaining(Object.keys(config)));
    expect(JSON.stringify(described) + summarizeConfig(config)).not.toMatch(/hunter2|someone|tok3n|path-5ecret/);
    expect(summarizeConfig(config)).toBe(`1 backend; counter ${place}; store Postgres h:5/db, flushed every 30000 ms`);
  });
});
