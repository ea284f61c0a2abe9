import { StoreOpenError } from "../errors.ts";
import type { SslMode, TlsParameters } from "./tls-choice.ts";

/** A connection target in the making. */
export interface Draft {
  hosts?: string;
  port?: string;
  user?: string;
  password?: string;
  database?: string;
  readonly settings: Record<string, string>;
  readonly tls: TlsParameters;
  connectTimeoutSeconds?: number;
  keepAliveSeconds?: number;
  maxConnections?: number;
  fallbackName?: string;
  anyServer: boolean | undefined;
}

type Apply = (draft: Draft, value: string, name: string) => void;

type Text = "hosts" | "port" | "user" | "password" | "database" | "fallbackName";
type TlsText = "rootCertificate" | "certificate" | "key" | "passphrase" | "revoked" | "minVersion" | "maxVersion";

const text =
  (field: Text): Apply =>
  (draft, value) => {
    draft[field] = value;
  };
const tlsText =
  (field: TlsText): Apply =>
  ({ tls }, value) => {
    tls[field] = value;
  };
const settingNamed =
  (name: string): Apply =>
  ({ settings }, value) => {
    settings[name] = value;
  };
const setting: Apply = (draft, value, name) => {
  draft.settings[name] = value;
};
const ssl: Apply = ({ tls }, value, name) => {
  const mode = SSL_MODES[value.toLowerCase()];
  if (mode === undefined)
    throw new StoreOpenError(`${name} is one of disable, allow, prefer, require, verify-ca, verify-full`);
  // Of two that say so, the one by libpq's name.
  if (tls.modeBy !== "sslmode" || name === "sslmode") Object.assign(tls, { mode, modeBy: name });
};
const connections: Apply = (draft, value, name) => {
  draft.maxConnections = wholeNumber(value, name);
};

/** Of libpq, of node-postgres and of JDBC. `require` encrypts and verifies nothing, in libpq as here. */
const SSL_MODES: Readonly<Record<string, SslMode>> = {
  disable: "disable",
  allow: "prefer",
  prefer: "prefer",
  require: "require",
  "verify-ca": "verify-ca",
  "verify-full": "verify-full",
  "no-verify": "require",
  true: "verify-full",
  1: "verify-full",
  false: "disable",
  0: "disable",
};

/** Parameters that mean something here. */
const UNDERSTOOD: Readonly<Record<string, Apply>> = {
  host: text("hosts"),
  port: text("port"),
  user: text("user"),
  username: text("user"),
  password: text("password"),
  dbname: text("database"),
  application_name: setting,
  fallback_application_name: text("fallbackName"),
  options: setting,
  search_path: setting,
  statement_timeout: setting,
  lock_timeout: setting,
  idle_in_transaction_session_timeout: setting,
  idle_session_timeout: setting,
  transaction_timeout: setting,
  timezone: setting,
  TimeZone: setting,
  schema: ({ settings }, value) => {
    settings.search_path = `"${value.replaceAll('"', '""')}"`;
  },
  currentSchema: settingNamed("search_path"),
  schema_search_path: settingNamed("search_path"),
  ApplicationName: settingNamed("application_name"),
  connect_timeout: (draft, value, name) => {
    const seconds = wholeNumber(value, name);
    // libpq waits for ever at 0; here the time that a statement may take ends the wait.
    if (seconds > 0) draft.connectTimeoutSeconds = seconds;
  },
  keepalives: (draft, value) => {
    if (value === "0") draft.keepAliveSeconds = 0;
  },
  keepalives_idle: (draft, value, name) => {
    draft.keepAliveSeconds ??= wholeNumber(value, name);
  },
  connection_limit: connections,
  max: connections,
  pool_max_conns: connections,
  target_session_attrs: (draft, value) => {
    if (value === "any") draft.anyServer = true;
    else if (value === "read-write" || value === "primary") draft.anyServer = false;
    else throw new StoreOpenError(`target_session_attrs is any, read-write or primary: the store writes`);
  },
  client_encoding: (_, value) => {
    if (!/^(utf-?8|unicode|auto)$/i.test(value)) throw new StoreOpenError("client_encoding is always UTF8 here");
  },
  gssencmode: (_, value) => {
    if (value === "require") throw new StoreOpenError("gssencmode=require is not supported: encrypt with sslmode");
  },
  sslmode: ssl,
  ssl,
  requiressl: ({ tls }, value, name) => {
    if (value === "1" && tls.mode === undefined) Object.assign(tls, { mode: "require", modeBy: name });
  },
  sslaccept: ({ tls }, value, name) => {
    if (value !== "strict" && value !== "accept_invalid_certs") {
      throw new StoreOpenError("sslaccept is strict or accept_invalid_certs");
    }
    // Prisma: only where there is TLS at all, which sslmode says.
    if (tls.mode !== "disable")
      Object.assign(tls, { mode: value === "strict" ? "verify-full" : "require", modeBy: name });
  },
  sslnegotiation: ({ tls }, value) => {
    if (value !== "postgres" && value !== "direct") throw new StoreOpenError("sslnegotiation is postgres or direct");
    tls.direct = value === "direct";
  },
  channel_binding: ({ tls }, value) => {
    if (!/^(disable|prefer|require)$/.test(value))
      throw new StoreOpenError("channel_binding is disable, prefer or require");
    tls.channelBinding = value;
  },
  sslrootcert: tlsText("rootCertificate"),
  sslcert: tlsText("certificate"),
  sslkey: tlsText("key"),
  sslpassword: tlsText("passphrase"),
  sslcrl: tlsText("revoked"),
  ssl_min_protocol_version: tlsText("minVersion"),
  ssl_max_protocol_version: tlsText("maxVersion"),
};

/** Parameters that only say how another driver or its pool works, or what is so here in any case. */
const NOT_NEEDED: ReadonlySet<string> = new Set([
  // libpq
  ...[
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "sslcompression",
    "sslsni",
    "krbsrvname",
    "gsslib",
  ],
  ...["gssdelegation", "min_protocol_version", "max_protocol_version", "load_balance_hosts"],
  // Prisma. No statement is prepared here under a name, so it works behind PgBouncer.
  ...["pgbouncer", "pool_timeout", "socket_timeout", "statement_cache_size", "supa"],
  // node-postgres
  ...["uselibpqcompat", "query_timeout", "connectionTimeoutMillis", "idleTimeoutMillis", "keepAlive", "encoding"],
  // postgres.js
  ...["idle_timeout", "max_lifetime", "max_pipeline", "keep_alive", "prepare", "fetch_types"],
  // Rails, SQLAlchemy, Django, pgx
  ...["pool", "pool_size", "max_overflow", "pool_pre_ping", "pool_recycle", "checkout_timeout", "reaping_frequency"],
  ...["prepared_statements", "prepared_statement_cache_size", "prepared_statement_name_func", "command_timeout"],
  ...["async_fallback", "conn_max_age", "pool_min_conns", "pool_max_conn_lifetime", "pool_max_conn_idle_time"],
  ...["pool_health_check_period", "default_query_exec_mode", "statement_cache_capacity", "binary_parameters"],
  // JDBC
  ...["connectTimeout", "socketTimeout", "loginTimeout", "tcpKeepAlive", "prepareThreshold", "reWriteBatchedInserts"],
]);

const NO_FILES = "write what it says into the url";
const NO_OAUTH = "OAuth is not supported: use a password";

/** Parameters that ask for what is not done here, and what to do instead. */
const REFUSED: Readonly<Record<string, string>> = {
  hostaddr: "write the address as the host",
  passfile: NO_FILES,
  service: NO_FILES,
  servicefile: NO_FILES,
  replication: "the store needs an ordinary connection",
  require_auth: "which method proves the password cannot be chosen; sslmode=verify-full makes sure of the server",
  requirepeer: "the owner of the server's process cannot be checked; use sslmode=verify-full over TCP",
  sslcertmode: "a certificate is sent where sslcert and sslkey name one",
  sslcrldir: "name one file, with sslcrl",
  sslkeylogfile: "keys are not written down",
  sslidentity: "use sslcert and sslkey",
  scram_client_key: "use the password",
  scram_server_key: "use the password",
  oauth_issuer: NO_OAUTH,
  oauth_client_id: NO_OAUTH,
  oauth_client_secret: NO_OAUTH,
  oauth_scope: NO_OAUTH,
  api_key: "this url leads to a service and not to a database",
};

export function isKnownParameter(name: string): boolean {
  return Object.hasOwn(UNDERSTOOD, name) || NOT_NEEDED.has(name) || Object.hasOwn(REFUSED, name);
}

/**
 * Notes what a parameter says. Only those of which it is known what they mean ever reach the server: it refuses the
 * connection for any other (42704).
 *
 * @throws StoreOpenError for one that is unknown, not supported, or not what it must be; never with its value.
 */
export function applyParameter(draft: Draft, name: string, value: string): void {
  if (Object.hasOwn(UNDERSTOOD, name)) {
    UNDERSTOOD[name]?.(draft, value, name);
    return;
  }
  if (NOT_NEEDED.has(name)) return;
  if (Object.hasOwn(REFUSED, name)) {
    throw new StoreOpenError(`the url's parameter ${name} is not supported: ${REFUSED[name]}`);
  }
  const known = [...Object.keys(UNDERSTOOD), ...NOT_NEEDED].find((one) => folded(one) === folded(name));
  const advice =
    known === undefined
      ? "take it out; settings of the server go into options=-c%20name%3Dvalue"
      : `do you mean ${known}?`;
  throw new StoreOpenError(`the url of the database has a parameter that is not known, ${name}: ${advice}`);
}

function folded(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z]/g, "");
}

function wholeNumber(value: string, name: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new StoreOpenError(`the url's parameter ${name} must be a whole number`);
  return Number(value);
}
