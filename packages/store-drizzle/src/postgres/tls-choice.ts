import { readFileSync } from "node:fs";
import { type ConnectionOptions, checkServerIdentity, type PeerCertificate } from "node:tls";
import { driverError, StoreOpenError } from "../errors.ts";

/** What a connection string says of TLS, by libpq's names. */
export interface TlsParameters {
  mode?: SslMode;
  /** Which parameter said so. */
  modeBy?: string;
  channelBinding?: string;
  rootCertificate?: string;
  certificate?: string;
  key?: string;
  passphrase?: string;
  revoked?: string;
  minVersion?: string;
  maxVersion?: string;
  direct?: boolean;
}

export type SslMode = "disable" | "prefer" | "require" | "verify-ca" | "verify-full";

/** As postgres.js takes it: no TLS, TLS where the server has it, or TLS as `options` say. */
export type TlsChoice = false | "prefer" | { readonly options: ConnectionOptions; readonly direct: boolean };

/** @throws StoreOpenError when a file cannot be read, or what is asked for contradicts itself. */
export function tlsChoice(given: TlsParameters, hosts: readonly string[]): TlsChoice {
  const mode = modeOf(given);
  if (mode === "disable") return false;
  if (mode === "prefer") return "prefer";
  const verifies = mode === "verify-ca" || mode === "verify-full";
  const { rootCertificate, certificate, key, passphrase, revoked, minVersion, maxVersion, direct = false } = given;
  if ((certificate === undefined) !== (key === undefined)) {
    throw new StoreOpenError(
      "sslcert and sslkey, the client's certificate and its key, go together; the certificate that signs the server's is sslrootcert",
    );
  }
  const ownFiles = {
    ca: rootCertificate === "system" ? undefined : rootCertificate,
    cert: certificate,
    key,
    crl: revoked,
  };
  const files = Object.entries(ownFiles).flatMap(([option, path]) =>
    path === undefined ? [] : [[option, fileOf(PARAMETERS[option as keyof typeof PARAMETERS], path)] as const],
  );
  const options: ConnectionOptions = {
    ...Object.fromEntries(files),
    ...(passphrase !== undefined && { passphrase }),
    ...(minVersion !== undefined && { minVersion: versionOf(minVersion) }),
    ...(maxVersion !== undefined && { maxVersion: versionOf(maxVersion) }),
    rejectUnauthorized: verifies,
    ...(mode === "verify-ca" && { checkServerIdentity: () => undefined }),
    ...(mode === "verify-full" && { checkServerIdentity: identityOneOf(hosts) }),
  };
  return { options, direct };
}

const PARAMETERS = { ca: "sslrootcert", cert: "sslcert", key: "sslkey", crl: "sslcrl" } as const;

function modeOf({ mode, modeBy, channelBinding, rootCertificate, direct }: TlsParameters): SslMode {
  const isWeak = mode === "disable" || mode === "prefer";
  if (channelBinding === "require") {
    if (isWeak) throw new StoreOpenError(`channel_binding=require needs TLS, and ${modeBy} allows to do without`);
    // The driver cannot bind. What binding is for, that nobody stands in between, a verified certificate shows as well.
    return "verify-full";
  }
  if (direct && (mode === undefined || isWeak)) {
    throw new StoreOpenError("sslnegotiation=direct needs sslmode=require, verify-ca or verify-full");
  }
  if (rootCertificate === undefined) return mode ?? "disable";
  if (rootCertificate === "system") {
    if (mode === undefined || mode === "verify-full") return "verify-full";
    throw new StoreOpenError(
      "sslrootcert=system needs sslmode=verify-full: anybody can have a certificate of some public authority",
    );
  }
  // As libpq does: who names the authority wants it to be checked.
  return mode === undefined ? "verify-full" : mode === "require" ? "verify-ca" : mode;
}

/**
 * The driver checks the certificate of an IP address against the name `localhost`. Each of the hosts is meant, so a
 * certificate for any of them is right.
 */
function identityOneOf(hosts: readonly string[]) {
  return (name: string, certificate: PeerCertificate): Error | undefined => {
    const problems = hosts.map((host) => checkServerIdentity(host, certificate));
    return problems.length === 0
      ? checkServerIdentity(name, certificate)
      : problems.includes(undefined)
        ? undefined
        : problems[0];
  };
}

function fileOf(parameter: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const { code } = driverError(cause);
    throw new StoreOpenError(
      `the file of ${parameter} cannot be read${code === undefined ? "" : ` (${code})`}: ${path}`,
      code,
      { cause },
    );
  }
}

function versionOf(text: string): "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3" {
  if (text === "TLSv1" || text === "TLSv1.1" || text === "TLSv1.2" || text === "TLSv1.3") return text;
  throw new StoreOpenError(
    "ssl_min_protocol_version and ssl_max_protocol_version are TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3",
  );
}
