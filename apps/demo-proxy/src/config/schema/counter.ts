import { z } from "zod";
import { parseAddress } from "../address.ts";
import { refusePlaceholders } from "../placeholder.ts";
import type { Enforcement, RedisConfig, SentinelConfig } from "../proxy-config.ts";
import { secret } from "./credentials.ts";
import { expected, expectedKind, section, text, wholeNumber } from "./expected.ts";
import type { Unread } from "./unread.ts";
import { duration, flag, path } from "./values.ts";

const redisUrl = text(
  "an address such as redis://user:password@127.0.0.1:6379, with special characters percent-encoded",
  (value) => {
    refusePlaceholders(value);
    const { protocol, hostname, pathname, username, password } = new URL(value);
    if (!/^rediss?:$/.test(protocol)) throw new RangeError("expected redis://, or rediss:// for TLS");
    if (/[?#]/.test(value))
      throw new RangeError("a query or fragment cannot stand here: write ? as %3F and # as %23 in a password");
    if (!/^\/?\d*$/.test(pathname))
      throw new RangeError("expected nothing but the number of a database after the host");
    if (hostname === "") throw new TypeError("no host");
    decodeURIComponent(`${username}:${password}`); // throws where the client would
    return value;
  },
  "secret",
);

const aPrefix = expected("1 to 128 characters without braces and control characters");
const prefix = z
  .string(aPrefix)
  .regex(/^[^{}\p{Cc}]{1,128}$/u, aPrefix)
  .refine((value) => value.isWellFormed(), aPrefix);

const enforcements = ["exact", "approximate"] as const;
const enforcement = z.enum(enforcements, expected(enforcements.join(" or "))).exactOptional();

/** The longest that a client is kept waiting for room. */
const LONGEST_WAIT_MS = 60_000;

// Some write a URL with a password here.
const sentinelNode = text(
  "host:port, such as 10.0.0.1:26379",
  (value) => {
    const found = parseAddress(value);
    if (found === undefined) throw new TypeError("not an address");
    return found;
  },
  "secret",
);

const aMaster = expected("what the Sentinels call the master, such as mymaster", "secret");
const someSentinels = expected("a list with the addresses of some Sentinels, such as [10.0.0.1:26379, 10.0.0.2:26379]");
const aUser = expected("the name of a user", "secret");
const username = z.string(aUser).min(1, aUser);
const password = secret("a password; put quotes around it");
const db = wholeNumber("a database", 0, 2 ** 31 - 1);

const sentinel: z.ZodType<SentinelConfig> = section({
  name: z.string(aMaster).regex(/^[\w.:-]{1,128}$/, aMaster),
  nodes: z.array(sentinelNode, someSentinels).min(1, someSentinels),
  username: username.exactOptional(),
  password: password.exactOptional(),
});

const nodes = expected("a list with the addresses of some nodes", "secret");
const redis = section({
  kind: z.literal("redis"),
  url: redisUrl.exactOptional(),
  cluster: z.array(redisUrl, nodes).min(1, nodes).superRefine(refuseOddNodes).exactOptional(),
  sentinel: sentinel.exactOptional(),
  socket: path("the path of a socket, such as /run/redis/redis.sock").exactOptional(),
  username: username.exactOptional(),
  password: password.exactOptional(),
  db: db.exactOptional(),
  tls: flag.exactOptional(),
  ca: path("the path of a file with certificates").exactOptional(),
  prefix: prefix.default("usage"),
  enforcement,
  waitMs: wholeNumber("milliseconds", 0, LONGEST_WAIT_MS).exactOptional(),
  forgiveAfterMs: duration.exactOptional(),
})
  .superRefine(refuseManyOrNone, { when: () => true })
  .superRefine(refuseUselessWait)
  .superRefine(refuseIdle)
  // One of the four places is there, and of the rest what belongs to it.
  .transform((given) => given as unknown as Unread<RedisConfig>);

function refuseUselessWait(
  { enforcement, waitMs }: { readonly enforcement?: Enforcement; readonly waitMs?: number },
  context: z.core.$RefinementCtx,
): void {
  if (waitMs === undefined || enforcement === "exact") return;
  const message = "is for enforcement: exact, where room may be with other proxies; leave it out";
  context.addIssue({ code: "custom", path: ["waitMs"], message });
}

const PLACES = ["url", "cluster", "sentinel", "socket"] as const;
const ONE_PLACE = "give url for one server, cluster for a Redis Cluster, sentinel for Sentinels, or socket";

/** Also runs when something else of it is wrong. */
function refuseManyOrNone(value: unknown, context: z.core.$RefinementCtx): void {
  if (typeof value !== "object" || value === null) return;
  const [first, ...others] = PLACES.filter((place) => place in value);
  const issue = (path: string, message: string): void => context.addIssue({ code: "custom", path: [path], message });
  if (first === undefined) issue("url", `is missing; ${ONE_PLACE}`);
  for (const other of others) issue(other, `cannot stand beside ${first}; ${ONE_PLACE}`);
}

type Given = { readonly [name in (typeof PLACES)[number] | "username" | "password" | "db" | "tls" | "ca"]?: unknown };

/** What stands in the addresses is not said again beside them, and trust is for those who speak TLS. */
function refuseIdle(given: Given, context: z.core.$RefinementCtx): void {
  const issue = (path: string, message: string): void => context.addIssue({ code: "custom", path: [path], message });
  const urls = [given.url, given.cluster].flat().filter((url) => typeof url === "string");
  if (urls.length > 0) {
    for (const name of ["username", "password", "db"] as const) {
      if (given[name] !== undefined) issue(name, "stands in the address, as in redis://user:password@host:6379/0");
    }
  }
  if (given.tls !== undefined && given.sentinel === undefined) {
    issue("tls", "is for sentinel; elsewhere rediss:// stands for TLS");
  }
  const isEncrypted = given.tls === true || urls.some((url) => url.startsWith("rediss:"));
  if (given.ca !== undefined && !isEncrypted) {
    issue("ca", `is for TLS; ${given.sentinel === undefined ? "write rediss:// in the address" : "set tls: true"}`);
  }
}

/** Of a cluster's nodes the client learns the hosts and ports; everything else must hold for all of them. */
function refuseOddNodes(urls: readonly string[], context: z.core.$RefinementCtx): void {
  const [first, ...others] = urls.map((url) => new URL(url));
  if (first === undefined) return;
  for (const [index, { pathname }] of [first, ...others].entries()) {
    if (/^\/?0?$/.test(pathname)) continue;
    context.addIssue({
      code: "custom",
      path: [index],
      message: "a cluster has no numbered databases: end it after the port",
    });
  }
  for (const [index, url] of others.entries()) {
    const same = (["protocol", "username", "password"] as const).every((part) => url[part] === first[part]);
    if (same) continue;
    const message = "has another scheme, user or password than the first; all nodes of a cluster need the same";
    context.addIssue({ code: "custom", path: [index + 1], message });
  }
}

export const counter = z.discriminatedUnion(
  "kind",
  [section({ kind: z.literal("local"), enforcement }), redis],
  expectedKind("local or redis"),
);
