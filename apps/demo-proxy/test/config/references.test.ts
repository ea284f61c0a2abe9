import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import type { ProxyConfig } from "../../src/config/proxy-config.ts";
import { loadConfig, parseConfig } from "../../src/config/read-config.ts";
import { tempFolder } from "../support/temp-folder.ts";

const BACKEND = "backends: [{ name: oci, url: 'http://127.0.0.1:9001' }]";
type Env = Readonly<Record<string, string | undefined>>;

function parse(text: string, env: Env = {}): ProxyConfig {
  return parseConfig(text, { file: "proxy.yaml", folder: "/here", env });
}

/** The complaints about a text, one a line. */
function complaints(text: string, env: Env = {}): string[] {
  try {
    parse(text, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split("\n");
    throw error;
  }
  return [];
}

/** Loads a configuration, and the message of what is wrong with it. */
async function load(text: string, folder: string, env: Env = {}): Promise<ProxyConfig | string> {
  writeFileSync(join(folder, "proxy.yaml"), text);
  return loadConfig("proxy.yaml", folder, env).catch((error: unknown) => {
    if (error instanceof ConfigError) return error.message;
    throw error;
  });
}

describe("a text in the configuration takes", () => {
  const env = { A: "first", B: "second", EMPTY: "", lower_1: "low", file: "variable" };
  const nameOf = (yaml: string) => parse(`backends:\n- url: http://h\n  name: ${yaml}\n`, env).backends[0]?.name;

  it.each([
    ["a variable", "${A}", "first"],
    ["one in double quotes", '"${A}"', "first"],
    ["one in single quotes", "'${A}'", "first"],
    ["one among other signs", "x-${A}.y", "x-first.y"],
    ["several", "${A}${B}", "firstsecond"],
    ["a name in lower case", "${lower_1}", "low"],
    ["a variable that is called file", "${file}", "variable"],
    ["the variable where there is a default", "${A:-other}", "first"],
    ["the default where there is none", "${NONE:-other}", "other"],
    ["the default where it is empty", "${EMPTY:-other}", "other"],
    ["a variable as default", "${NONE:-x${B}}", "xsecond"],
    ["a default of a default", "${NONE:-${ALSO_NONE:-third}}", "third"],
    ["no default that is not needed", "${A:-${NONE}}", "first"],
    ["an empty default", "x${NONE:-}", "x"],
    ["a $ that is alone", "$A-${A}-$", "$A-first-$"],
    ["a doubled $ as one", "$$A", "$A"],
    ["a doubled $ before a brace as text", "$${A}", "${A}"],
    ["a doubled $ in a default", "${NONE:-$$}", "$"],
    ["a folded text", ">-\n    ${A}\n    b", "first b"],
  ])("%s: %s", (_, yaml, name) => {
    expect(nameOf(yaml)).toBe(name);
  });

  it("and what a value holds is not looked into: neither as YAML nor for references", () => {
    const values = ["b: c", "[b, c]", "&b", "*b", "# b", '"b"', "!b", "true", "null", "~", "12", "$$b", "a\\nb"];
    for (const value of values) {
      const { backends } = parse("backends: [{ name: '${A}', url: http://h }]", { A: value });
      expect(backends[0]?.name).toBe(value);
    }
    expect(complaints("backends: [{ name: '${A}', url: http://h }]\n", { A: "${B}", B: "x" })).toEqual([]);
  });

  it("but a key does not", () => {
    expect(complaints(`${BACKEND}\n\${A}: 1`, { A: "routing" })).toEqual([
      expect.stringMatching(/^proxy\.yaml:2:1 "\$\{A\}": unknown key/),
    ]);
  });
});

describe("a reference where no text belongs", () => {
  const env = { LIMIT: "50000", SIZE: "10GiB", PART: "0.5", YES: "true", LOUD: "FALSE", HEX: "0x10", TEN: "1e1" };

  it("is read as YAML would read its value, with quotes and without", () => {
    const text = (quote: string) => `
log:
  access: ${quote}\${YES}${quote}
cors: { origins: ["https://a.example"], credentials: "\${LOUD}" }
flush:
  nearLimitRatio: ${quote}\${PART}${quote}
  intervalMs: ${quote}\${HEX}${quote}
  nearLimitIntervalMs: ${quote}\${TEN}${quote}
  timeoutMs: ${quote}\${NONE:-7}${quote}
timeouts: { idleMs: "\${IDLE:-9}" }
routing: ${quote}\${ROUTING:-spread}${quote}
counter: { kind: "\${KIND:-local}" }
listen: ${quote}\${HOST:-127.0.0.1}:\${PORT:-1}${quote}
backends:
- name: a
  url: http://h
  limits:
    apiRequests: ${quote}\${LIMIT}${quote}
    egressBytes: ${quote}\${SIZE}${quote}
    ingressBytes: ${quote}\${LIMIT}${quote}
`;
    for (const quote of ["", '"', "'"]) {
      expect(parse(text(quote), env)).toMatchObject({
        log: { access: true },
        cors: { credentials: false },
        flush: { nearLimitRatio: 0.5, intervalMs: 16, nearLimitIntervalMs: 10, timeoutMs: 7 },
        timeouts: { idleMs: 9 },
        routing: "spread",
        listen: { host: "127.0.0.1", port: 1 },
        backends: [{ limits: { apiRequests: 50_000, egressBytes: 10_737_418_240, ingressBytes: 50_000 } }],
      });
    }
  });

  it("stays text where text belongs, though YAML would read a number or a boolean", () => {
    for (const T of ["1234567890123456", "0123", "1e5", "true", "0x10"]) {
      expect(parse(`${BACKEND}\nadmin:\n  token: \${T}`, { T }).admin.token).toBe(T);
    }
  });

  it("is refused when its value is of another kind, without that value", () => {
    const T = "hunter2";
    const text = `
listen: \${T}
log: { access: "\${T}", level: "\${T}" }
routing: \${T}
flush: { intervalMs: "\${T}", nearLimitRatio: "\${T}" }
backends:
- name: "\${T}"
  url: http://h
  limits: { apiRequests: "\${T}", egressBytes: "\${T}" }
- { name: hunter2, url: "\${T}" }
`;
    const found = complaints(text, { T });
    expect(found.map((line) => line.split(" ", 2).join(" "))).toEqual([
      "proxy.yaml:2:9 listen:",
      "proxy.yaml:3:16 log.access:",
      "proxy.yaml:3:31 log.level:",
      "proxy.yaml:4:10 routing:",
      "proxy.yaml:5:22 flush.intervalMs:",
      "proxy.yaml:5:46 flush.nearLimitRatio:",
      "proxy.yaml:9:26 backends[0].limits.apiRequests:",
      "proxy.yaml:9:47 backends[0].limits.egressBytes:",
      "proxy.yaml:10:11 backends[1].name:",
      "proxy.yaml:10:25 backends[1].url:",
    ]);
    expect(found[3]).toBe("proxy.yaml:4:10 routing: expected pack or spread, got what ${T} stands for");
    // This one stands in the file itself.
    expect(found.filter((line) => !line.includes("backends[1].name")).join()).not.toContain("hunter2");
  });

  it("does not show a number or a name that is refused either", () => {
    const env = { T: "4711", NAME: "a\u0000b" };
    const text = "flush: { nearLimitRatio: '${T}' }\nbackends: [{ name: '${NAME}', url: http://h }]";
    expect(complaints(text, env)).toEqual([
      expect.stringMatching(/^proxy\.yaml:1:26 .*got what \$\{T\} stands for$/),
      expect.stringMatching(/^proxy\.yaml:2:20 .*what \$\{NAME\} stands for cannot name a backend/),
    ]);
    expect(complaints(text, env).join()).not.toMatch(/4711|u0000/);
  });
});

describe("a reference that cannot be followed is refused, with line and column:", () => {
  it.each([
    [
      "a variable that is not set",
      "${NONE}",
      "the environment variable NONE is not set; set it, or write ${NONE:-default}",
    ],
    ["one that is empty", "${EMPTY}", "the environment variable EMPTY is empty; set it, or write ${EMPTY:-default}"],
    ["what every object has", "${constructor}", "the environment variable constructor is not set"],
    ["what every object has", "${__proto__}", "the environment variable __proto__ is not set"],
    ["one in a default", "${NONE:-${EMPTY}}", "the environment variable EMPTY is empty"],
    ["no name", "${}", "a ${ begins what is no reference; write ${NAME}"],
    ["another language", "'${{ secrets.TOKEN }}'", "a ${ begins what is no reference"],
    ["another language", "${env:NONE}", "a ${ begins what is no reference"],
    ["another language", "${env.NONE}", "a ${ begins what is no reference"],
    ["another language", "${vault:secret/token}", "a ${ begins what is no reference"],
    ["the shell's other forms", "${EMPTY-x}", "a ${ begins what is no reference"],
    ["the shell's other forms", "${EMPTY:?x}", "a ${ begins what is no reference"],
    ["a space", "${ EMPTY }", "a ${ begins what is no reference"],
    ["a name that begins with a digit", "${1X}", "a ${ begins what is no reference"],
    ["no end", "'${EMPTY'", "a ${ begins what is no reference"],
    ["a default without an end", "'${EMPTY:-x'", "a ${ has no } that ends it"],
    ["no file", "${file:}", "a ${file:} names no file"],
    ["a file of a variable that is not set", "${file:${NONE}/x}", "the environment variable NONE is not set"],
  ])("%s: %s", (_, yaml, message) => {
    const [first, ...others] = complaints(`${BACKEND}\nadmin:\n  token: ${yaml}`, { EMPTY: "" });
    expect(first?.slice(0, "proxy.yaml:3:10 admin.token: ".length + message.length)).toBe(
      `proxy.yaml:3:10 admin.token: ${message}`,
    );
    expect(others).toEqual([]);
  });

  it("all of them at once, with whatever else is wrong, in the order of the file", () => {
    const text = "routing: ${ONE}\nadmin: { listen: 0.0.0.0:9 }\nstore: { kind: '${TWO}' }\nbackends: '${THREE}'";
    expect(complaints(text).map((line) => line.split(";", 1)[0])).toEqual([
      "proxy.yaml:1:10 routing: the environment variable ONE is not set",
      "proxy.yaml:2:18 admin.listen: 0.0.0.0:9 can be reached from other machines: set admin.token, or listen on 127.0.0.1",
      "proxy.yaml:3:16 store.kind: the environment variable TWO is not set",
      "proxy.yaml:4:11 backends: the environment variable THREE is not set",
    ]);
  });

  it("one without the quotes that { } and [ ] need, and nothing of what comes of that", () => {
    const message = "between { } and [ ], put quotes around a text with ${...}";
    for (const [yaml, column] of [
      ["{ token: ${T} }", 17],
      ["{ token: x${T}, listen: a:1 }", 18],
      ["[${T}]", 9],
    ]) {
      expect(complaints(`admin: ${yaml}\n${BACKEND}`, { T: "x" })).toEqual([`proxy.yaml:1:${column}: ${message}`]);
    }
  });

  it("but not where nobody uses it", () => {
    expect(complaints(`x-note: write \${NONE}\n${BACKEND} # \${NONE}`)).toEqual([]);
    expect(complaints(`x-base: &base { url: "\${NONE}" }\nbackends: [{ name: a, <<: *base }]`)).toEqual([
      expect.stringMatching(/^proxy\.yaml:1:22 backends\[0\]\.url: the environment variable NONE is not set/),
    ]);
  });
});

describe("${file:PATH}", () => {
  const text = (path: string) => `${BACKEND}\nadmin:\n  token: ${path}`;

  it.each([
    ["a file", "t0ken"],
    ["a newline at its end", "t0ken\n"],
    ["newlines at its end, as Windows writes them", "t0ken\r\n\r\n"],
    ["a byte order mark", "\uFEFFt0ken\n"],
  ])("is what the file holds: %s", async (_, held) => {
    const folder = tempFolder();
    writeFileSync(join(folder, "token"), held);
    expect(await load(text("${file:token}"), folder)).toMatchObject({ admin: { token: "t0ken" } });
  });

  it("is relative to where the user stands, as other paths are, and may have variables and ~ in it", async () => {
    const folder = tempFolder();
    mkdirSync(join(folder, "credentials"));
    writeFileSync(join(folder, "credentials", "token"), "t0ken");
    const env = { CREDENTIALS_DIRECTORY: join(folder, "credentials"), HOME: folder, NAME: "token" };
    for (const path of [
      "${file:credentials/token}",
      "${file:./credentials/token}",
      `\${file:${folder}/credentials/token}`,
      "${file:${CREDENTIALS_DIRECTORY}/token}",
      "${file:${NOWHERE:-credentials}/${NAME}}",
      "${file:~/credentials/token}",
      "${TOKEN:-${file:credentials/token}}",
    ]) {
      expect(await load(text(path), folder, env)).toMatchObject({ admin: { token: "t0ken" } });
    }
  });

  it("is not read where it is not needed", async () => {
    const folder = tempFolder();
    expect(await load(text("${TOKEN:-${file:missing}}"), folder, { TOKEN: "t0ken" })).toMatchObject({
      admin: { token: "t0ken" },
    });
    expect(await load(`x-note: \${file:missing}\n${BACKEND}`, folder)).toMatchObject({ backends: [{ name: "oci" }] });
  });

  it("says which file cannot be used and why, and nothing of what it holds", async () => {
    const folder = tempFolder();
    writeFileSync(join(folder, "empty"), "\n");
    writeFileSync(join(folder, "large"), "hunter2".repeat(10_000));
    writeFileSync(join(folder, "binary"), Buffer.from([0x68, 0xff, 0xfe]));
    writeFileSync(join(folder, "spaces"), "hunter2 hunter2");
    writeFileSync(join(folder, "path"), "empty");
    const env = { SECRET: "hunter2", HOME: "" };
    for (const [path, message] of [
      ["${file:missing}", `the file ${folder}/missing cannot be read (ENOENT)`],
      ["${file:${SECRET}}", "the file ${SECRET} cannot be read (ENOENT)"],
      ["${file:.}", `the file ${folder} is no file that can be read again and again`],
      ["${file:/dev/zero}", "the file /dev/zero is no file that can be read again and again"],
      ["${file:empty}", `the file ${folder}/empty is empty`],
      ["${file:large}", `the file ${folder}/large has more than 65536 bytes`],
      ["${file:binary}", `the file ${folder}/binary is not text in UTF-8`],
      ["${file:${file:path}}", "the file ${file} is named by what another file holds; name it by variables"],
      ["${file:~/x}", "~/ stands for the home folder, and HOME is not set; write the path out"],
      ["${file:~root/x}", "only ~/ stands for a home folder; write ./~ for a file whose name begins so"],
      ["${file:spaces}", "expected letters, digits and signs, without spaces"],
    ]) {
      expect(await load(text(path ?? ""), folder, env)).toBe(`proxy.yaml:3:10 admin.token: ${message}`);
    }
  });
});

describe("a value in an address", () => {
  const url = (yaml: string, env: Env) => parse(`${BACKEND}\nstore: { kind: postgres, url: '${yaml}' }`, env).store;
  const odd = { PW: "p@ss:w/r?d#1%", USER: "me@home", LOGIN: "me:p/w", HOST: "h:5", URL: "postgres://u:p%40@h/db" };

  it.each([
    ["postgres://u:${PW}@h/db", "postgres://u:p%40ss%3Aw%2Fr%3Fd%231%25@h/db"],
    ["postgres://${USER}:${PW}@h/db", "postgres://me%40home:p%40ss%3Aw%2Fr%3Fd%231%25@h/db"],
    ["postgres://${LOGIN}@h/db", "postgres://me:p%2Fw@h/db"],
    ["postgres://u:a${PW:-}b@${HOST}/db", "postgres://u:ap%40ss%3Aw%2Fr%3Fd%231%25b@h:5/db"],
    ["postgres://u:${NONE:-@}@h/db", "postgres://u:%40@h/db"],
    ["postgres://${HOST}/db", "postgres://h:5/db"],
    ["${URL}", "postgres://u:p%40@h/db"],
    ["${URL}?sslmode=require", "postgres://u:p%40@h/db?sslmode=require"],
  ])("is percent-encoded in its user and password, and nowhere else: %s", (yaml, expected) => {
    expect(url(yaml, odd)).toEqual({ kind: "postgres", url: expected });
  });
});
