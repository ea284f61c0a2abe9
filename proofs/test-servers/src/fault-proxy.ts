import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./free-port.ts";

export interface FaultProxyOptions {
  /** Of the server on 127.0.0.1 that it stands in front of. */
  readonly port: number;
}

export type Direction = "toServer" | "toClient";

/** A client's connection, and ours to the server. */
interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** Bytes of it were swallowed. TCP never skips any: nothing more may pass in that direction. */
  readonly lost: Set<Direction>;
}

/** Starts a proxy on a free port of 127.0.0.1. */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const proxy = new FaultProxy(options.port, await freePort());
  // Healing takes up listening.
  await proxy.heal();
  return proxy;
}

/** A TCP proxy between clients and a server, whose faults are switched while it runs. */
export class FaultProxy {
  readonly port: number;
  /** The server gets nothing of what clients send. */
  dropRequests = false;
  /** The server does what it is told, and its replies never arrive. */
  dropReplies = false;
  /** Nothing passes, also on connections that are open; it arrives late, after {@link heal}. */
  blackHole = false;
  /** How much later everything arrives, in each direction. */
  delayMs = 0;
  /** Connections that clients have made so far. */
  connections = 0;
  /** Connections that {@link cutAfter} has cut so far. */
  cuts = 0;
  /** What has passed so far. */
  bytesToServer = 0;
  bytesToClient = 0;

  #target: number;
  #server: Server | undefined;
  #cut: { readonly direction: Direction; bytes: number } | undefined;
  readonly #links = new Set<Link>();

  constructor(target: number, port: number) {
    this.#target = target;
    this.port = port;
  }

  /** The server's URL, by way of this proxy. */
  url(server: string): string {
    const url = new URL(server);
    url.hostname = "127.0.0.1";
    url.port = String(this.port);
    return url.href;
  }

  /** New connections go to another server, and the open ones are closed, as after a failover. */
  connectTo(port: number): void {
    this.#target = port;
    this.#closeLinks(() => true);
  }

  /** New connections go to another server, and the open ones stay with theirs, as when a name is made to lead elsewhere. */
  leadTo(port: number): void {
    this.#target = port;
  }

  /** Closes the next connection on which `bytes` more bytes have passed in a direction, counted over all connections. */
  cutAfter(bytes: number, direction: Direction): void {
    this.#cut = { bytes, direction };
  }

  /** Closes all connections, and refuses new ones. */
  async refuse(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#closeLinks(() => true);
    if (server === undefined) return;
    server.close();
    await once(server, "close");
  }

  /** Ends every fault. Connections of which something was swallowed are closed. */
  async heal(): Promise<void> {
    this.dropRequests = false;
    this.dropReplies = false;
    this.blackHole = false;
    this.delayMs = 0;
    this.#cut = undefined;
    this.#closeLinks(({ lost }) => lost.size > 0);
    if (this.#server !== undefined) return;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
    this.#server.listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  async close(): Promise<void> {
    await this.refuse();
  }

  #accept(client: Socket): void {
    this.connections++;
    const server = connect({ port: this.#target, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    const link: Link = { client, server, lost: new Set() };
    this.#links.add(link);
    for (const socket of [client, server]) {
      socket.on("error", () => this.#close(link));
      socket.on("close", () => this.#close(link));
    }
    this.#carry(link, "toServer", client, server);
    this.#carry(link, "toClient", server, client);
  }

  /** One thing after the other, so that a delay or a black hole keeps the order. */
  #carry(link: Link, direction: Direction, from: Socket, to: Socket): void {
    let last = Promise.resolve();
    const inTurn = (deliver: () => void): void => {
      const due = performance.now() + this.delayMs;
      last = last.then(async () => {
        while (this.#links.has(link) && (this.blackHole || performance.now() < due)) {
          await sleep(this.blackHole ? 5 : Math.max(1, due - performance.now()));
        }
        if (this.#links.has(link)) deliver();
      });
    };
    from.on("data", (chunk: Buffer) => inTurn(() => this.#pass(link, direction, to, chunk)));
    from.on("end", () => inTurn(() => to.end()));
  }

  #pass(link: Link, direction: Direction, to: Socket, chunk: Buffer): void {
    if (direction === "toServer" ? this.dropRequests : this.dropReplies) link.lost.add(direction);
    if (link.lost.has(direction)) return;
    const cut = this.#cut?.direction === direction ? this.#cut : undefined;
    const passing = chunk.subarray(0, cut?.bytes);
    if (direction === "toServer") this.bytesToServer += passing.length;
    else this.bytesToClient += passing.length;
    if (cut !== undefined) cut.bytes -= passing.length;
    if (cut?.bytes !== 0) {
      to.write(passing);
      return;
    }
    this.#cut = undefined;
    this.cuts++;
    // The other side is let go of only when the last bytes are on their way.
    this.#links.delete(link);
    to.end(passing, () => to.destroySoon());
    (to === link.client ? link.server : link.client).destroy();
  }

  #closeLinks(which: (link: Link) => boolean): void {
    for (const link of [...this.#links].filter(which)) this.#close(link);
  }

  #close(link: Link): void {
    if (!this.#links.delete(link)) return;
    link.client.destroy();
    link.server.destroy();
  }
}
