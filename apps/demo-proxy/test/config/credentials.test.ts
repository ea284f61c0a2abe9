import { describe, expect, it } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import { parseConfig } from "../../src/config/read-config.ts";

const BACKEND = "backends: [{ name: oci, url: 'http://127.0.0.1:9001' }]";

function complaints(text: string): string {
  try {
    parseConfig(text, { file: "proxy.yaml", folder: "/here" });
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return "";
}

const withBackend = (settings: string): string =>
  `backends: [{ name: oci, url: 'http://127.0.0.1:9001', ${settings} }]`;

describe("a proxy that can be reached from other machines", () => {
  const listen = "listen: 0.0.0.0:8080";

  it.each([
    ["auth", "auth: { kind: bearer, token: secret-1 }"],
    ["a key in a header", "headers: { set: { X-Api-Key: secret-1 } }"],
  ])("lets nobody use a provider's credentials without a key of its own: %s", (_, settings) => {
    const told = complaints(`${listen}\n${withBackend(settings)}`);
    expect(told).toContain("listen: 0.0.0.0:8080 can be reached from other machines");
    expect(told).toContain("credentials of oci: set clients, or listen on 127.0.0.1");
    expect(complaints(`${listen}\nclients: [{ name: a, key: key-0123456789abc }]\n${withBackend(settings)}`)).toBe("");
    expect(complaints(withBackend(settings))).toBe("");
  });

  it("needs none where clients show providers who they are", () => {
    expect(complaints(`${listen}\n${withBackend("headers: { set: { x-custom: a }, remove: [x-gone] }")}`)).toBe("");
  });
});

describe("credentials that cannot be meant", () => {
  it.each([
    [
      "a short key",
      `clients: [{ name: a, key: short-secret }]\n${BACKEND}`,
      "clients[0].key: needs at least 16 characters",
    ],
    ["a placeholder", `clients: [{ name: a, key: "<your-key-here-01>" }]\n${BACKEND}`, "clients[0].key: a placeholder"],
    [
      "a hash that is none",
      `clients: [{ name: a, key: "sha256:secret-0123" }]\n${BACKEND}`,
      "expected 64 hexadecimal digits",
    ],
    [
      "a name with a slash",
      `clients: [{ name: a/b, key: secret-0123456789 }]\n${BACKEND}`,
      "clients[0].name: expected a name of letters",
    ],
    ["nobody", `clients: []\n${BACKEND}`, "clients: name at least one client"],
    [
      "one name twice",
      `clients: [{ name: a, key: secret-0123456789 }, { name: a, key: secret-9876543210 }]\n${BACKEND}`,
      "clients[1].name: is already the name of clients[0]",
    ],
    [
      "one key twice",
      `clients: [{ name: a, key: secret-0123456789 }, { name: b, key: secret-0123456789 }]\n${BACKEND}`,
      "clients[1].key: is already the key of clients[0]",
    ],
    [
      "an unknown kind",
      withBackend("auth: { kind: basic, token: secret-1 }"),
      "backends[0].auth.kind: expected bearer or s3",
    ],
    ["no token", withBackend("auth: { kind: bearer }"), "backends[0].auth.token: is missing"],
    [
      "a token with a line break",
      withBackend('auth: { kind: bearer, token: "secret\\n1" }'),
      "backends[0].auth.token: expected letters",
    ],
    [
      "no region",
      withBackend("auth: { kind: s3, accessKeyId: secret-1, secretAccessKey: secret-2 }"),
      "backends[0].auth.region: is missing; give a region",
    ],
    ["a key that is misspelt", withBackend("auth: { kind: bearer, tokn: secret-1 }"), "did you mean token?"],
    ["a header that is none", withBackend("headers: { set: { 'a b': secret-1 } }"), "expected the name of a header"],
    [
      "the length of a body",
      withBackend("headers: { set: { content-length: secret-1 } }"),
      "the proxy itself decides on this header",
    ],
    [
      "a header of the connection",
      withBackend("headers: { remove: [Connection] }"),
      "the proxy itself decides on this header",
    ],
    [
      "a value with a line break",
      withBackend('headers: { set: { x-a: "secret\\r\\nx: y" } }'),
      "has signs that no header may have",
    ],
    [
      "two authorizations",
      withBackend("auth: { kind: bearer, token: secret-1 }, headers: { set: { Authorization: secret-2 } }"),
      "headers.set.authorization: cannot stand beside auth",
    ],
  ])("are told without a word of them: %s", (_, text, complaint) => {
    const told = complaints(text);
    expect(told).toContain(complaint);
    expect(told).not.toMatch(/secret-\d|short-secret|your-key/);
  });
});

describe("plans and limits of clients", () => {
  const client = (settings: string) => `clients: [{ name: web, key: key-0123456789abc, ${settings} }]\n${BACKEND}`;
  const read = (text: string) => parseConfig(text, { file: "proxy.yaml", folder: "/here" });

  it("are read by window and dimension", () => {
    const { plans, terms, clients } = read(`
plans:
  free: { day: { apiRequests: 1000 }, month: { egressBytes: 10GiB }, timeZone: Europe/Berlin, anchorDay: "15" }
  closed: { minute: { apiRequests: 0 } }
${client("plan: free, limits: { hour: { ingressBytes: 1MB } }, anchorDay: 31")}`);
    expect(plans).toEqual(
      new Map([
        ["free", { day: { apiRequests: 1000 }, month: { egressBytes: 10 * 1024 ** 3 } }],
        ["closed", { minute: { apiRequests: 0 } }],
      ]),
    );
    expect(terms).toEqual(
      new Map([
        ["free", { timeZone: "Europe/Berlin", anchorDay: 15 }],
        ["closed", {}],
      ]),
    );
    expect(clients).toMatchObject([{ plan: "free", limits: { hour: { ingressBytes: 1e6 } }, anchorDay: 31 }]);
  });

  it.each([
    ["a plan that is not there", client("plan: pro"), 'clients[0].plan: there is no plan "pro"; known are none: name'],
    ["a plan that is misspelt", `plans: { free: {} }\n${client("plan: fre")}`, "did you mean free?"],
    ["another plan", `plans: { free: {}, b2b: {} }\n${client("plan: enterprise")}`, "known are free, b2b"],
    ["a window that is none", client("limits: { fortnight: {} }"), "clients[0].limits.fortnight: unknown key"],
    ["a plan's window that is none", `plans: { free: { days: {} } }\n${BACKEND}`, "did you mean day?"],
    ["limits without a window", client("limits: { apiRequests: 5 }"), "known here: month, week, day, hour, minute"],
    ["a plan with a slash", `plans: { a/b: {} }\n${BACKEND}`, "expected a name of letters"],
    ["a zone that is none", `plans: { a: { timeZone: Mars/Olympus } }\n${BACKEND}`, "is no time zone; expected one of"],
    ["a zone that is misspelt", `plans: { a: { timeZone: Europe/Berln } }\n${BACKEND}`, "did you mean Europe/Berlin?"],
    ["a client's zone that is none", client("timeZone: 1"), "clients[0].timeZone: expected an IANA time zone, such as"],
    [
      "a day that no month has",
      `plans: { a: { anchorDay: 32 } }\n${BACKEND}`,
      "plans.a.anchorDay: expected a day of the",
    ],
    [
      "thresholds that nobody hears of",
      `plans: { a: { thresholds: { day: [1] } } }\n${BACKEND}`,
      "nobody would be told",
    ],
    [
      "a client's thresholds of that kind",
      client("thresholds: { day: [1] }"),
      "clients[0].thresholds: nobody would be told",
    ],
    [
      "thresholds of what is not stored",
      client("thresholds: { hour: [1] }"),
      "unknown key; known here: month, week, day",
    ],
    ["a threshold above the limit", client("thresholds: { day: [2] }"), "a number above 0 and at most 1, got 2"],
    ["an amount that is none", `plans: { free: { day: { apiRequests: -1 } } }\n${BACKEND}`, "whole number of requests"],
  ])("are refused where they cannot be meant: %s", (_, text, message) => {
    expect(complaints(text)).toContain(message);
  });
});
