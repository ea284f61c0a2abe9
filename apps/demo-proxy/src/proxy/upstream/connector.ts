import { isIP } from "node:net";
import { buildConnector } from "undici";

export interface ConnectorOptions {
  readonly url: URL;
  /** For a connection, TLS included, in milliseconds. */
  readonly timeoutMs: number;
  /** Certificates (PEM) that an https upstream is trusted by, instead of the ones that Node brings along. */
  readonly ca?: string;
}

/**
 * Makes the connections to one upstream. Its certificate must be for the host of its URL, whatever `Host` a request carries:
 * undici itself would ask for, and check, the certificate of that.
 */
export function connectorTo({ url, timeoutMs, ca }: ConnectorOptions): buildConnector.connector {
  // HTTP/2 would put every exchange on one connection, where a slow client slows the others.
  const connect = buildConnector({ allowH2: false, timeout: timeoutMs, ...(ca !== undefined && { ca }) });
  const host = url.hostname.replace(/^\[|\]$/g, "");
  // Only names may stand in the extension that asks for a certificate (RFC 6066, section 3).
  const servername = isIP(host) === 0 ? host : "";
  return (options, callback) => connect({ ...options, servername }, callback);
}
