import { z } from "zod";
import { refusePlaceholders } from "../placeholder.ts";
import type { Enforcement, RedisConfig } from "../proxy-config.ts";
import { expected, expectedKind, section, text, wholeNumber } from "./expected.ts";
import { duration } from "./values.ts";

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

const nodes = expected("a list with the addresses of some nodes", "secret");
const redis = section({
  kind: z.literal("redis"),
  url: redisUrl.exactOptional(),
  cluster: z.array(redisUrl, nodes).min(1, nodes).superRefine(refuseOddNodes).exactOptional(),
  prefix: prefix.default("usage"),
  enforcement,
  waitMs: wholeNumber("milliseconds", 0, LONGEST_WAIT_MS).exactOptional(),
  forgiveAfterMs: duration.exactOptional(),
})
  .superRefine(refuseBothOrNeither, { when: () => true })
  .superRefine(refuseUselessWait)
  .transform(({ url, cluster = [], ...others }): RedisConfig => {
    return url === undefined ? { ...others, cluster } : { ...others, url };
  });

function refuseUselessWait(
  { enforcement, waitMs }: { readonly enforcement?: Enforcement; readonly waitMs?: number },
  context: z.core.$RefinementCtx,
): void {
  if (waitMs === undefined || enforcement === "exact") return;
  const message = "is for enforcement: exact, where room may be with other proxies; leave it out";
  context.addIssue({ code: "custom", path: ["waitMs"], message });
}

/** Also runs when something else of it is wrong. */
function refuseBothOrNeither(value: unknown, context: z.core.$RefinementCtx): void {
  if (typeof value !== "object" || value === null || "url" in value !== "cluster" in value) return;
  const [path, message] =
    "url" in value
      ? ["cluster", "cannot stand beside url; give url for one server, or cluster for a Redis Cluster"]
      : ["url", "is missing; give url for one server, or cluster for a Redis Cluster"];
  context.addIssue({ code: "custom", path: [path], message });
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
