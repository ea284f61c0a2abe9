import { createServer, type Server, type ServerOptions } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { SecureContextOptions } from "node:tls";
import type { TlsConfig } from "./config/proxy-config.ts";

export interface ListenerOptions extends ServerOptions {
  /** What clients are shown; absent: they speak plain HTTP. */
  readonly tls?: TlsConfig | undefined;
  /** How long a client may take to agree on TLS, in milliseconds. */
  readonly handshakeMs: number;
}

/** A server of HTTP/1.1, over TLS 1.2 or later where there is a certificate. */
export function createListener({ tls, handshakeMs, ...options }: ListenerOptions): Server {
  if (tls === undefined) return createServer(options);
  return createTlsServer({
    ...options,
    ...shown(tls),
    // HTTP/2 would put all exchanges of a client on one connection.
    ALPNProtocols: ["http/1.1"],
    handshakeTimeout: handshakeMs,
  });
}

/** Shows clients that connect from now on another certificate. Of a listener without TLS nothing changes. */
export function showCertificate(server: Server, tls: TlsConfig): void {
  if ("setSecureContext" in server && typeof server.setSecureContext === "function") {
    // fault: goes on showing the certificate of before
    server.setSecureContext(shown(tls));
  }
}

function shown({ cert, key }: TlsConfig): SecureContextOptions {
  return { cert: cert.pem, key: key.reveal(), minVersion: "TLSv1.2" };
}
