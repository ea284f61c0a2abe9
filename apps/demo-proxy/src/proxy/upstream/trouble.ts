/** Why a backend could not be used, for operators only: what clients get names neither. */
export interface Trouble {
  /** As Node, OpenSSL or undici spell it, such as `ENOTFOUND`; the error's name where it has no code. */
  readonly code: string;
  /** A clause whose subject is the backend ("it ..."), and what to do; without a capital and a full stop. */
  readonly reason: string;
}

/**
 * Says in words why an attempt at a backend failed. Whoever marks a backend as failing keeps what this returns, and the log,
 * the admin API and the dashboard show it. An error that is not known here keeps its own message.
 */
export function troubleOf(error: unknown): Trouble {
  const { code, message } = tellingPart(error);
  const reason = REASONS.get(code) ?? WORDED.find(([pattern]) => pattern.test(`${code} ${message}`))?.[1];
  return { code, reason: reason ?? (message === "" ? `it failed with ${code}` : `it failed: ${message}`) };
}

/** What to do about an error of any server that a `url` of the configuration names; undefined where only that server can tell. */
export function connectAdvice(error: unknown): string | undefined {
  const { code } = tellingPart(error);
  return NO_CONNECTION.test(code) ? REASONS.get(code) : undefined;
}

/** Whether an attempt failed since the backend closed its connection, in order or not. */
export function isClosed(error: unknown): boolean {
  return troubleOf(error).reason === ENDS;
}

const NO_CONNECTION = /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|E\w*UNREACH|EMFILE|.*CERT.*|UNABLE_TO_.*)$/;

const REFUSES = "it refuses connections; is it running, and is the port of its url right?";
const SILENT =
  "it cannot be connected to in time; check the host and port of its url, and whether a firewall is in between";
const NO_ROUTE = "no network leads to its address; check the host of its url, and the network of this machine";
const ENDS =
  "it closes the connection before its answer is complete; see its own log, and whether its url is to be https://";
const SLOW = "it does not answer in time; see its own log, and whether timeouts.headersMs is long enough for it";
const STALLS =
  "it stops sending in the middle of its answer; see its own log, and whether timeouts.idleMs is long enough";
const NO_HTTP = "it does not answer with valid HTTP; check the port of its url, and whether that is to be https://";
const NO_TLS = "it does not speak TLS on this port; check the port of its url, and whether that is to be http://";
const NO_COMMON_TLS = "it and the proxy have no TLS version or cipher in common; it needs TLS 1.2 or later";
const SELF_SIGNED =
  "nobody vouches for its certificate; name a file with the one that signed it in ca, or in NODE_EXTRA_CA_CERTS when starting the proxy";
const INCOMPLETE =
  "its certificate lacks the ones between it and a known authority; let it send the whole chain, or name a file with them in ca, or in NODE_EXTRA_CA_CERTS when starting the proxy";
const TOO_MANY_FILES = "the proxy has no file descriptors left; raise its limit of open files";

const REASONS: ReadonlyMap<string, string> = new Map([
  ["ECONNREFUSED", REFUSES],
  ["ENOTFOUND", "the host name of its url does not exist; check the spelling"],
  ["EAI_AGAIN", "the host name of its url cannot be looked up now; check the name server of this machine"],
  ["ETIMEDOUT", SILENT],
  ["UND_ERR_CONNECT_TIMEOUT", SILENT],
  ["EHOSTUNREACH", NO_ROUTE],
  ["ENETUNREACH", NO_ROUTE],
  ["EADDRNOTAVAIL", "this machine has no port left for a connection to it, or no address that could reach it"],
  ["EMFILE", TOO_MANY_FILES],
  ["ENFILE", TOO_MANY_FILES],
  ["EACCES", "this machine forbids connections to it; check its firewall"],
  ["EPERM", "this machine forbids connections to it; check its firewall"],
  ["ECONNRESET", ENDS],
  ["EPIPE", ENDS],
  ["UND_ERR_HEADERS_TIMEOUT", SLOW],
  ["UND_ERR_BODY_TIMEOUT", STALLS],
  ["UND_ERR_HEADERS_OVERFLOW", "the head of its answer is larger than the proxy takes"],
  ["UND_ERR_RES_CONTENT_LENGTH_MISMATCH", "its answer is longer or shorter than the Content-Length that it announced"],
  ["HTTPParserError", NO_HTTP],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", SELF_SIGNED],
  ["SELF_SIGNED_CERT_IN_CHAIN", SELF_SIGNED],
  ["UNABLE_TO_GET_ISSUER_CERT", INCOMPLETE],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", INCOMPLETE],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", INCOMPLETE],
  [
    "CREDENTIALS_REFUSED",
    "it does not accept the credentials of this proxy; check auth and headers.set of the backend, and the clock of this machine",
  ],
  ["CERT_HAS_EXPIRED", "its certificate has expired; renew it, and check the clock of this machine"],
  ["CERT_NOT_YET_VALID", "its certificate is not valid yet; check its dates, and the clock of this machine"],
  ["CERT_REVOKED", "its certificate was revoked; give it another one"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "its certificate is for another name than the host of its url; use that name"],
]);

/** Where a code means more than one thing, or many codes mean the same: by the code and the message. */
const WORDED: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [/^UND_ERR_SOCKET other side closed/, ENDS],
  [
    /^UND_ERR_SOCKET switched to something else/,
    "it switches to another protocol than the WebSocket that it was asked for",
  ],
  [/^UND_ERR_SOCKET (?:bad upgrade|switched protocols)/, "it switches to another protocol without being asked"],
  [/^HPE_/, NO_HTTP],
  // What OpenSSL says is in the code of an ERR_SSL_*, and in the message of an EPROTO.
  [/^E.*(?:wrong.version.number|packet.length.too.long|http.request)/i, NO_TLS],
  [/^E.*certificate.required/i, "it demands a certificate of its clients, and the proxy has none"],
  [/^E.*unrecognized.name/i, "it does not know the host name of its url; check the spelling"],
  [/^E.*(?:alert.protocol.version|unsupported.protocol|handshake.failure|no.shared.cipher)/i, NO_COMMON_TLS],
];

const LONGEST_MESSAGE = 300;
/** What says little where several addresses of one name were tried, the least of it last. */
const VAGUE = ["ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "EADDRNOTAVAIL"];

/** The code and the message of an error; of several in one, whose own message is empty, those of the one that says most. */
function tellingPart(error: unknown): { readonly code: string; readonly message: string } {
  if (!(error instanceof Error)) return { code: "unknown", message: String(error) };
  if (error instanceof AggregateError && error.errors.length > 0) {
    const parts = error.errors.map(tellingPart);
    return parts.reduce((best, part) => (VAGUE.indexOf(part.code) < VAGUE.indexOf(best.code) ? part : best));
  }
  // undici and fetch put what they were told by the system below an error of their own that has no code.
  if (!("code" in error && error.code) && error.cause instanceof Error) return tellingPart(error.cause);
  const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
  return { code, message: error.message.replace(/\s+/g, " ").trim().slice(0, LONGEST_MESSAGE) };
}
