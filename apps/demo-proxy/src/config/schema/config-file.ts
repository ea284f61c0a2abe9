import { z } from "zod";
import { LOG_LEVELS } from "../../log/log-level.ts";
import { DEFAULT_HEAD_LIMITS } from "../../proxy/http/head-limits.ts";
import { DEFAULT_TIMEOUTS } from "../../proxy/http/timeouts.ts";
import type { BackendConfig, ProxyConfig, TlsFiles } from "../proxy-config.ts";
import { admin } from "./admin.ts";
import { backends } from "./backends.ts";
import { cors, trustedProxies } from "./clients.ts";
import { counter } from "./counter.ts";
import { clients } from "./credentials.ts";
import { expected, section } from "./expected.ts";
import { refuseUnknownBackends, refuseUnknownDimensions } from "./known-names.ts";
import { type PlanSection, plans } from "./plans.ts";
import { dimensions, routes } from "./rules.ts";
import { store } from "./store.ts";
import type { Unread } from "./unread.ts";
import { address, delay, duration, flag, headSize, part, tlsFiles } from "./values.ts";
import { thresholds, webhooks } from "./webhooks.ts";

/** The configuration as the file has it, checked, with what is missing filled in as far as it depends on nothing else. */
export interface ConfigFile extends Omit<ProxyConfig, "flush" | "thresholds" | "plans" | "terms" | Reading> {
  readonly tls?: TlsFiles;
  readonly admin: Unread<ProxyConfig["admin"]>;
  readonly counter: Unread<ProxyConfig["counter"]>;
  readonly store: Unread<ProxyConfig["store"]>;
  readonly backends: readonly Unread<BackendConfig>[];
  readonly plans?: ReadonlyMap<string, PlanSection>;
  readonly thresholds?: ProxyConfig["thresholds"];
  readonly flush: Omit<ProxyConfig["flush"], IntervalKey> & Partial<Pick<ProxyConfig["flush"], IntervalKey>>;
}

/** Sections that name files. */
type Reading = "tls" | "admin" | "counter" | "store" | "backends";

type IntervalKey = "intervalMs" | "nearLimitIntervalMs";

const flush = section({
  intervalMs: duration.exactOptional(),
  nearLimitIntervalMs: duration.exactOptional(),
  nearLimitRatio: part.default(0.8),
  timeoutMs: duration.default(30_000),
});

const timeouts = section({
  connectMs: duration.default(DEFAULT_TIMEOUTS.connectMs),
  headersMs: duration.default(DEFAULT_TIMEOUTS.headersMs),
  idleMs: duration.default(DEFAULT_TIMEOUTS.idleMs),
  keepAliveMs: duration.default(DEFAULT_TIMEOUTS.keepAliveMs),
});

const heads = section({
  requestBytes: headSize.default(DEFAULT_HEAD_LIMITS.requestBytes),
  responseBytes: headSize.default(DEFAULT_HEAD_LIMITS.responseBytes),
});

const shutdown = section({ drainDelayMs: delay.default(0), graceMs: delay.default(10_000) });

const log = section({
  level: z.enum(LOG_LEVELS, expected(`one of ${LOG_LEVELS.join(", ")}`)).default("info"),
  access: flag.default(false),
});

const routings = ["pack", "spread"] as const;

export const configFile: z.ZodType<ConfigFile> = section({
  listen: address.default({ host: "127.0.0.1", port: 8080 }),
  tls: tlsFiles.exactOptional(),
  admin: admin.prefault({}),
  counter: counter.default({ kind: "local" }),
  store: store.default({ kind: "sqlite", file: "./usage.db" }),
  flush: flush.prefault({}),
  routing: z.enum(routings, expected(routings.join(" or "))).default("pack"),
  timeouts: timeouts.prefault({}),
  heads: heads.prefault({}),
  shutdown: shutdown.prefault({}),
  trustedProxies: trustedProxies.default([]),
  clients: clients.exactOptional(),
  plans: plans.exactOptional(),
  cors: cors.exactOptional(),
  log: log.prefault({}),
  routes: routes.exactOptional(),
  dimensions: dimensions.exactOptional(),
  backends,
  thresholds: thresholds.exactOptional(),
  webhooks: webhooks.default([]),
})
  .superRefine(refuseUnknownDimensions, { when: () => true })
  .superRefine(refuseUnknownBackends, { when: () => true });
