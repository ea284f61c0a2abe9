import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { curl } from "../support/curl.ts";
import { dial } from "./client.ts";
import { respond, startRawUpstream, startUpstream } from "./node-upstream.ts";
import { startProxy } from "./proxy-fixture.ts";

/** Reads evenly, so many bytes a second; returns how to learn how many came. */
function readAt(socket: Socket, rate: number): () => number {
  const began = Date.now();
  let received = 0;
  socket.removeAllListeners("data");
  socket.pause();
  const read = (): void => {
    const due = ((Date.now() - began) / 1_000) * rate;
    for (let part = null; received < due; received += part.length) {
      part = socket.read();
      if (part === null) return;
    }
  };
  socket.on("readable", read);
  const timer = setInterval(read, 20);
  onTestFinished(() => clearInterval(timer));
  return () => received;
}

test("a download is not cut while its client reads it slowly, though kernels show nothing of that for longer than silence may last", async () => {
  const bytes = 24_000_000;
  const upstream = await startUpstream((_request, response) => respond(response, 200, bytes));
  const proxy = await startProxy({ upstreams: { a: upstream.port }, timeouts: { idleMs: 500 } });
  const { code, stdout } = await curl("--limit-rate", "4000000", proxy.origin);
  expect({ code, received: stdout.length }).toEqual({ code: 0, received: bytes });
});

test("an upload is not cut while its upstream reads it slowly, and may be answered late", async () => {
  const bytes = 12_000_000;
  const upstream = await startRawUpstream(() => {});
  const proxy = await startProxy({ upstreams: { a: upstream.port }, timeouts: { headersMs: 500 } });
  const client = await dial(proxy.port, `PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n`);
  await expect.poll(() => upstream.connections.length).toBe(1);
  const [connection = expect.unreachable()] = upstream.connections;
  const received = readAt(connection, 3_000_000);
  client.socket.write(Buffer.alloc(bytes));
  while (received() < bytes) {
    await sleep(50);
    expect(client.text()).toBe("");
  }
  await sleep(300);
  connection.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  await client.until("ok");
  client.socket.destroy();
  expect(proxy.usage("a")).toEqual({ apiRequests: 1, egressBytes: 2, ingressBytes: bytes });
});
