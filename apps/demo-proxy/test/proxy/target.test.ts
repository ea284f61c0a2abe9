import { describe, expect, test } from "vitest";
import { pathOfTarget } from "../../src/proxy/http/target.ts";
import { send, talk } from "./client.ts";
import { respond, startRawUpstream, startUpstream } from "./node-upstream.ts";
import { startProxy } from "./proxy-fixture.ts";

describe("the path of a target", () => {
  test.each([
    ["/", "/"],
    ["/a/b?c=../d", "/a/b?c=../d"],
    ["//double//slash/", "//double//slash/"],
    ["/a%20b/%C3%A9?q=%2e%2e%2f", "/a%20b/%C3%A9?q=%2e%2e%2f"],
    ["/...", "/..."],
    ["/line%0Abreak%09and%00nul", "/line%0Abreak%09and%00nul"],
    ["/a?b=%0a%0D%00%09&c=/../..%0a", "/a?b=%0a%0D%00%09&c=/../..%0a"],
    ["/.%0a/..%0bx/.%08.", "/.%0a/..%0bx/.%08."],
    ["/..a/b..", "/..a/b.."],
    ["/a..b/.c", "/a..b/.c"],
    ["http://anything.example:99/a?b", "/a?b"],
    ["HTTPS://user@host/a", "/a"],
    ["http://host", "/"],
    ["http://host?q", "/?q"],
  ])("%s is %s", (target, path) => expect(pathOfTarget(target)).toBe(path));

  test.each([
    "/..",
    "/../a",
    "/a/..",
    "/a/../b",
    "/a/..?q",
    "/a/%2e%2e/b",
    "/a/%2E./b",
    "/a/.%2e",
    "/a\\..\\b",
    "/a/..\\b",
    "/a%2f..%2fb",
    "/a%5c..%5Cb",
    "/a/..%2fb",
    "/a/..%5cb",
    "/a%2F%2e%2E",
    "/a/..%00/b",
    "/a/.%09./b",
    "/a/.%0A./b",
    "/a/..%0d/b",
    "/%0a../b",
    "/a/%09.%0d.%00",
    "/a%2f%00%2e%0a%2E%09",
    "/a/..;x/b",
    "/a/..%3bx",
    "http://host/a/../b",
    "http://host\\..\\b",
    "/a#b",
    "*",
    "",
    "a",
    "example.org:443",
    "ftp://host/a",
    "http:///a",
    "http:/a",
    "?q",
  ])("%s is refused", (target) => expect(pathOfTarget(target)).toBeUndefined());
});

test("requests stay below the upstream's base path, with their bytes unchanged", async () => {
  const upstream = await startRawUpstream((socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  const proxy = await startProxy({ upstreams: { a: `http://127.0.0.1:${upstream.port}/base/v1/` } });
  const targets = ["/", "/a%2Fb?c=%7e&d=%e9", "//x", "http://other.example/y?z"];
  for (const target of targets)
    await talk(proxy.port, `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  const lines = upstream.received().match(/^(GET|host:).*/gm);
  const host = `host: 127.0.0.1:${upstream.port}`;
  expect(lines?.map((line) => line.trim())).toEqual([
    "GET /base/v1/ HTTP/1.1",
    host,
    "GET /base/v1/a%2Fb?c=%7e&d=%e9 HTTP/1.1",
    host,
    "GET /base/v1//x HTTP/1.1",
    host,
    "GET /base/v1/y?z HTTP/1.1",
    host,
  ]);
});

test("a refused target is answered 400 and reaches no upstream", async () => {
  const upstream = await startUpstream((_request, response) => respond(response, 200, 0));
  const proxy = await startProxy({ upstreams: { a: `http://127.0.0.1:${upstream.port}/base` } });
  expect((await send(proxy.port, "/../secret")).status).toBe(400);
  expect((await send(proxy.port, "/a/%2e%2e/%2e%2e/secret", { method: "PUT", body: "x" })).status).toBe(400);
  const star = await talk(proxy.port, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  expect(star).toMatch(/^HTTP\/1\.1 400 /);
  expect(upstream.requests).toEqual([]);
});
