import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import type { ProxyConfig } from "../../src/config/proxy-config.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import { describeConfig } from "../../src/log/describe-config.ts";
import { CERT, KEY } from "../proxy/localhost-certificate.ts";
import { EXPIRED_CERT, FUTURE_CERT, OTHER_CERT, OTHER_KEY } from "../support/certificates.ts";
import { tempFolder } from "../support/temp-folder.ts";

const BACKENDS = "backends: [{ name: a, url: 'https://a' }]";
const LOCKED_KEY = KEY.replaceAll("PRIVATE", "ENCRYPTED PRIVATE");
const FILES: Readonly<Record<string, string>> = {
  "cert.pem": CERT,
  "key.pem": KEY,
  "other.pem": OTHER_CERT,
  "chain.pem": CERT + OTHER_CERT,
  "wrong-order.pem": OTHER_CERT + CERT,
  "other-key.pem": OTHER_KEY,
  "expired.pem": EXPIRED_CERT,
  "future.pem": FUTURE_CERT,
  "both-expired.pem": EXPIRED_CERT + EXPIRED_CERT,
  "one-expired.pem": EXPIRED_CERT + CERT,
  "damaged.pem": CERT.replace("MIIB", "MIIC"),
  "second-damaged.pem": CERT + CERT.replace("MIIB", "MIIC"),
  "locked.pem": LOCKED_KEY,
  "damaged-key.pem": KEY.replace("MIGH", "MIGI"),
  "empty.pem": "",
};

function place(): string {
  const folder = tempFolder();
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(folder, name), text);
  return folder;
}

function parse(text: string, folder: string): ProxyConfig {
  return parseConfig(text, { file: "proxy.yaml", folder });
}

function complaints(text: string, folder: string): string[] {
  try {
    parse(text, folder);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replaceAll(folder, "/here").split("\n");
    throw error;
  }
  return [];
}

describe("files of certificates", () => {
  it("are read when the configuration is, and shown by their paths", () => {
    const folder = place();
    const config = parse(
      `tls: { cert: chain.pem, key: key.pem }
admin: { tls: { cert: ${folder}/other.pem, key: other-key.pem } }
counter: { kind: redis, url: "rediss://r", ca: cert.pem }
store: { kind: postgres, url: "postgres://u@h/db", ca: one-expired.pem }
backends: [{ name: a, url: "https://a", ca: other.pem }, { name: b, url: "http://b" }]`,
      folder,
    );
    const file = (name: string) => ({ file: join(folder, name), pem: FILES[name] });
    expect(config.tls?.cert).toEqual(file("chain.pem"));
    expect(config.tls?.key.reveal()).toBe(KEY);
    expect(config.admin.tls?.cert).toEqual(file("other.pem"));
    expect(config.counter).toMatchObject({ ca: file("cert.pem") });
    expect(config.store).toMatchObject({ ca: file("one-expired.pem") });
    expect(config.backends.map(({ ca }) => ca)).toEqual([file("other.pem"), undefined]);
    const shown = describeConfig(config);
    expect(shown).toMatchObject({
      tls: { cert: join(folder, "chain.pem"), validTo: "2126-10-30T23:42:37.000Z" },
      admin: { tls: { cert: join(folder, "other.pem") } },
      ca: join(folder, "one-expired.pem"),
      backends: [{ ca: join(folder, "other.pem") }, { name: "b" }],
    });
    expect(JSON.stringify([shown, config])).not.toContain("PRIVATE");
  });

  it.each([
    [
      "cert: none.pem, key: key.pem",
      "cert: cannot be read (ENOENT): /here/none.pem; check the path, and whether the proxy's user may read it",
    ],
    ["cert: ., key: key.pem", "cert: is no file that can be read again and again: /here"],
    ["cert: key.pem, key: key.pem", "cert: has a private key and no certificate; that file belongs into key"],
    [
      "cert: empty.pem, key: key.pem",
      "cert: has no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----; openssl x509 -inform der -in FILE makes one of DER",
    ],
    [
      "cert: second-damaged.pem, key: key.pem",
      "cert: its certificate number 2 cannot be read: it is damaged; copy the file again",
    ],
    [
      "cert: expired.pem, key: other-key.pem",
      "cert: its certificate has expired on 2020-02-01; renew it, and check the clock of this machine",
    ],
    [
      "cert: future.pem, key: other-key.pem",
      "cert: its certificate is not valid before 2120-01-01; check the clock of this machine",
    ],
    ["cert: cert.pem, key: cert.pem", "key: has no private key in PEM, which begins with -----BEGIN PRIVATE KEY-----"],
    [
      "cert: cert.pem, key: locked.pem",
      "key: is encrypted with a passphrase, which nobody is there to type; openssl pkey -in FILE -out FILE decrypts it",
    ],
    ["cert: cert.pem, key: damaged-key.pem", "key: its private key cannot be read: it is damaged; copy the file again"],
    [
      "cert: cert.pem, key: other-key.pem",
      "key: is the key of another certificate than the first in cert; give the key that cert was made for, and in cert put the server's own certificate before those of authorities",
    ],
    [
      "cert: wrong-order.pem, key: key.pem",
      "key: is the key of another certificate than the first in cert; give the key that cert was made for, and in cert put the server's own certificate before those of authorities",
    ],
    ["cert: cert.pem", "key: is missing; give the path of a file with its private key"],
  ])("that a listener cannot use are told with what to do: %s", (files, complaint) => {
    const folder = place();
    for (const [text, path] of [
      [`tls: { ${files} }`, "tls"],
      [`admin: { tls: { ${files} } }`, "admin.tls"],
    ]) {
      const found = complaints(`${text}\n${BACKENDS}`, folder);
      expect(found).toEqual([expect.stringMatching(/^proxy.yaml:1:\d+ /)]);
      expect(found[0]?.replace(/^\S+ /, "")).toBe(`${path}.${complaint}`);
    }
  });

  it("that name nobody to trust, or stand where nobody is to be trusted, are told", () => {
    expect(
      complaints(
        `counter: { kind: redis, url: "rediss://r", ca: key.pem }
store: { kind: postgres, url: "postgres://u@h/db", ca: both-expired.pem }
backends: [{ name: a, url: "https://a", ca: none.pem }]`,
        place(),
      ),
    ).toEqual([
      "proxy.yaml:1:48 counter.ca: has a private key and no certificate; that file belongs into key",
      "proxy.yaml:2:56 store.ca: has only certificates that have expired; get the present one of the authority",
      "proxy.yaml:3:45 backends[0].ca: cannot be read (ENOENT): /here/none.pem; check the path, and whether the proxy's user may read it",
    ]);
    expect(
      complaints(
        `counter: { kind: redis, url: "redis://r", ca: cert.pem }
store: { kind: postgres, url: "postgres://u@h/db?sslmode=disable", ca: cert.pem }
backends: [{ name: a, url: "http://a", ca: cert.pem }]`,
        place(),
      ),
    ).toEqual([
      "proxy.yaml:1:47 counter.ca: is for TLS; write rediss:// in the address",
      "proxy.yaml:2:72 store.ca: cannot stand beside sslmode=disable in the url; leave one of them out",
      "proxy.yaml:3:44 backends[0].ca: is for TLS; write https:// in the url, or leave it out",
    ]);
    const inline = "backends: [{ name: a, url: 'https://a', ca: '-----BEGIN CERTIFICATE-----' }]";
    expect(complaints(inline, place())).toEqual([
      "proxy.yaml:1:45 backends[0].ca: is the text itself; put it into a file, and give its path",
    ]);
  });
});

describe("where Redis is", () => {
  const counter = (text: string) => `counter: { kind: redis, ${text} }\n${BACKENDS}`;

  it("may be said by Sentinels, or by a socket, with who the proxy is to them", () => {
    const folder = place();
    const { counter: bySentinel } = parse(
      counter(
        "sentinel: { name: usage, nodes: ['10.0.0.1:26379', '[::1]:26380'], username: s, password: s-secret }, username: u, password: hunter2, db: 3, tls: true, ca: cert.pem",
      ),
      folder,
    );
    expect(bySentinel).toMatchObject({
      sentinel: {
        name: "usage",
        nodes: [
          { host: "10.0.0.1", port: 26379 },
          { host: "::1", port: 26380 },
        ],
        username: "s",
      },
      username: "u",
      db: 3,
      tls: true,
    });
    const config = parse(counter("socket: redis.sock, password: hunter2"), folder);
    expect(config.counter).toMatchObject({ socket: join(folder, "redis.sock") });
    const shown = [config, parse(counter("sentinel: { name: usage, nodes: ['h:1'], password: hunter2 }"), folder)].map(
      (one) => describeConfig(one),
    );
    expect(shown).toMatchObject([
      { counter: `Redis ${folder}/redis.sock` },
      { counter: "Redis usage by Sentinels at h:1" },
    ]);
    expect(JSON.stringify([shown, config, bySentinel])).not.toMatch(/hunter2|s-secret/);
  });

  it.each([
    [
      "socket: /r, sentinel: { name: a, nodes: ['h:1'] }",
      "socket: cannot stand beside sentinel; give url for one server, cluster for a Redis Cluster, sentinel for Sentinels, or socket",
    ],
    ["url: 'redis://h', password: x-y", "password: stands in the address, as in redis://user:password@host:6379/0"],
    ["url: 'redis://h', tls: true", "tls: is for sentinel; elsewhere rediss:// stands for TLS"],
    ["sentinel: { name: a, nodes: ['h:1'] }, ca: cert.pem", "ca: is for TLS; set tls: true"],
    [
      "sentinel: { name: a, nodes: [] }",
      "sentinel.nodes: expected a list with the addresses of some Sentinels, such as [10.0.0.1:26379, 10.0.0.2:26379], got a list",
    ],
    [
      "sentinel: { name: a, nodes: ['redis://:hunter2@h:1'] }",
      "sentinel.nodes[0]: expected host:port, such as 10.0.0.1:26379",
    ],
    [
      "sentinel: { name: 'redis://:hunter2@h:1/usage', nodes: ['h:1'] }",
      "sentinel.name: expected what the Sentinels call the master, such as mymaster",
    ],
    [
      "sentinel: { nodes: ['h:1'] }",
      "sentinel.name: is missing; give what the Sentinels call the master, such as mymaster",
    ],
    [
      "socket: 'redis+unix://:hunter2@/run/redis.sock'",
      "socket: is an address; give the path of a socket, such as /run/redis/redis.sock",
    ],
    ["socket: ''", "socket: give the path of a socket, such as /run/redis/redis.sock"],
  ])("is said once, and whole: %s", (text, complaint) => {
    const found = complaints(counter(text), place()).map((line) => line.replace(/^\S+ counter\./, ""));
    expect(found).toEqual([complaint]);
  });
});
