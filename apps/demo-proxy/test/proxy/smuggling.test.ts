import { expect, test } from "vitest";
import { dial, talk } from "./client.ts";
import { startRawUpstream } from "./node-upstream.ts";
import { startProxy } from "./proxy-fixture.ts";

const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

/** Requests that different readers could cut apart differently. Each is closed by `Connection: close` where it is valid. */
const ATTEMPTS: Readonly<Record<string, string>> = {
  "both lengths": `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "both lengths, the other way round": `POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "two different lengths": `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 37\r\n\r\n${SMUGGLED}`,
  "the same length twice": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
  "a list of lengths": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\nx",
  "a signed length": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello",
  "a negative length": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\nx",
  "a hexadecimal length": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\nhello",
  "an empty length": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n",
  "a length with a space in it": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1 2\r\n\r\nx",
  "a length past 2^53": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9007199254740993\r\n\r\nx",
  "a length past 2^64": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551617\r\n\r\nx",
  "a coding before chunked": `POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  "chunked twice":
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  "chunked, but not last": "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
  "a coding that only looks like chunked": "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
  "a quoted coding": 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
  "the identity coding": "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nx",
  "chunks in HTTP/1.0": "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  "a folded header": "POST / HTTP/1.1\r\nHost: x\r\nX-Note: a\r\n b\r\nConnection: close\r\n\r\n",
  "a folded Transfer-Encoding": `POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\nConnection: close\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "bare line feeds": "GET / HTTP/1.1\nHost: x\nConnection: close\n\n",
  "a bare line feed between headers": "GET / HTTP/1.1\r\nHost: x\nX-A: b\r\nConnection: close\r\n\r\n",
  "a bare line feed at the end of the head": "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\n",
  "a bare carriage return in a header": "GET / HTTP/1.1\r\nHost: x\r\nX-A: b\rX-B: c\r\nConnection: close\r\n\r\n",
  "a bare line feed after a chunk's size":
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
  "a NUL in a header": "GET / HTTP/1.1\r\nHost: x\r\nX-A: b\0c\r\nConnection: close\r\n\r\n",
  "a NUL in a header's name": "GET / HTTP/1.1\r\nHost: x\r\nX-\0A: b\r\nConnection: close\r\n\r\n",
  "a space before the colon":
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
  "a tab before the colon": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length\t: 1\r\nConnection: close\r\n\r\nx",
  "a header without a name": "GET / HTTP/1.1\r\nHost: x\r\n: b\r\nConnection: close\r\n\r\n",
  "a line that is no header": "GET / HTTP/1.1\r\nHost: x\r\nno header\r\nConnection: close\r\n\r\n",
  "white space before the first header": "GET / HTTP/1.1\r\n Host: x\r\nConnection: close\r\n\r\n",
  "a space in the target": "GET /a b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
  "no host": "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
  "two hosts": "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n",
  "another version": "GET / HTTP/1.2\r\nHost: x\r\nConnection: close\r\n\r\n",
  "HTTP/2 without being asked": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
};

test.each(Object.entries(ATTEMPTS))("%s: an error, and nothing reaches the upstream", async (_name, bytes) => {
  const upstream = await startRawUpstream((socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const answer = await talk(proxy.port, bytes);
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(answer.split("HTTP/1.1 ")).toHaveLength(2);
  expect(upstream.received()).toBe("");
  expect(proxy.usage("a").apiRequests).toBe(0);
});

test("what looks like a second request within a body stays body", async () => {
  const upstream = await startRawUpstream((socket, text) => {
    if (text.includes("smuggled")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  });
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const declared = `POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`;
  const size = SMUGGLED.length.toString(16);
  const chunked = `POST /second HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${size};ext=1\r\n${SMUGGLED}\r\n0\r\nX-Trailer: 1\r\n\r\n`;
  const client = await dial(proxy.port, declared + chunked);
  await client.until("HTTP/1.1 200", 2);
  client.socket.destroy();
  expect(proxy.usage("a")).toEqual({ apiRequests: 2, egressBytes: 0, ingressBytes: 2 * SMUGGLED.length });
  const received = upstream.received();
  expect(received).toContain(`content-length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`);
  expect(received).toContain(`transfer-encoding: chunked\r\n\r\n${size}\r\n${SMUGGLED}\r\n0\r\n\r\n`);
  expect(received.toLowerCase()).not.toContain("x-trailer");
});

test("a body that is not what its framing says breaks off, and what follows is not read as a request", async () => {
  const upstream = await startRawUpstream(() => {});
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const broken = `POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n${SMUGGLED}`;
  await talk(proxy.port, broken);
  await proxy.settled();
  expect(upstream.received()).not.toContain("smuggled");
  expect(proxy.usage("a").ingressBytes).toBeLessThanOrEqual(5);
});

test("more headers than node counts by default do not hide the length of a body", async () => {
  const upstream = await startRawUpstream((socket, text) => {
    if (text.includes("hello")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  });
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const many = "a:\r\n".repeat(3_000);
  const client = await dial(proxy.port, `POST / HTTP/1.1\r\nHost: x\r\n${many}Content-Length: 5\r\n\r\nhello`);
  await client.until("HTTP/1.1 200");
  client.socket.destroy();
  expect(upstream.received()).toContain("content-length: 5\r\n");
  expect(proxy.usage("a").ingressBytes).toBe(5);
});
