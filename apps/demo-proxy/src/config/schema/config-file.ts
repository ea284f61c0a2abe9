import { z } from "zod";
import { LOG_LEVELS } from "../../log/log-level.ts";
import { DEFAULT_TIMEOUTS } from "../../proxy/timeouts.ts";
import type { ProxyConfig } from "../proxy-config.ts";
import { admin } from "./admin.ts";
import { backends } from "./backends.ts";
import { cors, trustedProxies } from "./clients.ts";
import { counter } from "./counter.ts";
import { expected, section } from "./expected.ts";
import { store } from "./store.ts";
import { address, duration } from "./values.ts";

/** The configuration as the file has it, checked, with what is missing filled in as far as it depends on nothing else. */
export interface ConfigFile extends Omit<ProxyConfig, "flush"> {
  readonly flush: Omit<ProxyConfig["flush"], IntervalKey> & Partial<Pick<ProxyConfig["flush"], IntervalKey>>;
}

type IntervalKey = "intervalMs" | "nearLimitIntervalMs";

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

const routings = ["pack", "spread"] as const;

export const configFile: z.ZodType<ConfigFile> = section({
  listen: address.default({ host: "127.0.0.1", port: 8080 }),
  admin: admin.prefault({}),
  counter: counter.default({ kind: "local" }),
  store: store.default({ kind: "sqlite", file: "./usage.db" }),
  flush: flush.prefault({}),
  routing: z.enum(routings, expected(routings.join(" or "))).default("pack"),
  timeouts: timeouts.prefault({}),
  trustedProxies: trustedProxies.default([]),
  cors: cors.exactOptional(),
  log: log.prefault({}),
  backends,
});
