import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { dial } from "./client.ts";
import { startRawUpstream } from "./node-upstream.ts";
import { startProxy } from "./proxy-fixture.ts";

const GET = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/** What the other side's kernel has acknowledged of what was written to a connection over the loopback, in bytes. */
async function acknowledged(socket: Socket): Promise<number> {
  const address = (port = 0): string => `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const row = `${address(socket.localPort)} ${address(socket.remotePort)} `;
  const table = await readFile("/proc/net/tcp", "latin1");
  const [, , , queues = ""] = table.slice(table.indexOf(row)).split(" ");
  const unacknowledged = Number.parseInt(queues.split(":")[0] ?? "", 16);
  return socket.bytesWritten - socket.writableLength - unacknowledged;
}

/** Resolves with an amount once it has begun to grow and then did not for a while. */
async function still(amount: () => Promise<number>): Promise<number> {
  for (let before = 0; ; await sleep(300)) {
    const now = await amount();
    if (now > 0 && now === before) return now;
    before = now;
  }
}

interface Framing {
  readonly header: string;
  readonly frame: (content: Buffer) => Buffer;
}

const KNOWN: Framing = { header: `Content-Length: ${2 ** 40}`, frame: (content) => content };
const CHUNKED: Framing = {
  header: "Transfer-Encoding: chunked",
  frame: (content) => Buffer.concat([Buffer.from(`${content.length.toString(16)}\r\n`), content, Buffer.from("\r\n")]),
};

/** A proxy whose only client reads nothing of an endless response, once no more comes of that. */
async function startStuck({ header, frame }: Framing) {
  const content = Buffer.alloc(50_000, "x");
  const part = frame(content);
  const head = `HTTP/1.1 200 OK\r\n${header}\r\n\r\n`;
  const upstream = await startRawUpstream((socket) => {
    const more = (): void => {
      while (socket.write(part));
    };
    socket.write(head);
    socket.on("drain", more);
    more();
  });
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const client = await dial(proxy.port);
  client.socket.pause();
  client.socket.write(GET);
  await expect.poll(() => upstream.connections.length).toBe(1);
  const [connection = expect.unreachable()] = upstream.connections;
  // Of a part that came only to some of it, the frame is taken for content.
  const contentOf = (bytes: number): number => Math.floor(((bytes - head.length) / part.length) * content.length);
  const came = contentOf(await still(() => acknowledged(connection))) - (part.length - content.length);
  return { proxy, client, came, written: () => contentOf(connection.bytesWritten) };
}

test.each([
  ["of known length", KNOWN],
  ["in chunks", CHUNKED],
])(
  "a client that reads nothing and goes away is charged what had come from the upstream, %s",
  async (_name, framing) => {
    const { proxy, client, came, written } = await startStuck(framing);
    expect(proxy.usage("a").egressBytes).toBeLessThan(came);
    client.socket.destroy();
    await proxy.settled();
    expect(proxy.usage("a").egressBytes).toBeGreaterThanOrEqual(came);
    expect(proxy.usage("a").egressBytes).toBeLessThanOrEqual(written());
  },
);

test("what had come for a request that is cut at the end is counted before the last flush", async () => {
  const { proxy, came } = await startStuck(KNOWN);
  expect(await proxy.server.close({ graceMs: 0 })).toEqual({ cut: 1 });
  expect(proxy.usage("a").egressBytes).toBeGreaterThanOrEqual(came);
});
