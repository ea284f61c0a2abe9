import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { type ClientOptions, WebSocket } from "ws";
import { FakeClock } from "../support/fake-clock.ts";
import { dial } from "./client.ts";
import { CERT } from "./localhost-certificate.ts";
import { startRawUpstream, startUpstream } from "./node-upstream.ts";
import { startProxy } from "./proxy-fixture.ts";
import { startWebSockets } from "./websocket-upstream.ts";

const HEAD = "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
const KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
const OPEN = `${HEAD}${KEY}\r\n`;
/** What RFC 6455 has for that key. */
const OPENED =
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

interface Client {
  readonly ws: WebSocket;
  /** Of which code and reason it was closed, once it is. */
  readonly closed: Promise<string>;
  next(): Promise<Buffer>;
}

/** An open WebSocket to the proxy. */
async function open(port: number, options: ClientOptions = {}): Promise<Client> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}/chat?room=1`, options);
  onTestFinished(() => ws.terminate());
  const came: Buffer[] = [];
  ws.on("message", (data: Buffer) => {
    came.push(data);
    ws.emit("came");
  });
  ws.on("error", () => {});
  const closed = once(ws, "close").then(([code, reason]) => `${code} ${reason}`);
  await once(ws, "open");
  return {
    ws,
    closed,
    async next() {
      for (;;) {
        const message = came.shift();
        if (message !== undefined) return message;
        await once(ws, "came");
      }
    },
  };
}

const messages = [0, 1, 125, 126, 65_535, 65_536, 300_000].map((bytes) => Buffer.alloc(bytes, "m"));

test.each([
  ["as they are", {}, {}],
  ["compressed", { perMessageDeflate: { threshold: 0 } }, { perMessageDeflate: { threshold: 0 } }],
])(
  "messages of any length pass both ways %s, and count to the byte as the upstream's socket has them",
  async (_, server, client) => {
    const upstream = await startWebSockets(server);
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    const one = await open(proxy.port, client);
    for (const message of messages) {
      one.ws.send(message);
      expect((await one.next()).equals(message)).toBe(true);
    }
    const large = Buffer.from(Array.from({ length: 1_048_576 }, (_, at) => (at * 2_654_435_761) >>> 24));
    one.ws.send(large);
    expect((await one.next()).equals(large)).toBe(true);
    one.ws.ping("are you there");
    await once(one.ws, "pong");
    one.ws.send("text");
    expect(String(await one.next())).toBe("text");
    expect(one.ws.extensions).toBe("perMessageDeflate" in server ? "permessage-deflate" : "");
    expect(proxy.server.inFlight).toBe(1);
    one.ws.close(4321, "enough");
    expect(await one.closed).toBe("4321 enough");
    await proxy.settled();
    expect(upstream.closed).toEqual(["4321 enough"]);
    const traffic = upstream.traffic();
    expect(proxy.usage("a")).toEqual({ apiRequests: 1, ...traffic });
    expect(proxy.upstream("a").traffic.upgraded).toBe(1);
  },
);

test("what opens a WebSocket reaches the upstream as it must, and the answer the client, over TLS as well", async () => {
  const upstream = await startWebSockets({ handleProtocols: () => "v2" }, true);
  const proxy = await startProxy({ upstreams: { a: `https://localhost:${upstream.port}/base` }, ca: CERT });
  const client = await dial(
    proxy.port,
    `${HEAD}Origin: https://app.example\r\nSec-WebSocket-Protocol: v1, v2\r\n${KEY}\r\n`,
  );
  const answer = (await client.until("\r\n\r\n")).toLowerCase();
  expect(answer).toContain("http/1.1 101 switching protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n");
  expect(answer).toContain("\r\nsec-websocket-accept: s3ppl" + "mbitxaq9kygzzhzrbk+xoo=\r\n");
  expect(answer).toContain("\r\nsec-websocket-protocol: v2\r\n");
  expect(answer).toMatch(/\r\nvia: 1.1 usage-proxy\r\n/);
  const [{ url, rawHeaders } = expect.unreachable()] = upstream.requests;
  const headers = rawHeaders.map((one) => one.toLowerCase());
  const values = (name: string) => headers.filter((_, at) => at % 2 === 1 && headers[at - 1] === name);
  expect(url).toBe("/base/chat");
  expect(["connection", "upgrade", "origin", "sec-websocket-protocol", "host"].map(values)).toEqual([
    ["upgrade"],
    ["websocket"],
    ["https://app.example"],
    ["v1, v2"],
    [`localhost:${upstream.port}`],
  ]);
  client.socket.destroy();
  await proxy.settled();
});

test.each([401, 426, 200, 503])(
  "an answer of %i in place of a WebSocket is the client's, body and all",
  async (status) => {
    const upstream = await startUpstream((_request, response) => {
      response
        .writeHead(status, { "www-authenticate": "Bearer", "content-length": 100_000 })
        .end(Buffer.alloc(100_000, "x"));
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    const ws = new WebSocket(`ws://127.0.0.1:${proxy.port}/`);
    ws.on("error", () => {});
    const [, response] = await once(ws, "unexpected-response");
    let bytes = 0;
    for await (const part of response) bytes += part.length;
    expect([response.statusCode, response.headers["www-authenticate"], response.headers.connection, bytes]).toEqual([
      status,
      "Bearer",
      "close",
      100_000,
    ]);
    await proxy.settled();
    expect(proxy.usage("a")).toEqual({ apiRequests: 1, egressBytes: 100_000, ingressBytes: 0 });
  },
);

test("a refusal of the proxy's own is an answer as to any request", async () => {
  const upstream = await startWebSockets();
  const proxy = await startProxy({ upstreams: { a: upstream.port }, limits: { a: { apiRequests: 0 } } });
  const client = await dial(proxy.port, OPEN);
  await client.closed;
  expect(client.text()).toMatch(/^HTTP\/1.1 429 .*"reason":"limit"/s);
  expect(upstream.requests).toEqual([]);
});

test.each([
  ["h2c", `${HEAD.replace("websocket", "h2c")}HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n`, 200],
  ["another protocol beside the key of a WebSocket", `${HEAD.replace("websocket", "tls/1.0")}${KEY}\r\n`, 200],
  ["a WebSocket by POST", OPEN.replace("GET", "POST"), 501],
  ["a WebSocket with a body", `${HEAD}${KEY}Content-Length: 31\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r`, 501],
  [
    "a WebSocket with chunks",
    `${HEAD}${KEY}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n`,
    501,
  ],
  ["a WebSocket by HTTP/1.0", OPEN.replace("HTTP/1.1", "HTTP/1.0"), 501],
  ["a WebSocket that waits for 100", `${HEAD}${KEY}Expect: 100-continue\r\n\r\n`, 501],
])("%s opens nothing, and nothing behind it is sent", async (_, head, status) => {
  const upstream = await startRawUpstream((socket, text) => {
    if (text.includes("\r\n\r\n")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  });
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const client = await dial(proxy.port, head);
  await client.closed;
  expect(client.text()).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(upstream.received().toLowerCase()).not.toMatch(/upgrade|h2c|smuggled|tls\/1.0/);
  await proxy.settled();
});

test("what a client sends ahead of the answer reaches a backend that opens the WebSocket, and no other one", async () => {
  const frame = "\x81\x85\x00\x00\x00\x00hello";
  let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
  const upstream = await startRawUpstream((socket, text) => {
    if (text.startsWith("GET /chat")) setTimeout(() => socket.write(answer), 50);
  });
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const refused = await dial(proxy.port, `${OPEN}GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n`);
  await refused.closed;
  expect(refused.text()).toMatch(/^HTTP\/1.1 403 /);
  expect(upstream.received()).not.toContain("smuggled");
  expect(refused.text().split("HTTP/1.1")).toHaveLength(2);
  answer = OPENED;
  const opened = await dial(proxy.port, OPEN + frame);
  await expect.poll(upstream.received).toContain(frame);
  opened.socket.destroy();
  await proxy.settled();
  expect(proxy.usage("a")).toEqual({ apiRequests: 2, egressBytes: 0, ingressBytes: frame.length });
  // An answer that is still due comes first: nothing is opened behind it.
  const behind = await dial(proxy.port, `GET /one HTTP/1.1\r\nHost: x\r\n\r\n${OPEN}`);
  upstream.connections.at(-1)?.destroy();
  await expect.poll(upstream.received).toContain("GET /one");
  upstream.connections.at(-1)?.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  await behind.closed;
  expect(behind.text()).toMatch(/^HTTP\/1.1 200 .*HTTP\/1.1 501 /s);
});

test.each([
  ["of another key", OPENED.replace("s3p", "s4p")],
  ["of another protocol", OPENED.replace("Upgrade: websocket", "Upgrade: h2c")],
  ["without a key", OPENED.replace(/Sec-WebSocket-Accept.*\r\n/, "")],
])("101 %s opens nothing: the client gets 502", async (_, answer) => {
  const upstream = await startRawUpstream((socket) => void socket.write(answer));
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const client = await dial(proxy.port, `${OPEN}GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n`);
  await client.until("\r\n\r\n");
  expect(client.text()).toMatch(/^HTTP\/1.1 502 /);
  await proxy.settled();
  expect(upstream.received()).not.toContain("smuggled");
  expect(proxy.upstream("a").traffic.brokenBy?.reason).toMatch(/another protocol/);
});

test("a client that vanishes takes the backend's connection with it, and a backend the client's", async () => {
  const upstream = await startWebSockets();
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const one = await open(proxy.port);
  one.ws.send("hello");
  await one.next();
  one.ws.terminate();
  await proxy.settled();
  await expect.poll(() => upstream.closed).toEqual(["1006 "]);
  const two = await open(proxy.port);
  upstream.sockets[1]?.resetAndDestroy();
  expect(await two.closed).toBe("1006 ");
  await proxy.settled();
  expect(proxy.upstream("a").traffic.brokenBy?.code).toBe("ECONNRESET");
  expect(proxy.usage("a")).toEqual({ apiRequests: 2, ...upstream.traffic() });
});

test("nobody is sent more than it reads, either way, and all of it arrives", async () => {
  const upstream = await startWebSockets();
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const one = await open(proxy.port, { perMessageDeflate: false });
  const message = Buffer.alloc(4_000_000);
  // What one side does not read, the other side's socket keeps.
  for (const [reader, writer, dimension] of [
    [one.ws, upstream.opened[0], "egressBytes"],
    [upstream.opened[0], one.ws, "ingressBytes"],
  ] as const) {
    if (reader === undefined || writer === undefined) return expect.unreachable();
    reader.removeAllListeners("message");
    let bytes = 0;
    reader.on("message", (data: Buffer) => {
      bytes += data.length;
    });
    reader.pause();
    for (let i = 0; i < 10; i++) writer.send(message);
    let before = -1;
    const rests = (): boolean => {
      const now = proxy.usage("a")[dimension];
      const same = now === before && now > 0;
      before = now;
      return same;
    };
    await expect.poll(rests, { interval: 200 }).toBe(true);
    expect(before).toBeLessThan(30_000_000);
    reader.resume();
    await expect.poll(() => bytes, { timeout: 10_000 }).toBe(40_000_000);
  }
  one.ws.close();
  await one.closed;
  await proxy.settled();
  expect(proxy.usage("a")).toEqual({ apiRequests: 1, ...upstream.traffic() });
});

test("within exact limits a WebSocket passes what there is room for, and is closed with 1008 on that: both sides get never more", async () => {
  const upstream = await startWebSockets({ perMessageDeflate: false });
  const limits = { a: { egressBytes: 1_000 }, b: { ingressBytes: 1_000 } };
  const proxy = await startProxy({ upstreams: { a: upstream.port, b: upstream.port }, limits, exact: { waitMs: 0 } });
  const message = Buffer.alloc(298);
  const one = await open(proxy.port);
  for (let i = 0; i < 3; i++) {
    one.ws.send(message);
    await one.next();
  }
  one.ws.send(message);
  expect(await one.closed).toBe("1008 the limit of egress is used up");
  await proxy.settled();
  await expect.poll(() => upstream.closed).toEqual(["1001 the limit of egress is used up"]);
  // What the backend had sent is counted, whoever got it.
  const { egressBytes } = upstream.traffic();
  expect(proxy.usage("a").egressBytes).toBe(egressBytes);
  expect(proxy.upstream("a").traffic.cuts[1]).toBe(1);
  const two = await open(proxy.port);
  for (let i = 0; i < 3; i++) {
    two.ws.send(message);
    await two.next();
  }
  two.ws.send(message);
  expect(await two.closed).toBe("1008 the limit of ingress is used up");
  await proxy.settled();
  expect(proxy.usage("b").ingressBytes).toBe(3 * (8 + message.length));
});

test("a limit that is reached elsewhere closes a WebSocket that is open, where limits may be passed", async () => {
  const clock = new FakeClock(Date.now());
  const upstream = await startWebSockets();
  const proxy = await startProxy({ upstreams: { a: upstream.port }, limits: { a: { egressBytes: 5_000 } }, clock });
  const one = await open(proxy.port);
  one.ws.send("hello");
  await one.next();
  clock.advance(1_000);
  expect(one.ws.readyState).toBe(WebSocket.OPEN);
  proxy.tracker.record("a", { egressBytes: 5_000 });
  clock.advance(1_000);
  expect(await one.closed).toBe("1008 the limit of egress is used up");
  await proxy.settled();
});

test("a WebSocket whose backend drains is closed with 1001 once the grace is over, on both sides, and its backend is free", async () => {
  const clock = new FakeClock(Date.now());
  const upstream = await startWebSockets();
  const proxy = await startProxy({ upstreams: { a: upstream.port, b: upstream.port }, clock });
  proxy.server.drainGraceMs = 5_000;
  const one = await open(proxy.port);
  const silent = await dial(proxy.port, OPEN);
  await silent.until("\r\n\r\n");
  const drained = proxy.upstream("a");
  const look = (times: number): void => {
    for (let i = 0; i < times; i++) clock.advance(1_000);
  };
  drained.draining = true;
  look(4);
  // Resumed meanwhile: the grace begins anew.
  drained.draining = false;
  look(1);
  drained.draining = true;
  look(5);
  const other = await open(proxy.port);
  one.ws.send("still open");
  expect(String(await one.next())).toBe("still open");
  look(1);
  let closed = "";
  void one.closed.then((how) => {
    closed = how;
  });
  await expect.poll(() => closed, { timeout: 10_000 }).toBe("1001 what serves it is taken out of use");
  await expect.poll(() => upstream.closed).toContain("1001 what serves it is taken out of use");
  // Who does not close what was closed is waited for no longer.
  look(3);
  await silent.closed;
  await expect.poll(() => drained.inFlight).toBe(0);
  other.ws.send("open");
  expect(String(await other.next())).toBe("open");
  other.ws.terminate();
  await proxy.settled();
});

test("when the proxy shuts down both sides are told so with 1001, where their frames end, and nobody waits for the grace", async () => {
  const clock = new FakeClock(Date.now());
  const upstream = await startWebSockets();
  const proxy = await startProxy({ upstreams: { a: upstream.port }, clock });
  const one = await open(proxy.port);
  const raw = await dial(proxy.port, OPEN);
  await raw.until("\r\n\r\n");
  // In the middle of a frame of the client's.
  raw.socket.write("\x81\x85\x00\x00\x00\x00he", "latin1");
  await expect.poll(() => proxy.usage("a").ingressBytes).toBe(8);
  const closing = proxy.server.close({ graceMs: 60_000 });
  try {
    await expect.poll(() => one.ws.readyState, { timeout: 5_000 }).toBe(WebSocket.CLOSED);
    expect(await one.closed).toBe("1001 this proxy is shutting down");
    await expect.poll(() => upstream.closed).toEqual(["1001 this proxy is shutting down"]);
    expect(raw.text().endsWith("\x88\x1d\x03\xe9this proxy is shutting down")).toBe(true);
    raw.socket.write("llo\x81\x85\x00\x00\x00\x00never", "latin1");
    await expect
      .poll(() => upstream.closed)
      .toEqual(["1001 this proxy is shutting down", "1001 this proxy is shutting down"]);
    raw.socket.end();
    expect(await closing).toEqual({ cut: 0 });
  } finally {
    // Else the end of a test that fails would wait for the grace.
    clock.advance(60_000);
    await closing;
  }
  await proxy.settled();
});

test("a WebSocket through which nothing passes for too long is closed with 1001, and a ping is something", async () => {
  const clock = new FakeClock(Date.now());
  const upstream = await startWebSockets();
  const proxy = await startProxy({ upstreams: { a: upstream.port }, clock, timeouts: { idleMs: 60_000 } });
  const one = await open(proxy.port);
  for (let i = 0; i < 8; i++) {
    one.ws.ping();
    await once(one.ws, "pong");
    for (let look = 0; look < 3; look++) clock.advance(15_000);
  }
  expect(one.ws.readyState).toBe(WebSocket.OPEN);
  for (let look = 0; look < 6; look++) clock.advance(15_000);
  expect(await one.closed).toBe("1001 nothing was sent for too long");
  await proxy.settled();
});

test("what passes through a WebSocket in a later month than that of its opening counts in that", async () => {
  const clock = new FakeClock(Date.UTC(2026, 10, 30, 23, 59, 50));
  const upstream = await startWebSockets();
  const proxy = await startProxy({ upstreams: { a: upstream.port }, clock, counterClock: clock });
  const one = await open(proxy.port, { perMessageDeflate: false });
  one.ws.send("hello");
  await one.next();
  expect(proxy.usage("a")).toEqual({ apiRequests: 1, egressBytes: 7, ingressBytes: 11 });
  clock.advance(11_000);
  expect(proxy.usage("a")).toEqual({ apiRequests: 0, egressBytes: 0, ingressBytes: 0 });
  one.ws.send("hello");
  await one.next();
  expect(proxy.usage("a")).toEqual({ apiRequests: 0, egressBytes: 7, ingressBytes: 11 });
});

test("a client that reads nothing more is cut, while what it sends goes on to pass", async () => {
  const upstream = await startWebSockets({ perMessageDeflate: false });
  const proxy = await startProxy({ upstreams: { a: upstream.port }, timeouts: { idleMs: 200 } });
  const one = await open(proxy.port, { perMessageDeflate: false });
  one.ws.pause();
  upstream.opened[0]?.send(Buffer.alloc(30_000_000));
  const timer = setInterval(() => one.ws.ping(), 20);
  onTestFinished(() => clearInterval(timer));
  await expect.poll(() => upstream.closed, { timeout: 15_000 }).toEqual(["1006 "]);
  await proxy.settled();
  expect(proxy.usage("a").egressBytes).toBeLessThan(30_000_000);
});

test("a side that only ends its own direction may be answered, and what has no Close is passed on as it is", async () => {
  const upstream = await startRawUpstream((socket, text) => {
    if (text.startsWith("GET ")) socket.write(OPENED);
    else socket.end("\x81\x03bye", "latin1");
  });
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const client = await dial(proxy.port, OPEN);
  await client.until("\r\n\r\n");
  client.socket.end("\x81\x80\x00\x00\x00\x00", "latin1");
  await client.closed;
  expect(client.text().endsWith("\r\n\r\n\x81\x03bye")).toBe(true);
  await proxy.settled();
  expect(proxy.usage("a")).toEqual({ apiRequests: 1, egressBytes: 5, ingressBytes: 6 });
});

test("who closes nothing when the proxy shuts down is cut with the grace", async () => {
  const clock = new FakeClock(Date.now());
  const upstream = await startRawUpstream((socket, text) => {
    if (text.startsWith("GET ")) socket.write(OPENED);
  });
  const proxy = await startProxy({ upstreams: { a: upstream.port }, clock });
  const client = await dial(proxy.port, OPEN);
  await client.until("\r\n\r\n");
  // A frame that never ends.
  client.socket.write("\x81\x85\x00\x00\x00\x00he", "latin1");
  await expect.poll(() => proxy.usage("a").ingressBytes).toBe(8);
  const closing = proxy.server.close({ graceMs: 1_000 });
  await client.until("shutting down");
  clock.advance(1_000);
  expect(await closing).toEqual({ cut: 1 });
  await proxy.settled();
});
