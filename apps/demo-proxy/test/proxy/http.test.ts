import { expect, test } from "vitest";
import { curl } from "../support/curl.ts";
import { dial, send, talk } from "./client.ts";
import { type NodeUpstream, respond, startRawUpstream, startUpstream } from "./node-upstream.ts";
import { type ProxyOptions, type RunningProxy, startProxy } from "./proxy-fixture.ts";

async function start(
  options: Partial<ProxyOptions> = {},
): Promise<{ readonly upstream: NodeUpstream; readonly proxy: RunningProxy }> {
  const upstream = await startUpstream((request, response) => {
    request.resume().on("end", () => respond(response, 200, 2));
  });
  return { upstream, proxy: await startProxy({ ...options, upstreams: { a: upstream.port } }) };
}

test.each(["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "MKCOL", "QUERY"])(
  "%s passes, with and without a body",
  async (method) => {
    const { upstream, proxy } = await start();
    expect((await send(proxy.port, "/x", { method })).status).toBe(200);
    expect((await send(proxy.port, "/x", { method, body: "hello", headers: { "content-length": 5 } })).status).toBe(
      200,
    );
    expect(upstream.requests.map((request) => request.method)).toEqual([method, method]);
    expect(proxy.usage("a")).toMatchObject({ apiRequests: 2, ingressBytes: 5 });
  },
);

test("a method that does not exist is refused", async () => {
  const { upstream, proxy } = await start();
  expect(await talk(proxy.port, "FROB / HTTP/1.1\r\nHost: x\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
  expect(upstream.requests).toEqual([]);
});

test("CONNECT is answered 501 in plain words, and the connection closed", async () => {
  const { upstream, proxy } = await start();
  const answer = await talk(proxy.port, "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n");
  expect(answer).toMatch(/^HTTP\/1\.1 501 Not Implemented\r\n/);
  expect(answer).toMatch(/content-type: application\/problem\+json/);
  expect(answer).toContain("This proxy opens no tunnels");
  expect(upstream.requests).toEqual([]);
});

test("CONNECT sent ahead of an answer is not taken for it", async () => {
  const upstream = await startRawUpstream(() => {});
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const pipelined = "GET / HTTP/1.1\r\nHost: x\r\n\r\nCONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n";
  expect(await talk(proxy.port, pipelined)).toBe("");
});

test.each([
  ["HTTP/2", "Upgrade, HTTP2-Settings", "h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"],
  ["TLS", "upgrade", "TLS/1.0, HTTP/1.1"],
  ["a WebSocket without its key", "keep-alive, Upgrade", "websocket"],
  ["several protocols", "close, Upgrade", "h2c, IRC/6.9, RTA/x11"],
  ["nothing", "Upgrade", ""],
])(
  "an offer to switch to %s is not taken: what was asked is answered, and the connection closed",
  async (...[, connection, offer]) => {
    const { upstream, proxy } = await start();
    const head = `Host: x\r\nConnection: ${connection}\r\nUpgrade: ${offer}\r\n`;
    const behind = "DELETE /behind HTTP/1.1\r\nHost: x\r\n\r\n";
    const answers = [
      await talk(proxy.port, `GET /1 HTTP/1.1\r\n${head}\r\n`),
      await talk(proxy.port, `PUT /2 HTTP/1.1\r\n${head}Content-Length: 5\r\n\r\nhello${behind}`),
      await talk(
        proxy.port,
        `PUT /3 HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${behind}`,
      ),
    ];
    for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n.*Connection: close\r\n\r\nrr$/s);
    expect(upstream.requests.map(({ url }) => url)).toEqual(["/1", "/2", "/3"]);
    for (const { headers } of upstream.requests) {
      expect(headers).not.toHaveProperty("upgrade");
      expect(headers).not.toHaveProperty("http2-settings");
      expect(headers.connection).toBe("keep-alive");
    }
    expect(proxy.usage("a")).toEqual({ apiRequests: 3, egressBytes: 6, ingressBytes: 10 });
  },
);

test("curl --http2 gets its answer by HTTP/1.1", async () => {
  const { proxy } = await start();
  const args = ["--http2", "--data", "hello", "--write-out", " %{http_code} %{http_version}"];
  const { stdout } = await curl(...args, proxy.origin, "--next", "--silent", ...args, proxy.origin);
  expect(String(stdout)).toBe("rr 200 1.1rr 200 1.1");
  expect(proxy.usage("a")).toMatchObject({ apiRequests: 2, ingressBytes: 10 });
});

test("100-continue is answered once the upstream's connection is ready", async () => {
  const { upstream, proxy } = await start();
  const client = await dial(
    proxy.port,
    "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
  );
  await client.until("HTTP/1.1 100 Continue\r\n\r\n");
  expect(proxy.usage("a").apiRequests).toBe(0);
  client.socket.write("hello");
  await client.until("HTTP/1.1 200 OK");
  client.socket.destroy();
  expect(upstream.requests[0]?.headers.expect).toBeUndefined();
  expect(proxy.usage("a")).toMatchObject({ apiRequests: 1, ingressBytes: 5 });
});

test("a refusal of an expected body comes without 100, and the connection closes", async () => {
  const upstream = await startUpstream((_request, response) => respond(response, 200, 0));
  const proxy = await startProxy({ upstreams: { a: upstream.port }, limits: { a: { ingressBytes: 4 } } });
  const answer = await talk(
    proxy.port,
    "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
  );
  expect(answer).toMatch(/^HTTP\/1\.1 429 /);
  expect(answer).toContain("Connection: close");
  expect(upstream.requests).toEqual([]);
});

test("any other expectation is answered 417", async () => {
  const { upstream, proxy } = await start();
  expect((await send(proxy.port, "/", { headers: { expect: "200-ok" } })).status).toBe(417);
  expect(upstream.requests).toEqual([]);
});

test("a refusal reaches a client that sends its whole body before it reads", async () => {
  const upstream = await startUpstream((_request, response) => respond(response, 200, 0));
  const proxy = await startProxy({ upstreams: { a: upstream.port }, limits: { a: { ingressBytes: 1 } } });
  const client = await dial(proxy.port, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
  client.socket.pause();
  for (let at = 0; at < 10; at++) {
    await new Promise((resolve) => client.socket.write(Buffer.alloc(100_000), resolve));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  client.socket.resume();
  await client.until("The next period begins");
  await client.closed;
  expect(client.text()).toMatch(/^HTTP\/1\.1 429 .*Connection: close/s);
});

test("a client that goes on uploading after its refusal is cut off", async () => {
  const upstream = await startUpstream((_request, response) => respond(response, 200, 0));
  const proxy = await startProxy({ upstreams: { a: upstream.port }, limits: { a: { ingressBytes: 1 } } });
  const client = await dial(proxy.port, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n\r\n");
  const failure = new Promise((resolve) => client.socket.write(Buffer.alloc(100_000_000), resolve));
  await client.closed;
  expect(client.text()).toMatch(/^HTTP\/1\.1 429 /);
  expect(await failure).toBeInstanceOf(Error);
});

test("pipelined requests reach the upstream one after the other, and are answered in order", async () => {
  let running = 0;
  let most = 0;
  const upstream = await startUpstream((request, response) => {
    running += 1;
    most = Math.max(most, running);
    request.resume().on("end", () => {
      setTimeout(() => {
        running -= 1;
        response.end(`answer to ${request.method} ${request.url}\n`);
      }, 5);
    });
  });
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const put = "PUT /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
  const rest = ["/2", "/3"].map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join("");
  const client = await dial(proxy.port, put + rest + put.replace("/1", "/4"));
  await client.until("answer to PUT /4");
  client.socket.destroy();
  expect(client.text().match(/answer to .*/g)).toEqual(
    ["PUT /1", "GET /2", "GET /3", "PUT /4"].map((t) => `answer to ${t}`),
  );
  expect(most).toBe(1);
  expect(proxy.usage("a")).toMatchObject({ apiRequests: 4, ingressBytes: 10 });
});

test("what was sent ahead on a connection that closes is not carried out", async () => {
  const upstream = await startUpstream(() => {});
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const client = await dial(proxy.port, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nDELETE /2 HTTP/1.1\r\nHost: x\r\n\r\n");
  await expect.poll(() => upstream.requests.length).toBe(1);
  client.socket.destroy();
  await proxy.settled();
  expect(upstream.requests).toHaveLength(1);
});

test("hop-by-hop headers do not pass to the upstream, others do, and the proxy names itself", async () => {
  const { upstream, proxy } = await start({ trustedProxies: ["127.0.0.1"] });
  const headers = [
    "Host: asked.example:81",
    "Connection: keep-alive, X-Secret",
    "X-Secret: 1",
    "Keep-Alive: timeout=5",
    "Proxy-Authorization: Basic eA==",
    "Proxy-Connection: keep-alive",
    "TE: trailers",
    "Trailer: X-Sum",
    "Upgrade: h2c",
    "X-Kept: one",
    "X-Kept: two",
    "Cookie: a=b",
    "Via: 1.0 edge",
    "X-Forwarded-For: 10.0.0.1",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: outer.example",
  ];
  const client = await dial(proxy.port, `GET / HTTP/1.1\r\n${headers.join("\r\n")}\r\n\r\n`);
  await client.until("HTTP/1.1 200");
  client.socket.destroy();
  const [request] = upstream.requests;
  expect(request?.headers).toEqual({
    host: `127.0.0.1:${upstream.port}`,
    connection: "keep-alive",
    "x-kept": "one, two",
    cookie: "a=b",
    via: `1.0 edge, 1.1 ${proxy.server.pseudonym}`,
    "x-forwarded-for": "10.0.0.1, 127.0.0.1",
    "x-forwarded-proto": "https, http",
    "x-forwarded-host": "outer.example, asked.example:81",
  });
  expect(request?.rawHeaders.filter((text) => text === "X-Kept")).toHaveLength(2);
});

test("hop-by-hop headers do not pass to the client, others do, repeated ones apart", async () => {
  const upstream = await startRawUpstream((socket) =>
    socket.write(
      "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" +
        "HTTP/1.1 200 Very Well\r\nConnection: keep-alive, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=9\r\n" +
        "Proxy-Authenticate: Basic\r\nTrailer: X-Sum\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\nVia: 1.1 origin\r\n" +
        "Set-Cookie: a=1, b\r\nSet-Cookie: c=\xe9\r\nX-Kept: yes\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
      "latin1",
    ),
  );
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const client = await dial(proxy.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const text = await client.until("\r\n0\r\n\r\n");
  client.socket.destroy();
  const [first, ...lines] = text.slice(0, text.indexOf("\r\n\r\n")).split("\r\n");
  expect(first).toBe("HTTP/1.1 200 Very Well");
  expect(lines.filter((line) => !line.startsWith("Date:"))).toEqual([
    "set-cookie: a=1, b",
    "set-cookie: c=\xe9",
    "x-kept: yes",
    "via: 1.1 origin, 1.1 usage-proxy",
    "keep-alive: timeout=65",
    "Connection: keep-alive",
    "Transfer-Encoding: chunked",
  ]);
  expect(text).not.toContain("X-Sum");
  expect(text).not.toContain("103");
});

test("the head of a response whose body takes its time is passed on at once", async () => {
  const upstream = await startUpstream((_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
  });
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const client = await dial(proxy.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await client.until("text/event-stream");
  client.socket.destroy();
});

test("a body of any bytes passes as it is, with a head of any bytes, whether they leave as one piece or not", async () => {
  const body = Buffer.from(Array.from({ length: 4_097 }, (_, at) => at % 256));
  const upstream = await startUpstream(({ url = "" }, response) => {
    const piece = body.subarray(0, Number(url.slice(1)));
    response.writeHead(200, { "content-length": piece.length, "x-name": "\xe9" }).end(piece);
  });
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  for (const length of [1, 4_096, 4_097]) {
    const answer = await talk(proxy.port, `GET /${length} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(answer).toContain("x-name: \xe9\r\n");
    expect(answer.slice(answer.indexOf("\r\n\r\n") + 4)).toBe(body.toString("latin1", 0, length));
  }
  expect(proxy.usage("a")).toMatchObject({ apiRequests: 3, egressBytes: 8_194 });
});

test("a client that speaks HTTP/1.0 gets a body that ends with its connection", async () => {
  const upstream = await startUpstream((_request, response) => {
    response.write("chunk");
    response.end("ed");
  });
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const answer = await talk(proxy.port, "GET / HTTP/1.0\r\n\r\n");
  expect(answer).toMatch(/\r\n\r\nchunked$/);
  expect(answer).not.toContain("Transfer-Encoding");
  expect(upstream.requests[0]?.headers["x-forwarded-host"]).toBeUndefined();
});

test("upstream connections are kept alive and used again", async () => {
  const { upstream, proxy } = await start();
  const sockets = new Set<unknown>();
  upstream.server.on("connection", (socket) => sockets.add(socket));
  for (let at = 0; at < 5; at++) await send(proxy.port, "/", { method: "PUT", body: "x" });
  expect(sockets.size).toBe(1);
});
