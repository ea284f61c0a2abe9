import type { Usage } from "@usage/counter-core";
import type { CalendarConfig } from "../clients/calendars.ts";
import type { ClientWindow } from "../clients/client-windows.ts";
import type { ClientKey } from "../credentials/client-key.ts";
import type { Secret } from "../credentials/secret.ts";
import type { LogLevel } from "../log/log-level.ts";
import type { CorsOptions } from "../proxy/answers/cors.ts";
import type { HeadLimits } from "../proxy/http/head-limits.ts";
import type { Timeouts } from "../proxy/http/timeouts.ts";
import type { Address } from "./address.ts";

/** `pack`: the first upstream in order that can take the request. `spread`: the one that has used the least part of its limits. */
export type RoutingPolicy = "pack" | "spread";

/** The `Host` that an upstream gets: its own, or the one that the client sent, which is what signed requests are signed for. */
export type HostPolicy = "upstream" | "preserve";

/** What the proxy is to do, complete: every default is filled in. Times are in milliseconds. */
export interface ProxyConfig {
  readonly listen: Address;
  /** What clients of the proxy are shown, who then speak TLS to it. Absent: they speak plain HTTP. */
  readonly tls?: TlsConfig;
  readonly admin: AdminConfig;
  readonly counter: CounterConfig;
  readonly store: StoreConfig;
  readonly flush: {
    readonly intervalMs: number;
    /** Used while a backend is at or above `nearLimitRatio` of one of its limits. */
    readonly nearLimitIntervalMs: number;
    readonly nearLimitRatio: number;
    /** How long one flush may take. */
    readonly timeoutMs: number;
  };
  readonly routing: RoutingPolicy;
  readonly timeouts: Timeouts;
  readonly heads: HeadLimits;
  readonly shutdown: {
    /** How long requests are still taken after `/readyz` has begun to say that none are wanted; on SIGTERM only. */
    readonly drainDelayMs: number;
    /** How long running requests may then go on. */
    readonly graceMs: number;
  };
  /** Whose word is taken for how a request came to them: IP addresses and networks. */
  readonly trustedProxies: readonly string[];
  /** Who may use the proxy, by keys of its own. Absent: whoever reaches it, and what they send for themselves is passed on. */
  readonly clients?: readonly ClientConfig[];
  /** What clients are allowed, by name of the plan. Absent: there are none. */
  readonly plans?: ReadonlyMap<string, ClientLimits>;
  /** What these plans say besides, by name. */
  readonly terms?: ReadonlyMap<string, PlanTerms>;
  /** Which pages of other sites may read the answers of the proxy's own. Absent: none. */
  readonly cors?: CorsOptions;
  /** `access` writes a line for every request. */
  readonly log: { readonly level: LogLevel; readonly access: boolean };
  /** Which requests get which backends: the first rule that is for one. @default every backend gets every request */
  readonly routes?: readonly RouteConfig[];
  /** What is counted besides requests and bytes, by name. @default nothing */
  readonly dimensions?: ReadonlyMap<string, DimensionConfig>;
  /** At least one, with different names. A dimension that is absent from `limits` is unlimited; of one that is 0, nothing may be used. */
  readonly backends: readonly BackendConfig[];
  /** From which parts of a limit on the webhooks are told, in ascending order; of backends that do not say so themselves. */
  readonly thresholds: readonly number[];
  /** Who is told, each with a name of its own. */
  readonly webhooks: readonly WebhookConfig[];
}

/** The admin listener. */
export interface AdminConfig {
  readonly listen: Address;
  /** As that of the proxy. */
  readonly tls?: TlsConfig;
  /** It is demanded on every `/api` path; beyond loopback it must be there. */
  readonly token?: string;
  /** The addresses under which another server shows it to browsers, each with a slash at its end. */
  readonly urls?: readonly string[];
}

/** A file of certificates (PEM), as it was when the configuration was read. */
export interface PemFile {
  /** An absolute path. */
  readonly file: string;
  readonly pem: string;
}

/** The certificate of a listener, with those between it and an authority, and its key. */
export interface TlsConfig {
  readonly cert: PemFile;
  readonly key: Secret;
  /** When it expires, in milliseconds since the Unix epoch. */
  readonly validToMs: number;
}

/** Where they are, as the configuration's file has it. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

export type CounterConfig = LocalConfig | RedisConfig;

/** One process, whose requests and uploads of announced length are within limits by itself. */
export interface LocalConfig {
  readonly kind: "local";
  /** @default "approximate" */
  readonly enforcement?: Enforcement;
}

/** One server, a cluster, or whichever server is the master now. Who shares a prefix shares counts. */
export type RedisConfig = {
  readonly kind: "redis";
  readonly prefix: string;
  /** The same on every instance. @default "approximate" */
  readonly enforcement?: Enforcement;
  /** Where it is exact, how long a request or a body may wait for room that is with other instances. @default 2_000 */
  readonly waitMs?: number;
  /** After how long without a word of it what a proxy keeps from others is written off, in milliseconds. @default never */
  readonly forgiveAfterMs?: number;
  /** What servers that speak TLS are trusted by, instead of the authorities that Node brings along. */
  readonly ca?: PemFile;
} & RedisPlace;

/** Where Redis is, by its `url`, by its `socket`, by some nodes of a cluster, or by Sentinels that know who is the master. */
export type RedisPlace =
  | { readonly url: string }
  | { readonly cluster: readonly string[] }
  | (RedisAccount & { readonly socket: string /** An absolute path. */ })
  | (RedisAccount & {
      readonly sentinel: SentinelConfig /** Sentinels and servers speak it. */;
      readonly tls?: boolean;
    });

/** Who the proxy is to a Redis whose address says nothing of that. */
export interface RedisAccount {
  readonly username?: string;
  readonly password?: Secret;
  /** The number of a database. @default 0 */
  readonly db?: number;
}

export interface SentinelConfig {
  /** What the Sentinels call the master. */
  readonly name: string;
  /** Some of the Sentinels; the others are learnt from them. */
  readonly nodes: readonly Address[];
  /** Who the proxy is to the Sentinels themselves. */
  readonly username?: string;
  readonly password?: Secret;
}

/**
 * `exact`: no limit is passed, whatever fails, and a body that finds no room is cut. `approximate`: a limit is passed by what instances
 * use before they hear of each other, and by bodies of unknown length.
 */
export type Enforcement = "exact" | "approximate";

export type StoreConfig =
  | { readonly kind: "sqlite" /** An absolute path. */; readonly file: string }
  | {
      readonly kind: "postgres";
      readonly url: string;
      /** What the server is trusted by. Who names it asks for a connection that is encrypted and verified. */
      readonly ca?: PemFile;
    };

export interface BackendConfig {
  readonly name: string;
  readonly url: URL;
  /** @default "upstream" */
  readonly host?: HostPolicy;
  /** What its server is trusted by, instead of the authorities that Node brings along. */
  readonly ca?: PemFile;
  readonly limits: Partial<Usage>;
  /** @default those of all backends */
  readonly thresholds?: readonly number[];
  readonly headers?: BackendHeaders;
  /** How the proxy shows who it is. What clients sent for themselves is dropped then. */
  readonly auth?: BackendAuth;
  /** How the backend's answers say what its model has read and written, which is counted then. @default they are not read */
  readonly tokens?: TokenProtocol;
}

/** What a request must be like. What is absent says nothing; of a list, one is enough. */
export interface RequestMatch {
  /** `example.com`, or `*.example.com`. */
  readonly host?: readonly string[];
  /** `/v1/models`, or `/v1/*`. */
  readonly path?: readonly string[];
  readonly method?: readonly string[];
}

export interface RouteConfig {
  /** @default every request */
  readonly match?: RequestMatch;
  /** Their names, in order of preference. */
  readonly backends: readonly string[];
}

/** A ready-made list of rules, or one of its own. */
export type DimensionConfig = string | readonly CostRule[];

/** What a request costs that is as this says, `amount` of one dimension. What is absent says nothing. */
export interface CostRule {
  readonly method?: readonly string[];
  readonly path?: readonly string[];
  /** What its query must have, each: `name`, or `name=value`. */
  readonly query?: readonly string[];
  /** What the answer's status must be one of: `404`, or `4xx`. */
  readonly status?: readonly string[];
  readonly amount: number;
}

export type TokenProtocol = "openai" | "anthropic";

/** What is changed in the headers of every request, names in lower case. */
export interface BackendHeaders {
  readonly set?: ReadonlyMap<string, Secret>;
  readonly remove?: readonly string[];
}

export type BackendAuth =
  | { readonly kind: "bearer"; readonly token: Secret }
  | {
      readonly kind: "s3";
      readonly region: string;
      readonly accessKeyId: Secret;
      readonly secretAccessKey: Secret;
      /** It takes the place of the bucket that a client names in the path. */
      readonly bucket?: string;
    };

/** What a plan says besides its limits. */
export interface PlanTerms extends CalendarConfig {
  /** Of which parts of its clients' limits webhooks are told. @default of none */
  readonly thresholds?: ClientThresholds;
}

/** By window; only those that are stored have any. */
export type ClientThresholds = { readonly [window in ClientWindow]?: readonly number[] };

/** What it says of its calendar, and of thresholds of a window, is in place of what its plan says. */
export interface ClientConfig extends PlanTerms {
  readonly name: string;
  readonly key: ClientKey;
  /** One of `plans`. @default no limits */
  readonly plan?: string;
  /** In place of what the plan says of the same window and dimension. */
  readonly limits?: ClientLimits;
}

/** By window; a dimension that is absent is unlimited there, of one that is 0 nothing may be used. */
export type ClientLimits = { readonly [window in ClientWindow]?: Partial<Usage> };

/** Who is told that a backend has reached a threshold of a limit. */
export interface WebhookConfig {
  /** Deliveries are kept under it. It is no secret. @default the host and port of its url */
  readonly name: string;
  /** It may be a secret, but for its host. */
  readonly url: URL;
  /** What is sent besides. Their values may be secrets. */
  readonly headers: Readonly<Record<string, string>>;
  /** `whsec_` and a key in base64; deliveries are signed with it. */
  readonly secret?: string;
  readonly format: WebhookFormat;
}

/** `json`: the event. `slack`: `{ text }`, which Slack's incoming webhooks take, and those of many others. */
export type WebhookFormat = "json" | "slack";
