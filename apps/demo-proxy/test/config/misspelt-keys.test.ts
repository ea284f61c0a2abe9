import { describe, expect, it } from "vitest";
import { grantBody, troubleOf } from "../../src/admin/api/grants/grant-body.ts";
import { parseConfig } from "../../src/config/read-config.ts";

function troubleWith(body: object): string | undefined {
  const { error } = grantBody.safeParse(body);
  return error && troubleOf(error);
}

const KEY = "0123456789abcdef";
const LIMITS = { apiRequests: 1, egressBytes: 1, ingressBytes: 1 };
const WINDOWS = { month: LIMITS, week: LIMITS, day: LIMITS, hour: LIMITS, minute: LIMITS };
const TERMS = { timeZone: "Europe/Berlin", anchorDay: 15, thresholds: { month: [1], week: [1], day: [1] } };
const FILES = { cert: "cert.pem", key: "key.pem" };
const EVERYTHING = {
  listen: "127.0.0.1:1",
  tls: FILES,
  admin: { listen: "127.0.0.1:2", token: KEY, tls: FILES, urls: ["https://ops.example/"] },
  counter: {
    kind: "redis",
    url: "rediss://h",
    prefix: "u",
    enforcement: "exact",
    waitMs: 1,
    forgiveAfterMs: 1,
    ca: "c",
  },
  store: { kind: "postgres", url: "postgres://h/d", ca: "c" },
  flush: { intervalMs: 9, nearLimitIntervalMs: 1, nearLimitRatio: 0.5, timeoutMs: 1 },
  routing: "pack",
  timeouts: { connectMs: 1, headersMs: 1, idleMs: 1, keepAliveMs: 1 },
  heads: { requestBytes: 2_048, responseBytes: 2_048 },
  shutdown: { drainDelayMs: 0, graceMs: 1 },
  trustedProxies: [],
  clients: [{ name: "a", key: KEY, plan: "free", limits: WINDOWS, ...TERMS }],
  plans: { free: { ...WINDOWS, ...TERMS } },
  cors: { origins: ["https://a.example"], credentials: false },
  log: { level: "info", access: false },
  backends: [
    {
      name: "llm",
      url: "https://b",
      ca: "c",
      host: "upstream",
      limits: { ...LIMITS, inputTokens: 1, outputTokens: 1 },
      thresholds: [1],
      headers: { set: { "x-a": "1" }, remove: ["x-b"] },
      auth: { kind: "s3", region: "r", accessKeyId: "i", secretAccessKey: "s", bucket: "bucket" },
      tokens: "openai",
    },
    { name: "other", url: "https://b", auth: { kind: "bearer", token: "abc" } },
  ],
  routes: [{ match: { host: "a.example", path: "/v1/*", method: "GET" }, backends: ["llm", "other"] }],
  dimensions: { classA: [{ method: "GET", path: "/", query: "a", status: "200", amount: 1 }] },
  webhooks: [{ url: "https://w/", name: "w", headers: { A: "b" }, secret: `whsec_${"A".repeat(32)}`, format: "json" }],
  thresholds: [1],
};
const SENTINEL = { name: "m", nodes: ["h:1"], username: "u", password: "p" };
const OTHERS = [
  { counter: { kind: "redis", sentinel: SENTINEL, username: "u", password: "p", db: 0, tls: true } },
  { counter: { kind: "redis", cluster: ["redis://h:1"] } },
  { counter: { kind: "redis", socket: "/s" } },
  { store: { kind: "sqlite", file: "usage.db" } },
];
/** Whose keys are names of somebody's own. */
const NAMED = /^(?:plans|dimensions|.*headers\.set|.*headers)$/;

function complaints(file: unknown): string {
  try {
    parseConfig(JSON.stringify(file), { file: "p.yaml", folder: "/" });
    return "";
  } catch (error) {
    return String(error);
  }
}

/** Calls `visit` for each key that the configuration knows, the innermost first. */
function eachKey(
  value: unknown,
  visit: (holder: Record<string, unknown>, key: string, depth: number) => void,
  path = "",
  depth = 0,
): void {
  if (typeof value !== "object" || value === null) return;
  for (const [key, child] of Object.entries(value)) {
    eachKey(child, visit, path === "" ? key : `${path}.${key}`, depth + 1);
    const isKey = !Array.isArray(value) && (!NAMED.test(path) || key === "set" || key === "remove");
    if (isKey) visit(value as Record<string, unknown>, key, depth);
  }
}

/** The file with all its keys of one depth spelt in another way, and what they were; `kind`, by which a map is known, by itself. */
function misspelt(file: object, spell: (key: string) => string, depth: number, isKind: boolean) {
  // Not structuredClone, which keeps maps shared that the file has in several places.
  const copy = JSON.parse(JSON.stringify(file)) as object;
  const keys: string[] = [];
  eachKey(copy, (holder, key, at) => {
    if (at !== depth || (key === "kind") !== isKind) return;
    keys.push(key);
    holder[spell(key)] = holder[key];
    delete holder[key];
  });
  return { copy, keys: keys.toSorted() };
}

const swapped = (key: string): string => {
  const letters = [...key];
  const at = Math.max(
    1,
    letters.findLastIndex((letter, index) => letter !== letters[index - 1]),
  );
  return `${key.slice(0, at - 1)}${key[at]}${key[at - 1]}${key.slice(at + 1)}`;
};

describe("a key that is misspelt, at whatever depth of the configuration,", () => {
  it.each([
    ["with two letters that changed places", swapped],
    ["with a letter too few", (key: string) => (key.length > 2 ? key.slice(0, -1) : key.toUpperCase())],
    ["with a letter too many", (key: string) => `${key}s`],
  ])("is told with the one that was meant: %s", (_, spell) => {
    for (const file of [EVERYTHING, ...OTHERS.map((other) => ({ ...EVERYTHING, ...other }))]) {
      for (const depth of [0, 1, 2, 3, 4]) {
        for (const isKind of [false, true]) {
          const { copy, keys } = misspelt(file, spell, depth, isKind);
          const told = Array.from(complaints(copy).matchAll(/did you mean (\w+)/g), ([, key]) => key);
          if (keys.length > 0) expect([depth, told.toSorted()]).toEqual([depth, keys]);
        }
      }
    }
  });

  it("is told so in a body of the API, too", () => {
    expect(troubleWith({ id: "a", raeson: "b", amounts: {} })).toContain(
      "raeson: unknown key, did you mean reason? known here: id, amounts, reason",
    );
  });
});

describe("a number that is far too large", () => {
  it.each(["limits: { apiRequests: 1e308 }", "limits: { egressBytes: 1e308 }", "thresholds: [1e308]"])(
    "is complained about once: %s",
    (setting) => {
      const file = `webhooks: [{ url: "http://w/" }]\nbackends: [{ name: a, url: "http://a", ${setting} }]`;
      expect(() => parseConfig(file, { file: "p.yaml", folder: "/" })).toThrow(
        /^p\.yaml:2:\d+ [^\n]*1e\+?308[^\n]*$|^[^\n]*above 0 and at most 1[^\n]*$/,
      );
    },
  );

  it("is complained about once by the API", () => {
    const body = { id: "a", reason: "b", amounts: { apiRequests: 1e308 } };
    const trouble = "amounts.apiRequests: expected a whole number of requests from 1 to 9007199254740991, got 1e+308";
    expect(troubleWith(body)).toBe(trouble);
  });
});
