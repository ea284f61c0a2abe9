import { describe, expect, it } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import type { ProxyConfig } from "../../src/config/proxy-config.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import { describeConfig } from "../../src/log/describe-config.ts";
import { SECRET } from "../support/receiver.ts";

const BACKENDS = "backends: [{ name: oci, url: 'http://127.0.0.1:9001' }]";

function read(yaml: string, env: Record<string, string> = {}): ProxyConfig {
  return parseConfig(yaml, { file: "proxy.yaml", folder: "/here", env });
}

function complaint(yaml: string, env: Record<string, string> = {}): string {
  try {
    read(`${yaml}\n${BACKENDS}`, env);
    return "none";
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

const webhook = (settings: string) => `webhooks: [{ url: 'https://example.com/hook'${settings && `, ${settings}`} }]`;

describe("webhooks", () => {
  it("have a name, no headers, no secret and JSON, unless told otherwise; and three thresholds", () => {
    const { webhooks, thresholds } = read(
      `webhooks: [{ url: "https://hooks.example.com:8443/T0/hunter2?x=1" }]\n${BACKENDS}`,
    );
    expect(thresholds).toEqual([0.5, 0.8, 1]);
    expect(webhooks).toEqual([
      {
        name: "hooks.example.com:8443",
        url: new URL("https://hooks.example.com:8443/T0/hunter2?x=1"),
        headers: {},
        format: "json",
      },
    ]);
  });

  it("take all of their settings from the environment", () => {
    const yaml = `
webhooks:
- { name: "\${NAME}", url: "\${URL}", headers: { Authorization: "Bearer \${TOKEN}" }, secret: "\${SECRET}", format: "\${FORMAT}" }
thresholds: ["\${PART}", 1, 0.25]
backends:
- { name: oci, url: "http://h", thresholds: [1, 0.9, 0.9] }
- { name: b2, url: "http://h", thresholds: [] }`;
    const env = { NAME: "ops", URL: "http://h/x", TOKEN: "abc", SECRET, FORMAT: "slack", PART: "0.75" };
    const { webhooks, thresholds, backends } = read(yaml, env);
    expect(webhooks).toEqual([
      {
        name: "ops",
        url: new URL("http://h/x"),
        headers: { Authorization: "Bearer abc" },
        secret: SECRET,
        format: "slack",
      },
    ]);
    expect(thresholds).toEqual([0.25, 0.75, 1]);
    expect(backends.map(({ thresholds }) => thresholds)).toEqual([[0.9, 1], []]);
  });

  const LIST = "webhooks: expected a list of webhooks";
  const KEY = 'expected whsec_ and 24 to 64 bytes in base64, such as echo "whsec_$(openssl rand -base64 32)" prints';
  it.each([
    ["webhooks: yes", `1:11 ${LIST}`],
    ["webhooks: [{}]", "1:12 webhooks[0].url: is missing; give an address such as https://hooks.example.com/usage"],
    [
      "webhooks: [{ url: hunter2 }]",
      "1:19 webhooks[0].url: expected an address such as https://hooks.example.com/usage",
    ],
    ["webhooks: [{ url: 'ftp://hunter2' }]", "1:19 webhooks[0].url: expected http:// or https://"],
    [
      "webhooks: [{ url: 'https://me:hunter2@h' }]",
      "1:19 webhooks[0].url: a user or password cannot stand here: give headers: { authorization: ... }",
    ],
    ["webhooks: [{ url: 'https://h#hunter2' }]", "1:19 webhooks[0].url: a fragment cannot stand here: it is not sent"],
    [
      "webhooks: [{ url: 'https://h/$HOOK' }]",
      "1:19 webhooks[0].url: a placeholder that nothing replaces here: $NAME; write ${NAME} for a variable of the environment, ${file:PATH} for a file",
    ],
    [webhook("secret: hunter2"), `1:57 webhooks[0].secret: ${KEY}`],
    [webhook("secret: whsec_aHVudGVyMg=="), `1:57 webhooks[0].secret: ${KEY}`],
    [webhook(`secret: ${SECRET.slice(0, -1)}`), `1:57 webhooks[0].secret: ${KEY}`],
    [webhook(`secret: whsec_${"A".repeat(88)}`), `1:57 webhooks[0].secret: ${KEY}`],
    [webhook("format: xml"), '1:57 webhooks[0].format: expected json or slack, got "xml"'],
    [
      webhook("headers: hunter2"),
      "1:58 webhooks[0].headers: expected a map of headers, such as { authorization: ... }",
    ],
    [webhook("headers: { 'x y': hunter2 }"), '1:65 webhooks[0].headers."x y": is no name of a header'],
    [
      webhook("headers: { Webhook-Signature: hunter2 }"),
      '1:60 webhooks[0].headers."Webhook-Signature": is set by the proxy itself; leave it out',
    ],
    [
      webhook("headers: { x: 'hunter2\u00e9' }"),
      "1:63 webhooks[0].headers.x: expected letters, digits and signs, in one line",
    ],
    [webhook("headers: { x: 5 }"), "1:63 webhooks[0].headers.x: expected a text; put quotes around it"],
    [webhook("name: ''"), '1:55 webhooks[0].name: expected 1 to 100 characters without control characters, got ""'],
    [
      `webhooks: [{ url: 'https://${"long.".repeat(21)}example.com' }]`,
      "1:12 webhooks[0].name: the host of its url is too long for a name; give 1 to 100 characters without control characters",
    ],
    [
      "webhooks: [{ url: 'https://h/hunter2' }, { url: 'https://h/hunter3' }]",
      '1:42 webhooks[1].name: "h" is already the name of webhooks[0]; give each its own',
    ],
    [
      webhook("secrets: hunter2"),
      "1:49 webhooks[0].secrets: unknown key, did you mean secret? known here: name, url, headers, secret, format",
    ],
    [
      `${webhook("")}\nthresholds: 0.5`,
      "2:13 thresholds: expected a list of up to 100 parts of a limit, such as [0.5, 0.8, 1], got 0.5",
    ],
    [`${webhook("")}\nthresholds: [0]`, "2:14 thresholds[0]: expected a number above 0 and at most 1, got 0"],
    [`${webhook("")}\nthresholds: [0.5, 80]`, "2:19 thresholds[1]: expected a number above 0 and at most 1, got 80"],
    ["thresholds: [0.5]", "1:13 thresholds: nobody would be told; name them in webhooks"],
  ])("%s is refused", (yaml, message) => {
    expect(complaint(yaml)).toMatch(
      new RegExp(`^proxy\\.yaml:${message.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/^\d+:\d+/, "\\d+:\\d+")}$`),
    );
    expect(complaint(yaml)).not.toContain("hunter");
  });

  it("are needed where a backend has thresholds", () => {
    const yaml = "backends: [{ name: oci, url: 'http://h', thresholds: [0.5] }]";
    expect(() => read(yaml)).toThrow("backends[0].thresholds: nobody would be told; name them in webhooks");
  });

  it("show no value that a reference stands for", () => {
    const said = complaint('webhooks: [{ url: "${URL}", secret: "${SECRET}", headers: { x: "${X}" } }]', {
      URL: "hunter2",
      SECRET: "hunter2",
      X: "hunter2\n",
    });
    expect(said.split("\n")).toHaveLength(3);
    expect(said).not.toContain("hunter");
  });

  it("are described without their paths, headers' values and secrets", () => {
    const yaml = `${webhook(`headers: { authorization: hunter2 }, secret: ${SECRET}`)}\n${BACKENDS}`;
    const described = JSON.stringify(describeConfig(read(yaml)));
    expect(JSON.parse(described)).toMatchObject({
      thresholds: [0.5, 0.8, 1],
      webhooks: [
        {
          name: "example.com",
          url: "https://example.com/...",
          format: "json",
          headers: ["authorization"],
          signed: true,
        },
      ],
    });
    expect(described).not.toMatch(/hunter|whsec/);
    expect(described).not.toContain("/hook");
  });
});
