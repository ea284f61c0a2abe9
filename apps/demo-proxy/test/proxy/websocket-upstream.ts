import { createServer, type IncomingMessage } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import { onTestFinished } from "vitest";
import { type ServerOptions, type WebSocket, WebSocketServer } from "ws";
import { CERT, KEY } from "./localhost-certificate.ts";
import { listening } from "./node-upstream.ts";

/** What came through one WebSocket and what was sent through it, in bytes, as the upstream's own socket has it. */
export interface Traffic {
  readonly ingressBytes: number;
  readonly egressBytes: number;
}

export interface WebSocketUpstream {
  readonly port: number;
  /** Those that were opened, in order. */
  readonly opened: readonly WebSocket[];
  readonly sockets: readonly Socket[];
  /** How they were closed, in order. */
  readonly closed: readonly string[];
  readonly requests: readonly IncomingMessage[];
  /** Of all that were opened. */
  traffic(): Traffic;
}

/** A server of `ws` on a free port of the loopback, which sends back whatever it gets. */
export async function startWebSockets(options: ServerOptions = {}, tls = false): Promise<WebSocketUpstream> {
  const server = tls ? createTlsServer({ cert: CERT, key: KEY }) : createServer();
  const wss = new WebSocketServer({ noServer: true, ...options });
  const [opened, sockets, closed, requests]: [WebSocket[], Socket[], string[], IncomingMessage[]] = [[], [], [], []];
  const counts: (() => Traffic)[] = [];
  server.on("upgrade", (request, duplex, head) => {
    const socket = request.socket as Socket;
    requests.push(request);
    sockets.push(socket);
    const [read, written] = [socket.bytesRead - head.length, socket.bytesWritten];
    let headLength = 0;
    wss.once("headers", (lines) => {
      headLength = [...lines, "\r\n"].join("\r\n").length;
    });
    counts.push(() => ({
      ingressBytes: socket.bytesRead - read,
      egressBytes: socket.bytesWritten - written - headLength,
    }));
    wss.handleUpgrade(request, duplex, head, (one) => {
      opened.push(one);
      one.on("error", () => {});
      one.on("message", (data, isBinary) => one.send(data, { binary: isBinary }));
      one.on("close", (code, reason) => closed.push(`${code} ${reason}`));
    });
  });
  const port = await listening(server);
  onTestFinished(() => {
    for (const one of opened) one.terminate();
    server.closeAllConnections();
    server.close();
  });
  const traffic = (): Traffic => {
    const all = counts.map((count) => count());
    return {
      ingressBytes: all.reduce((sum, { ingressBytes }) => sum + ingressBytes, 0),
      egressBytes: all.reduce((sum, { egressBytes }) => sum + egressBytes, 0),
    };
  };
  return { port, opened, sockets, closed, requests, traffic };
}
