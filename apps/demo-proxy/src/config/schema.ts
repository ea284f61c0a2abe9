import { assertBackendName, STORAGE_DIMENSIONS, type Usage } from "@usage/counter-core";
import { z } from "zod";
import { LOG_LEVELS } from "../log/log-level.ts";
import { DEFAULT_TIMEOUTS } from "../proxy/timeouts.ts";
import { type Address, formatAddress, isLoopback, parseAddress } from "./address.ts";
import { parseBytes } from "./bytes.ts";
import type { ProxyConfig, RedisConfig } from "./proxy-config.ts";

/** The configuration as the file has it, checked, with what is missing filled in as far as it depends on nothing else. */
export interface ConfigFile extends Omit<ProxyConfig, "flush"> {
  readonly flush: Omit<ProxyConfig["flush"], IntervalKey> & Partial<Pick<ProxyConfig["flush"], IntervalKey>>;
}

type IntervalKey = "intervalMs" | "nearLimitIntervalMs";

interface Expected {
  readonly error: (issue: { readonly code?: string; readonly input?: unknown }) => string;
}

/** The complaint about a value that is not what was expected. A secret is never shown. */
function expected(what: string, visibility: "shown" | "secret" = "shown"): Expected {
  return {
    error: ({ input }) => {
      if (input === undefined) return `is missing; give ${what}`;
      if (input === null) return `is empty; give ${what}`;
      return visibility === "secret" ? `expected ${what}` : `expected ${what}, got ${shown(input)}`;
    },
  };
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/**
 * A map with these keys and no others. About unknown keys zod says only which they are; the message of that issue is the
 * list of the known ones, from which the complaint is written where the place of each key is known.
 */
function section<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const known = Object.keys(shape).join(", ");
  const { error } = expected(`a map with ${known}`, "secret");
  return z.strictObject(shape, { error: (issue) => (issue.code === "unrecognized_keys" ? known : error(issue)) });
}

/** The complaint about a map whose `kind` tells which one it is. */
function expectedKind(kinds: string): Expected {
  const { error } = expected(`a map whose kind is ${kinds}`, "secret");
  return {
    error: ({ code, input }) => {
      if (code !== "invalid_union" || typeof input !== "object" || input === null) return error({ input });
      return "kind" in input ? `expected ${kinds}` : `is missing; give ${kinds}`;
    },
  };
}

/** What `parse` makes of it. A RangeError that it throws is the complaint; otherwise what was expected is. */
function parsed<Input, Output>(
  schema: z.ZodType<Input>,
  parse: (input: Input) => Output,
  { error: refusal }: Expected,
) {
  return schema.transform((input, context): Output => {
    try {
      return parse(input);
    } catch (error) {
      context.addIssue(error instanceof RangeError ? error.message : refusal({ input }));
      return z.NEVER;
    }
  });
}

function text<T>(what: string, parse: (text: string) => T, visibility?: "secret") {
  const wanted = expected(what, visibility);
  return parsed(z.string(wanted), parse, wanted);
}

const address = text('host:port, such as 127.0.0.1:8080 or "[::1]:8080"', (value) => {
  const found = parseAddress(value);
  if (found === undefined) throw new TypeError("not an address");
  return found;
});

const LONGEST_DELAY_MS = 2 ** 31 - 1;
const duration = wholeNumber("milliseconds", 1, LONGEST_DELAY_MS);
const count = wholeNumber("requests", 0, Number.MAX_SAFE_INTEGER);

function wholeNumber(unit: string, least: number, most: number) {
  const wanted = expected(`a whole number of ${unit} from ${least} to ${most}`);
  return z.number(wanted).int(wanted).min(least, wanted).max(most, wanted);
}

const someSize = expected("a size in bytes, such as 500MB or 10GiB");
const size = parsed(z.union([z.number(), z.string()], someSize), parseBytes, someSize);

const backendName = text("a name", (value) => {
  assertBackendName(value);
  return value;
});

const backendUrl = text(
  "an address such as https://s3.example.com/bucket",
  (value) => {
    const url = new URL(value);
    if (url.protocol !== "http:" && url.protocol !== "https:") throw new RangeError("expected http:// or https://");
    if (url.username !== "" || url.password !== "") {
      throw new RangeError(
        "a user or password cannot stand here: clients send their own Authorization, which is passed on",
      );
    }
    if (/[?#]/.test(value))
      throw new RangeError("a query or fragment cannot stand here: only the path is put before a request's own");
    return url;
  },
  "secret",
);

const postgresUrl = text(
  "an address such as postgres://user:password@127.0.0.1:5432/usage, with special characters percent-encoded",
  (value) => {
    if (!/^postgres(ql)?:$/.test(new URL(value).protocol)) throw new RangeError("expected postgres://");
    return value;
  },
  "secret",
);

const redisUrl = text(
  "an address such as redis://user:password@127.0.0.1:6379, with special characters percent-encoded",
  (value) => {
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

const LOCAL_ADMIN: Address = { host: "127.0.0.1", port: 8081 };
const token = z
  .string(expected("a text; put quotes around it", "secret"))
  .regex(/^[\x21-\x7e]+$/, "expected letters, digits and signs, without spaces");

const admin = section({ listen: address.default(LOCAL_ADMIN), token: token.exactOptional() }).superRefine(
  (value, context) => {
    if (value.token !== undefined || isLoopback(value.listen.host)) return;
    const message = `${formatAddress(value.listen)} can be reached from other machines: set admin.token, or listen on 127.0.0.1`;
    context.addIssue({ code: "custom", path: ["listen"], message });
  },
);

const nodes = expected("a list with the addresses of some nodes", "secret");
const redis = section({
  kind: z.literal("redis"),
  url: redisUrl.exactOptional(),
  cluster: z.array(redisUrl, nodes).min(1, nodes).superRefine(refuseOddNodes).exactOptional(),
  prefix: prefix.default("usage"),
})
  .superRefine(refuseBothOrNeither, { when: () => true })
  .transform(({ kind, url, cluster = [], prefix }): RedisConfig => {
    return url === undefined ? { kind, cluster, prefix } : { kind, url, prefix };
  });

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

const counter = z.discriminatedUnion(
  "kind",
  [section({ kind: z.literal("local") }), redis],
  expectedKind("local or redis"),
);

const store = z.discriminatedUnion(
  "kind",
  [
    section({
      kind: z.literal("sqlite"),
      file: z.string(expected("the path of a file")).min(1, "give the path of a file"),
    }),
    section({ kind: z.literal("postgres"), url: postgresUrl }),
  ],
  expectedKind("sqlite or postgres"),
);

const ratio = expected("a number above 0 and at most 1");
const flush = section({
  intervalMs: duration.exactOptional(),
  nearLimitIntervalMs: duration.exactOptional(),
  nearLimitRatio: z.number(ratio).gt(0, ratio).max(1, ratio).default(0.8),
  timeoutMs: duration.default(30_000),
});

const timeouts = section({
  connectMs: duration.default(DEFAULT_TIMEOUTS.connectMs),
  headersMs: duration.default(DEFAULT_TIMEOUTS.headersMs),
  idleMs: duration.default(DEFAULT_TIMEOUTS.idleMs),
});

const log = section({
  level: z.enum(LOG_LEVELS, expected(`one of ${LOG_LEVELS.join(", ")}`)).default("info"),
  access: z.boolean(expected("true or false")).default(false),
});

const limits = section({
  apiRequests: count.exactOptional(),
  egressBytes: size.exactOptional(),
  ingressBytes: size.exactOptional(),
}).transform((given): Partial<Usage> => {
  const limited: { -readonly [D in keyof Usage]?: Usage[D] } = {};
  for (const dimension of STORAGE_DIMENSIONS) {
    const limit = given[dimension];
    if (limit) limited[dimension] = limit;
  }
  return limited;
});

const backends = z
  .array(
    section({ name: backendName, url: backendUrl, limits: limits.prefault({}) }),
    expected("a list of backends", "secret"),
  )
  .min(1, "name at least one backend, with its name and url")
  .superRefine(refuseDuplicates, { when: () => true });

/** Also runs when something else in the list is wrong, so that one reading of the file finds everything. */
function refuseDuplicates(list: unknown, context: z.core.$RefinementCtx): void {
  const names = Array.isArray(list) ? list.map(nameOf) : [];
  for (const [index, name] of names.entries()) {
    const first = names.indexOf(name);
    if (name === undefined || first === index) continue;
    const message = `${shown(name)} is already the name of backends[${first}]; each backend needs its own`;
    context.addIssue({ code: "custom", path: [index, "name"], message });
  }
}

function nameOf(backend: unknown): string | undefined {
  if (typeof backend !== "object" || backend === null || !("name" in backend)) return undefined;
  return typeof backend.name === "string" ? backend.name : undefined;
}

const routings = ["pack", "spread"] as const;

export const configFile: z.ZodType<ConfigFile> = section({
  listen: address.default({ host: "127.0.0.1", port: 8080 }),
  admin: admin.prefault({}),
  counter: counter.default({ kind: "local" }),
  store: store.default({ kind: "sqlite", file: "./usage.db" }),
  flush: flush.prefault({}),
  routing: z.enum(routings, expected(routings.join(" or "))).default("pack"),
  timeouts: timeouts.prefault({}),
  log: log.prefault({}),
  backends,
});
