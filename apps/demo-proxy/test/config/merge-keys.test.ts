import { describe, expect, it } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import { parseConfig } from "../../src/config/read-config.ts";

const parse = (text: string) => parseConfig(text, { file: "proxy.yaml", folder: "/here" });

function complaints(text: string): string[] {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split("\n");
    throw error;
  }
  return [];
}

describe("a merge key", () => {
  it("brings the keys of other maps; own keys come before them, earlier maps before later ones", () => {
    const text = `
x-limits: &limits { apiRequests: 1, egressBytes: 2 }
x-more: &more { egressBytes: 3, ingressBytes: 4 }
x-backend: &backend
  url: http://base/
  host: preserve
  limits: *limits
backends:
- <<: *backend
  name: a
- { name: b, url: http://own/, <<: *backend }
- <<: *backend
  name: c
  limits: { apiRequests: 9, <<: [*more, *limits] }
- name: d
  url: http://d/
  limits: { <<: { apiRequests: 5 } }
`;
    const limits = { apiRequests: 1, egressBytes: 2 };
    expect(parse(text).backends).toEqual([
      { name: "a", url: new URL("http://base/"), host: "preserve", limits },
      { name: "b", url: new URL("http://own/"), host: "preserve", limits },
      {
        name: "c",
        url: new URL("http://base/"),
        host: "preserve",
        limits: { apiRequests: 9, egressBytes: 3, ingressBytes: 4 },
      },
      { name: "d", url: new URL("http://d/"), host: "upstream", limits: { apiRequests: 5 } },
    ]);
  });

  it("may be used for thousands of backends", () => {
    const backends = Array.from({ length: 5_000 }, (_, i) => `- { name: b${i}, <<: *base }`);
    const { backends: found } = parse(
      `x-base: &base { url: http://h/, limits: { apiRequests: 1 } }\nbackends:\n${backends.join("\n")}`,
    );
    expect(found).toHaveLength(5_000);
    expect(found.at(-1)).toMatchObject({ name: "b4999", limits: { apiRequests: 1 } });
  });

  it("leads complaints to where the mistake stands, and says for which backend", () => {
    const text = `
x-base: &base
  url: nowhere
  limits: { egressByte: 1 }
x-list: [&inner { apiRequests: -1 }]
backends:
- <<: *base
  name: a
- name: b
  url: http://h
  limits: { <<: [*inner] }
- { <<: *inner, name: c }
`;
    expect(complaints(text).map((line) => line.split(";", 1)[0])).toEqual([
      "proxy.yaml:3:8 backends[0].url: expected an address such as https://s3.example.com/bucket",
      "proxy.yaml:4:13 backends[0].limits.egressByte: unknown key, did you mean egressBytes? known here: apiRequests, egressBytes, ingressBytes",
      "proxy.yaml:5:19 backends[2].apiRequests: unknown key",
      "proxy.yaml:5:32 backends[1].limits.apiRequests: expected a whole number of requests from 0 to 9007199254740991, got -1",
      expect.stringMatching(/^proxy\.yaml:12:3 backends\[2\]\.url: is missing/),
    ]);
  });

  it.each([
    ["a number", "{ <<: 5 }"],
    ["a text", "{ <<: base }"],
    ["nothing", "{ <<: }"],
    ["a list of other things", "{ <<: [*list] }"],
    ["what is no map behind an alias", "{ <<: *list }"],
  ])("that stands for %s is refused", (_, map) => {
    expect(complaints(`x-list: &list [1]\nbackends:\n- ${map}`)).toEqual([
      "proxy.yaml:3:5: a merge key (<<) stands for a map, such as *name, or a list of maps",
    ]);
  });

  it("without an anchor, and one that merges itself, is refused", () => {
    expect(complaints("backends: [{ <<: *nowhere }]")[0]).toMatch(
      /^proxy\.yaml:1:18: an alias \(\*name\) without its anchor/,
    );
    expect(complaints("backends: [&a { name: a, <<: *a }]")[0]).toMatch(/^proxy\.yaml: its aliases \(\*name\) repeat/);
  });

  it("is an ordinary key in quotes", () => {
    expect(complaints("x-a: &a {}\nbackends: [{ name: a, url: http://h, '<<': *a }]")[0]).toMatch(
      /^proxy\.yaml:2:38 backends\[0\]\."<<": unknown key/,
    );
  });
});

describe("a key that begins with x-", () => {
  it("is ignored at the top, whatever it holds, and unknown below", () => {
    const backend = "backends: [{ name: a, url: http://h }]";
    expect(complaints(`x-: 1\nx-team: { x: [1, "{{ y }}"] }\nX-other: 1\n${backend}`)).toEqual([
      expect.stringMatching(/^proxy\.yaml:3:1 "X-other": unknown key/),
    ]);
    expect(complaints(`log: { x-note: 1 }\n${backend}`)).toEqual([
      expect.stringMatching(/^proxy\.yaml:1:8 log\."x-note": unknown key/),
    ]);
    expect(complaints("x-only: 1")).toEqual([expect.stringMatching(/^proxy\.yaml:1:1 backends: is missing/)]);
  });
});
