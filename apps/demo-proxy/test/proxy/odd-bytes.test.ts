import { STATUS_CODES } from "node:http";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { talk } from "./client.ts";
import { startRawUpstream } from "./node-upstream.ts";
import { startProxy } from "./proxy-fixture.ts";
import { parseResponse } from "./valid-http.ts";

const GET = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const RUNS = { seed: 2026, numRuns: 600 };

/** Text whose characters are bytes, of those that a field may have (RFC 9110, section 5.5). */
const fieldByte = fc
  .oneof(
    { weight: 3, arbitrary: fc.integer({ min: 0x20, max: 0x7e }) },
    { weight: 2, arbitrary: fc.integer({ min: 0x80, max: 0xff }) },
    { weight: 1, arbitrary: fc.constant(0x09) },
  )
  .map((code) => String.fromCharCode(code));
const fieldText = fc.array(fieldByte, { maxLength: 20 }).map((bytes) => bytes.join("").replace(/^[\t ]+|[\t ]+$/g, ""));
/** The bytes of a text in UTF-8. */
const utf8 = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 10 })
  .map((text) => Buffer.from(text).toString("latin1"));
const value = fc.oneof(
  fieldText,
  utf8.filter((text) => /^[!-~\x80-\xff]+$/.test(text)),
);
const name = fc.oneof(
  fc.constantFrom(
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "Set-Cookie",
    "Content-Disposition",
    "Link",
  ),
  fc.constantFrom("X!#$%&'*+-.^_`|~", "1", "42", "Location", "Date", "Content-Type", "ETag", "Age", "X-Powered-By"),
);
const headers = fc.array(fc.tuple(name, value), { maxLength: 8 });
const content = fc.string({ unit: "binary", maxLength: 60 }).map((text) => Buffer.from(text).toString("latin1"));

/** The same names with the same values in the same order, whatever the order of different names. */
function grouped(all: readonly (readonly [string, string])[]): Record<string, string[]> {
  const groups: Record<string, string[]> = Object.create(null);
  for (const [one, text] of all) groups[one.toLowerCase()] = [...(groups[one.toLowerCase()] ?? []), text];
  return groups;
}

const reason = fc.oneof(
  fieldText,
  utf8.filter((text) => /^[ -~\x80-\xff]+$/.test(text)),
  fc.constantFrom("Non trouv\xe9", "Non trouv\xc3\xa9", "\xe2\x9c\x93", "", "OK"),
);
const valid = fc.record({
  version: fc.constantFrom("1.1", "1.1", "1.0"),
  interim: fc.constantFrom("", "", "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", "HTTP/1.1 102 \xe9\r\n\r\n"),
  status: fc.constantFrom(
    200,
    201,
    203,
    204,
    205,
    206,
    226,
    299,
    300,
    302,
    304,
    400,
    404,
    418,
    451,
    500,
    502,
    599,
    600,
    777,
    999,
  ),
  reason,
  headers,
  content,
  framing: fc.constantFrom("length", "chunks", "end"),
});

describe("whatever an upstream sends", () => {
  test("passes as it is where HTTP allows it, byte for byte", async () => {
    let response = "";
    const upstream = await startRawUpstream((socket) => socket.end(response, "latin1"));
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    await fc.assert(
      fc.asyncProperty(valid, async (said) => {
        const bodiless = said.status === 204 || said.status === 304;
        const framing = {
          length: `Content-Length: ${said.content.length}\r\n\r\n${bodiless ? "" : said.content}`,
          chunks: `Transfer-Encoding: chunked\r\n\r\n${bodiless ? "" : chunked(said.content)}`,
          end: `\r\n${bodiless ? "" : said.content}`,
        }[said.framing];
        const lines = said.headers.map(([one, text]) => `${one}: ${text}\r\n`).join("");
        response = `${said.interim}HTTP/${said.version} ${said.status} ${said.reason}\r\nConnection: close\r\n${lines}${framing}`;
        const got = parseResponse(await talk(proxy.port, GET), false);
        expect(got.status).toBe(said.status);
        expect(got.body).toBe(bodiless ? "" : said.content);
        const kept = new Set(said.headers.map(([one]) => one.toLowerCase()));
        expect(grouped(got.headers.filter(([one]) => kept.has(one)))).toEqual(grouped(said.headers));
        const decoded = Buffer.from(said.reason, "latin1").toString();
        expect(got.reason).toBe(decoded.includes("\ufffd") ? (STATUS_CODES[said.status] ?? "unknown") : said.reason);
      }),
      RUNS,
    );
    await proxy.settled();
  });

  test("is answered with valid HTTP, however broken it is, and the next request finds the proxy whole", async () => {
    let response = "";
    const upstream = await startRawUpstream((socket) => socket.end(response, "latin1"));
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    const status = fc.constantFrom("000", "099", "100", "101", "199", "20", "1000", "2 0", "-20", "abc", "200", "600");
    const framing = fc.constantFrom(
      "Content-Length: 9007199254740993",
      "Content-Length: 18446744073709551616",
      "Content-Length: 3\r\nContent-Length: 3",
      "Content-Length: 3\r\nContent-Length: 5",
      "Content-Length: 3, 3",
      "Content-Length: -1",
      "Content-Length:",
      "Content-Length: 2\r\nTransfer-Encoding: chunked",
      "Content-Length: 2\r\nTransfer-Encoding: gzip",
      "Content-Length: 2\r\nTransfer-Encoding: identity",
      "Transfer-Encoding: chunked, chunked",
      "Transfer-Encoding: gzip, chunked",
      "Transfer-Encoding: chunked\r\nTrailer: X",
      "Connection: upgrade\r\nUpgrade: x",
      "X",
    );
    const broken = fc.record({ status, reason: fc.oneof(reason, content), headers, framing, content });
    const mutation = fc.tuple(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.constantFrom("", "\0", "\r", "\n", "\x7f", "\x01", ":", " ", "\xff", "9"),
    );
    await fc.assert(
      fc.asyncProperty(broken, fc.array(mutation, { maxLength: 2 }), async (said, mutations) => {
        const lines = said.headers.map(([one, text]) => `${one}: ${text}\r\n`).join("");
        response = `HTTP/1.1 ${said.status} ${said.reason}\r\n${lines}${said.framing}\r\n\r\n${said.content}`;
        for (const [part, byte] of mutations) {
          const at = Math.floor(part * response.length);
          response = response.slice(0, at) + byte + response.slice(at + 1);
        }
        parseResponse(await talk(proxy.port, GET), true);
        response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        expect(parseResponse(await talk(proxy.port, GET), false).body).toBe("ok");
      }),
      RUNS,
    );
    await proxy.settled();
  });
});

describe("whatever a client sends", () => {
  test("reaches the upstream as it is where HTTP allows it, byte for byte", async () => {
    let received = "";
    const upstream = await startRawUpstream((socket, text) => {
      received += text;
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    const query = fc.array(
      fc.constantFrom("%0A", "%0d", "%00", "%09", "%C3%A9", "..", "/../", "'", '"', "{", "|", "^", "`", "%", "?"),
      {
        maxLength: 6,
      },
    );
    await fc.assert(
      fc.asyncProperty(query, headers, async (parts, said) => {
        received = "";
        const path = `/a%0Ab?${parts.join("")}`;
        const lines = said.map(([one, text]) => `${one}: ${text}\r\n`).join("");
        const answer = await talk(proxy.port, `GET ${path} HTTP/1.1\r\nHost: x\r\n${lines}Connection: close\r\n\r\n`);
        expect(parseResponse(answer, false).status).toBe(200);
        expect(received).toContain(`GET ${path} HTTP/1.1\r\n`);
        for (const [one, text] of said) expect(received).toContain(`\r\n${one}: ${text}\r\n`);
      }),
      RUNS,
    );
  });

  test("is answered with valid HTTP, however broken it is, and is never taken for a fault of the upstream", async () => {
    const upstream = await startRawUpstream((socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    const proxy = await startProxy({ upstreams: { a: upstream.port }, timeouts: { headersMs: 200 } });
    const byte = fc.constantFrom(
      "",
      "\0",
      "\r",
      "\n",
      "\r\n",
      "\x7f",
      "\x01",
      ":",
      " ",
      "\t",
      "\xff",
      "\xe9",
      "#",
      "/",
      "%",
      ",",
      "9",
    );
    const mutation = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), byte);
    await fc.assert(
      fc.asyncProperty(headers, fc.array(mutation, { minLength: 1, maxLength: 3 }), async (said, mutations) => {
        const lines = said.map(([one, text]) => `${one}: ${text}\r\n`).join("");
        let request = `GET /a?b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines}\r\n`;
        for (const [part, other] of mutations) {
          const at = Math.floor(part * request.length);
          request = request.slice(0, at) + other + request.slice(at + 1);
        }
        const answer = await talk(proxy.port, request);
        // What follows a request and is none takes that with it.
        if (answer === "" && /\r\n\r\n./s.test(request)) return;
        expect(parseResponse(answer, false).status).toBeLessThan(500);
      }),
      RUNS,
    );
    await proxy.settled();
  });
});

function chunked(text: string): string {
  const chunk = (part: string): string => `${part.length.toString(16)};x="\xe9"\r\n${part}\r\n`;
  return `${text === "" ? "" : chunk(text)}0\r\nX-Trailer: \xe9\r\n\r\n`;
}
