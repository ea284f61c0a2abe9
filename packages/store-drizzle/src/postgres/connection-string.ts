import { StoreOpenError } from "../errors.ts";
import { applyParameter, type Draft, isKnownParameter } from "./connection-parameters.ts";
import { type TlsChoice, tlsChoice } from "./tls-choice.ts";

/** Where a server listens: a port of a host, or a socket in a folder. */
export type ServerAddress =
  | { readonly host: string; readonly port: number }
  | { readonly folder: string; readonly port: number };

/** What a connection string says. */
export interface ConnectionTarget {
  /** To be tried in this order. */
  readonly servers: readonly ServerAddress[];
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
  readonly tls: TlsChoice;
  /** What the server is told with each new connection. */
  readonly settings: Readonly<Record<string, string>>;
  readonly connectTimeoutSeconds?: number;
  /** 0 switches it off. */
  readonly keepAliveSeconds?: number;
  readonly maxConnections?: number;
  /** Whether a server will do that cannot be written to. */
  readonly anyServer: boolean;
}

const SHAPE = /^(?<scheme>[^:/?#@]+):\/\/(?<authority>[^/?]*)(?:\/(?<database>[^?]*))?(?:\?(?<query>.*))?$/s;
const DEFAULT_PORT = 5432;

/**
 * Reads `postgres://user:password@host:port/database?parameters`, also with several hosts or a socket's folder, as libpq, ORMs
 * and hosting providers write it.
 *
 * @throws StoreOpenError that names what is wrong with it, and shows nothing that may belong to a password.
 */
export function parseConnectionString(url: string): ConnectionTarget {
  // Java's way to write it; its parameters are known, too.
  const parts = SHAPE.exec(String(url).replace(/^jdbc:(?=postgresql:)/i, ""))?.groups;
  if (parts === undefined) throw new StoreOpenError(shapeProblem(url));
  const { scheme = "", authority = "", database = "", query = "" } = parts;
  assertScheme(scheme);
  const at = authority.lastIndexOf("@");
  // What follows an unescaped / or ? of a password would be read as a database or a parameter, and shown in messages.
  if (database.includes("@") || (at < 0 && query.includes("@"))) throw new StoreOpenError(ESCAPING);
  const [user, password] = at < 0 ? [] : credentials(authority.slice(0, at));
  const draft: Draft = { settings: {}, tls: {}, anyServer: undefined };
  if (user) draft.user = user;
  if (password) draft.password = password;
  if (database !== "") draft.database = decoded(database);
  const given = authority.slice(at + 1);
  if (given !== "") draft.hosts = given;
  for (const [name, value] of parameters(query)) applyParameter(draft, name, value);
  const { hosts, port, tls, anyServer, fallbackName, ...rest } = draft;
  const servers = serversOf(hosts ?? "localhost", port);
  if (fallbackName !== undefined) rest.settings.application_name ??= fallbackName;
  const names = servers.flatMap((server) => ("host" in server ? [server.host] : []));
  return { ...rest, servers, tls: tlsChoice(tls, names), anyServer: anyServer ?? servers.length === 1 };
}

/** A server as messages name it. */
export function addressText(server: ServerAddress): string {
  if ("folder" in server) return socketPath(server);
  return `${server.host.includes(":") ? `[${server.host}]` : server.host}:${server.port}`;
}

export function socketPath({ folder, port }: { readonly folder: string; readonly port: number }): string {
  return `${folder.replace(/\/+$/, "")}/.s.PGSQL.${port}`;
}

const EXAMPLE = "postgres://user:password@host:5432/database";
const ESCAPING =
  "the url of the database cannot be told apart: write / as %2F, ? as %3F, @ as %40 and # as %23 in its user, password and parameters";

function shapeProblem(url: unknown): string {
  if (typeof url !== "string" || url.trim() === "") return `the url of the database is missing; it is like ${EXAMPLE}`;
  if (/^\s*\w+\s*=/.test(url))
    return `the url of the database must be one, not a list of key=value; it is like ${EXAMPLE}`;
  return `the url of the database is not like ${EXAMPLE}`;
}

function assertScheme(scheme: string): void {
  // SQLAlchemy and its kin name their driver in it, as in postgresql+asyncpg.
  if (/^postgres(ql)?(\+[a-z0-9_]+)?$/i.test(scheme)) return;
  if (/^prisma/i.test(scheme)) {
    throw new StoreOpenError(
      `${scheme}:// leads to a service of Prisma's and not to a database; use the database's own url, like ${EXAMPLE}`,
    );
  }
  const shown = /^[a-z][a-z0-9+.-]{0,30}$/i.test(scheme) ? `${scheme}://` : "its scheme";
  throw new StoreOpenError(
    `the url of the database must begin with postgres://, not with ${shown}; it is like ${EXAMPLE}`,
  );
}

function credentials(text: string): readonly [string, string] {
  const colon = text.indexOf(":");
  const [user, password] = colon < 0 ? [text, ""] : [text.slice(0, colon), text.slice(colon + 1)];
  return [decoded(user), decoded(password)];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new StoreOpenError(
      "the url of the database has a % that no two hexadecimal digits follow: write % as %25 in its user, password and name",
    );
  }
}

function* parameters(query: string): Generator<readonly [name: string, value: string]> {
  for (const part of query.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const [name, value] = equals < 0 ? [part, ""] : [part.slice(0, equals), part.slice(equals + 1)];
    // Messages show a name that is not known: it must not be the rest of a password.
    if (!/^[A-Za-z][\w.-]{0,60}$/.test(name) || (value.includes("@") && !isKnownParameter(name))) {
      throw new StoreOpenError(ESCAPING);
    }
    // As in any query, + is a space; but in a name or a password it is more likely itself.
    const isLiteral = /^(user|username|password|dbname)$/.test(name);
    yield [name, decoded(isLiteral ? value : value.replaceAll("+", " "))];
  }
}

function serversOf(hosts: string, ports: string | undefined): readonly ServerAddress[] {
  const names = hosts.split(",");
  const defaults = ports?.split(",");
  if (defaults !== undefined && defaults.length > 1 && defaults.length !== names.length) {
    throw new StoreOpenError(`the url of the database has ${names.length} hosts and ${defaults.length} ports`);
  }
  return names.map((text, i) => serverOf(text.trim(), portOf(defaults?.[defaults.length > 1 ? i : 0])));
}

function serverOf(text: string, defaultPort: number): ServerAddress {
  if (text.startsWith("/")) return { folder: text, port: defaultPort };
  const {
    host = "",
    bracketed,
    port,
  } = /^(?:\[(?<bracketed>[^\]]*)\]|(?<host>[^:]*))(?::(?<port>[^:]*))?$/.exec(text)?.groups ?? refuseHost();
  const name = decoded(bracketed ?? host) || "localhost";
  const at = port === undefined || port === "" ? defaultPort : portOf(port);
  if (name.startsWith("@")) throw new StoreOpenError("sockets in Linux's abstract namespace are not supported");
  if (name.startsWith("/")) return { folder: name, port: at };
  if (/[\s/@?#%]/.test(name)) return refuseHost();
  return { host: name, port: at };
}

function refuseHost(): never {
  throw new StoreOpenError(
    "the url of the database has a host that is none: hosts are like host:5432, several are separated by commas, an IPv6 " +
      "address stands in brackets; and / ? @ # in the password are written %2F %3F %40 %23",
  );
}

function portOf(text: string | undefined): number {
  if (text === undefined || text === "") return DEFAULT_PORT;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new StoreOpenError(
    "the url of the database has a port that is no number from 1 to 65535; if it is part of the password, write / ? @ # in " +
      "that as %2F %3F %40 %23",
  );
}
