import { describe, expect, it } from "vitest";
import { type Addressee, UpstreamAddresses } from "../../src/proxy/http/upstream-addresses.ts";

interface Answered {
  readonly status?: number;
  readonly client?: Addressee;
}

const PROXY: Addressee = { askedOrigin: "http://proxy:8080", claimedOrigin: undefined };

/** What becomes of a header of the upstream at `url`; `status` is a redirect's unless it is given. */
function mapped(url: string, name: string, value: string, options: Answered = {}): string {
  const { status = 302, client = PROXY } = options;
  return new UpstreamAddresses(new URL(url)).toClient(name, value, status >= 300 && status < 400, client);
}

describe("the address of a redirect", () => {
  it.each([
    ["the upstream's own", "http://up:9001", "http://up:9001/x?y=1#z", "/x?y=1#z"],
    ["without a path", "http://up:9001", "http://up:9001", "/"],
    ["with only a query", "http://up:9001", "http://up:9001?y", "/?y"],
    ["without a scheme", "http://up:9001", "//up:9001/x", "/x"],
    ["in upper case", "http://up:9001", "HTTP://UP:9001/X", "/X"],
    ["with the dot that ends a full name", "http://up.example", "http://up.example./x", "/x"],
    ["of an upstream that is written with that dot", "http://up.example.", "http://up.example/x", "/x"],
    ["with a user and a password", "http://up:9001", "http://user:p%40ss@up:9001/x", "/x"],
    ["with a user that looks like another host", "http://up:9001", "http://other@up:9001/x", "/x"],
    ["over https, at the same port", "http://up:9001", "https://up:9001/x", "/x"],
    ["over https, at the default port", "http://up", "https://up/x", "/x"],
    ["over http, from an https upstream", "https://up", "http://up/x", "/x"],
    ["with a default port that is spelled out", "https://up", "https://up:443/x", "/x"],
    ["without the default port that is spelled out here", "http://up:80", "http://up/x", "/x"],
    ["with an IPv6 address in another spelling", "http://[::1]:9001", "http://[0:0:0:0:0:0:0:1]:9001/x", "/x"],
    ["with an IPv4 address in another spelling", "http://127.0.0.1:9001", "http://127.1:9001/x", "/x"],
    ["with a name beyond ASCII", "http://b\u00fccher.example", "http://b\xc3\xbccher.example/x", "/x"],
    ["with that name in ASCII", "http://b\u00fccher.example", "http://xn--bcher-kva.example/x", "/x"],
    ["with backslashes, which browsers take for slashes", "http://up", "http:\\\\up\\x", "/x"],
    ["with nothing but backslashes", "http://up", "\\\\up\\\\other.example", "/./\\other.example"],
    ["with one slash, which an https page reads as two", "http://up", "http:/up/x", "/x"],
    ["without slashes, as an https page reads it", "http://up:9001", "http:up:9001/x", "/x"],
    ["with too many slashes, which browsers ignore", "http://up", "https:////up/x", "/x"],
    ["with a path that alone would name a host", "http://up", "http://up//other.example/x", "/.//other.example/x"],
    ["with bytes beyond ASCII", "http://up", "http://up/caf\xe9/%2e%2E/a b", "/caf\xe9/%2e%2E/a b"],
  ])("%s becomes one of the proxy's", (_, url, said, seen) => {
    expect(mapped(url, "location", said)).toBe(seen);
    const origin = "http://proxy:8080/a";
    expect(new URL(mapped(url, "location", said), origin).host).toBe("proxy:8080");
  });

  it.each([
    ["of another host", "http://up:9001", "http://other:9001/x"],
    ["of another port", "http://up:9001", "http://up:9002/x"],
    ["of the default port of that host", "http://up:9001", "http://up/x"],
    ["of a host whose name ends like the upstream's", "http://up", "http://not-up/x"],
    ["of a host below the upstream's", "http://up", "http://a.up/x"],
    ["of a user who is called like the upstream", "http://up", "http://up@other/x"],
    ["that has the upstream's in its query", "http://up", "http://other/?to=http://up/x"],
    ["of another host, with one slash", "http://up", "http:/other/x"],
    ["of another scheme", "http://up", "ftp://up/x"],
    ["that is none", "http://up", "http://up:99999999/x"],
    ["that is a path", "http://up", "/x//y"],
    ["relative to the request's", "http://up", "x?y"],
    ["that goes up from the request's", "http://up/base", "../x"],
    ["that is only a query", "http://up/base", "?page=2"],
    ["that is only a fragment", "http://up/base", "#top"],
    ["that is empty", "http://up/base", ""],
    ["of an app on a phone", "http://up", "myapp://up/x"],
  ])("%s passes as it is", (_, url, said) => {
    expect(mapped(url, "location", said)).toBe(said);
  });

  it.each([
    ["a path", "/base/x", "/x"],
    ["an address", "http://up:9001/base/x", "/x"],
    ["the base itself", "/base", "/"],
    ["the base with a slash", "/base/", "/"],
    ["the base with a query", "/base?y=/base/", "/?y=/base/"],
    ["the base with a fragment", "http://up:9001/base#z", "/#z"],
    ["the base twice", "/base/base/x", "/base/x"],
    ["a path that alone would name a host", "/base//other.example/x", "/.//other.example/x"],
    ["a path that only begins like the base", "/basement/x", "/basement/x"],
    ["a path beside the base", "http://up:9001/login", "/login"],
    ["the proxy's own address, as the upstream was told it", "https://proxy:8080/base/x", "https://proxy:8080/x"],
    ["another host's path of that name", "http://other/base/x", "http://other/base/x"],
  ])("loses the path that the upstream's URL has: %s", (_, said, seen) => {
    expect(mapped("http://up:9001/base/", "location", said)).toBe(seen);
  });
});

describe("an address that no redirect follows", () => {
  const created = { status: 201 };

  it.each([
    ["location", "http://up:9001/x", "http://proxy:8080/x"],
    ["location", "//up:9001/x", "/x"],
    ["location", "/x", "/x"],
    ["content-location", "https://up:9001/x", "http://proxy:8080/x"],
    ["sourcemap", "http://up:9001/app.map", "http://proxy:8080/app.map"],
    ["uri", "<http://up:9001/x>", "<http://proxy:8080/x>"],
    ["uri", "http://up:9001/x", "http://proxy:8080/x"],
    ["operation-location", "http://up:9001/jobs/1?v=2", "http://proxy:8080/jobs/1?v=2"],
    ["x-goog-upload-url", "HTTP://UP:9001/upload", "http://proxy:8080/upload"],
    ["access-control-allow-origin", "http://up:9001", "http://proxy:8080"],
  ])("keeps its form, with the origin that the client asked: %s: %s", (name, said, seen) => {
    expect(mapped("http://up:9001", name, said, created)).toBe(seen);
  });

  it.each([
    ["a page of a list", '<http://up:9001/x?page=2>; rel="next"', '<http://proxy:8080/x?page=2>; rel="next"'],
    [
      "several, with commas and another host's",
      '</x?page=1>; rel="prev", <http://up:9001/x?a=1,2;3>; rel="next", <https://other/>; rel="help"',
      '</x?page=1>; rel="prev", <http://proxy:8080/x?a=1,2;3>; rel="next", <https://other/>; rel="help"',
    ],
    ["without a scheme", "<//up:9001/a.css>; rel=preload", "</a.css>; rel=preload"],
    ["relative to the request's", '<?page=2>; rel="next"', '<?page=2>; rel="next"'],
  ])("is found in Link: %s", (_, said, seen) => {
    expect(mapped("http://up:9001", "link", said, { status: 200 })).toBe(seen);
  });

  it("is found in Link with a path before the request's", () => {
    const said = '</base/x?page=2>; rel="next", <http://up/base>; rel="index"';
    const seen = '</x?page=2>; rel="next", <http://proxy:8080/>; rel="index"';
    expect(mapped("http://up/base", "link", said, { status: 200 })).toBe(seen);
  });

  it.each([
    ["5; url=http://up/x", "5; url=/x"],
    ["0;URL='http://up/x'", "0;URL='/x'"],
    ['1.5, "//up/x"', '1.5, "/x"'],
    ["5;http://up/x", "5;/x"],
    ["5; url=https://other/?http://up/", "5; url=https://other/?http://up/"],
    ["5", "5"],
  ])("is found in Refresh: %s", (said, seen) => {
    expect(mapped("http://up", "refresh", said, { status: 200 })).toBe(seen);
  });

  it.each([
    [
      "www-authenticate",
      'Bearer realm="https://up/token",service="up",scope="repository:a:pull"',
      'Bearer realm="http://proxy:8080/token",service="up",scope="repository:a:pull"',
    ],
    ["www-authenticate", "Bearer realm=https://up/token", "Bearer realm=http://proxy:8080/token"],
    ["www-authenticate", 'Bearer realm="https://auth.other/token"', 'Bearer realm="https://auth.other/token"'],
    ["www-authenticate", 'Basic realm="up"', 'Basic realm="up"'],
    [
      "www-authenticate",
      'Digest domain="https://up/a http://up/b"',
      'Digest domain="http://proxy:8080/a http://proxy:8080/b"',
    ],
    [
      "reporting-endpoints",
      'main="https://up/r", o="https://other/"',
      'main="http://proxy:8080/r", o="https://other/"',
    ],
    ["report-to", '{"endpoints":[{"url":"https://up/r"}]}', '{"endpoints":[{"url":"http://proxy:8080/r"}]}'],
  ])("is found among other things: %s: %s", (name, said, seen) => {
    expect(mapped("https://up", name, said, { status: 401 })).toBe(seen);
  });

  it("is relative where the client named no host", () => {
    const client = { askedOrigin: undefined, claimedOrigin: undefined };
    expect(mapped("http://up", "content-location", "http://up/x", { client })).toBe("/x");
  });

  it("passes where it is what the client said of itself", () => {
    const client = { ...PROXY, claimedOrigin: "http://up" };
    expect(mapped("http://up", "access-control-allow-origin", "http://up", { client })).toBe("http://up");
  });

  it.each([
    ["content-security-policy", "default-src http://up"],
    ["strict-transport-security", "max-age=1; includeSubDomains"],
    ["clear-site-data", '"cookies"'],
    ["x-note", "http://up/x is where this came from"],
    ["x-note", "see http://up/x"],
    ["x-path", "/base/x"],
    ["host-id", "hhhh"],
    ["x-amz-meta-url", "http://up/x"],
    ["x-source", "https://other/"],
    ["etag", '"http://up/"'],
  ])("passes where it is no address to go to: %s: %s", (name, said) => {
    expect(mapped("http://up/base", name, said, { status: 200 })).toBe(said);
  });
});

describe("a cookie", () => {
  it.each([
    ["of the upstream's domain", "a=b; Domain=up.example.com; Secure", "a=b; Secure"],
    ["of a domain above it", "a=b;domain=.EXAMPLE.com;HttpOnly", "a=b;HttpOnly"],
    ["of another domain, which no client takes", "a=b; Domain=other.example.net", "a=b; Domain=other.example.net"],
    ["of the domain that the client asked", "a=b; Domain=proxy", "a=b; Domain=proxy"],
    ["with the words in its value", "a=domain=up.example.com; Secure", "a=domain=up.example.com; Secure"],
    ["with a path below the base", "a=b; Path=/base/x; HttpOnly", "a=b; Path=/x; HttpOnly"],
    ["with the base as its path", "a=b; path = /base", "a=b; path=/"],
    ["with the whole host as its path", "a=b; Path=/", "a=b; Path=/"],
    ["with a path that only begins like the base", "a=b; Path=/basement", "a=b; Path=/basement"],
    ["with neither", "a=b; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "a=b; Expires=Wed, 21 Oct 2026 07:28:00 GMT"],
    ["with both", "a=b; Domain=up.example.com; Path=/base/", "a=b; Path=/"],
  ])("is one of the proxy's: %s", (_, said, seen) => {
    expect(mapped("https://up.example.com/base", "set-cookie", said, { status: 200 })).toBe(seen);
  });

  it("keeps a domain that is above the upstream and the proxy alike", () => {
    const client = { askedOrigin: "https://usage.example.com", claimedOrigin: undefined };
    const said = "a=b; Domain=example.com";
    expect(mapped("https://up.example.com", "set-cookie", said, { client })).toBe(said);
  });

  it("keeps an address that is the upstream's and the proxy's alike", () => {
    const client = { askedOrigin: "http://127.0.0.1:8080", claimedOrigin: undefined };
    const said = "a=b; Domain=127.0.0.1";
    expect(mapped("http://127.0.0.1:9001", "set-cookie", said, { client })).toBe(said);
  });
});
