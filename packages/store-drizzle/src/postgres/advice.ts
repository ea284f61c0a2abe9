const AGAIN = "call it again once the cause is gone: nothing is counted twice";

/** What the codes of sockets, of TLS and of the server (SQLSTATE) ask for. */
const BY_CODE: Readonly<Record<string, string>> = {
  ENOTFOUND: "see how the host's name is spelt, and whether it resolves on this machine",
  EAI_AGAIN: "the host's name cannot be resolved now: see this machine's DNS",
  ECONNREFUSED: "nothing listens there: see the host and the port, and whether the server runs",
  ENOENT: "no socket is there: see the folder and the port, and whether the server runs",
  EACCES: "this process may not use the socket: see who may",
  CONNECT_TIMEOUT: "nothing answered: see the host, the port, and any firewall in between",
  ETIMEDOUT: "nothing answered: see the host, the port, and any firewall in between",
  EHOSTUNREACH: "no route leads there: see the host and the network",
  ENETUNREACH: "no route leads there: see the host and the network",
  DEPTH_ZERO_SELF_SIGNED_CERT:
    "the server's certificate is signed by itself: give it as sslrootcert=FILE, or do with sslmode=require, which encrypts and verifies nothing",
  CERT_HAS_EXPIRED: "renew the server's certificate",
  CERT_NOT_YET_VALID: "see the clock of this machine",
  ERR_TLS_CERT_ALTNAME_INVALID:
    "the server's certificate is for another host: use the host that it names, or sslmode=verify-ca, which does not compare it",
  "08P01":
    "a pooler that refuses a setting must be told to ignore it (ignore_startup_parameters), or take the parameter out of the url",
  "25006":
    "the server is read-only, a standby or one that was primary before: give the address of the primary; the next call connects anew",
  "3D000": "create the database, or see its name in the url",
  "42704": "see the settings in the url's options",
  "42P01": "create the table with migrate(db)",
  "42501": "grant this role what the README names",
  "57P03": "the server is starting or stopping: call it again in a moment",
};

const AUTHORITIES =
  /^(SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?)$/;

/** What to do about an error of the driver. */
export function adviceFor(code = "", error?: unknown): string {
  const message = error instanceof Error ? error.message : "";
  if (/^28/.test(code) && /no (pg_hba.conf )?(entry|encryption)|SSL off/i.test(message)) {
    return "the server lets this user in only from elsewhere, or only with TLS: add sslmode=require to the url, or see its pg_hba.conf";
  }
  const known = BY_CODE[code];
  if (known !== undefined) return known;
  if (AUTHORITIES.test(code))
    return "give the certificate of the authority that signed the server's as sslrootcert=FILE";
  if (code === "ECONNRESET" && /TLS/.test(message)) {
    return "the server ended the TLS handshake: where it has no TLS, sslmode=disable, and where it has, see its log";
  }
  if (/^28|^SASL/.test(code)) return "see the user and password of the connection";
  if (code.startsWith("53")) return "the server lacks room or connections: call it again once it has them";
  return AGAIN;
}
