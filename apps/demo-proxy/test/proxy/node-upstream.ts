import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTcpServer, type Socket, type Server as TcpServer } from "node:net";
import { onTestFinished } from "vitest";

export interface NodeUpstream {
  readonly port: number;
  readonly server: Server;
  /** The heads of all requests that came, in order. */
  readonly requests: IncomingMessage[];
}

/** An HTTP server on a free port of the loopback that ends with the test. */
export async function startUpstream(listener: RequestListener): Promise<NodeUpstream> {
  const requests: IncomingMessage[] = [];
  const server = createServer({ maxHeaderSize: 1_048_576 }, (request, response) => {
    requests.push(request);
    request.on("error", () => {});
    response.on("error", () => {});
    listener(request, response);
  });
  const port = await listening(server);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port, server, requests };
}

export interface RawUpstream {
  readonly port: number;
  /** Every byte that came, of all connections in the order of arrival, as latin1. */
  readonly received: () => string;
  readonly connections: readonly Socket[];
}

/** A TCP server that records what it gets and lets `onData` answer. */
export async function startRawUpstream(onData: (socket: Socket, text: string) => void): Promise<RawUpstream> {
  let received = "";
  const connections: Socket[] = [];
  const server = createTcpServer((socket) => {
    connections.push(socket);
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      const text = chunk.toString("latin1");
      received += text;
      onData(socket, text);
    });
  });
  const port = await listening(server);
  onTestFinished(() => {
    for (const socket of connections) socket.destroy();
    server.close();
  });
  return { port, received: () => received, connections };
}

/** A port of the loopback that refuses connections. */
export async function refusingPort(): Promise<number> {
  const server = createTcpServer();
  const port = await listening(server);
  server.close();
  await once(server, "close");
  return port;
}

/** Answers with a body of so many bytes and its length. */
export function respond(response: ServerResponse, status: number, bytes: number): void {
  response.writeHead(status, { "content-length": bytes });
  response.end(Buffer.alloc(bytes, "r"));
}

export async function listening(server: TcpServer): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no port");
  return address.port;
}
