import { describe, expect, it } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import { parseConfig } from "../../src/config/read-config.ts";

const BACKEND = "backends: [{ name: oci, url: 'http://127.0.0.1:9001' }]";

function complaintAbout(text: string, env: Record<string, string> = {}): string | undefined {
  try {
    parseConfig(text, { file: "proxy.yaml", folder: "/here", env });
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return undefined;
}

/** Of the environment, so that YAML has no say in it. */
const complaintAboutToken = (token: string) => complaintAbout(`${BACKEND}\nadmin:\n  token: \${T}`, { T: token });

describe("a token that nobody has put in is refused, in words and without it:", () => {
  it.each([
    ["$ADMIN_TOKEN", "$NAME"],
    ["$admin_token", "$NAME"],
    ["${ADMIN_TOKEN}", "${...}"],
    ["$(ADMIN_TOKEN)", "$(...)"],
    ["{{ token }}", "{{ ... }}"],
    ["{{token}}", "{{ ... }}"],
    ["prefix-{{ .Values.token }}", "{{ ... }}"],
    ["%TOKEN%", "%NAME%"],
    ["<token>", "<...>"],
    ["<your token here>", "<...>"],
    ["[YOUR-PASSWORD]", "[...]"],
    ["((token))", "((...))"],
    ["#{Token}#", "#{...}"],
    ["@ADMIN_TOKEN@", "@NAME@"],
    ["__ADMIN_TOKEN__", "__NAME__"],
    ["ENC[AES256_GCM,data:x2Fz,iv:x]", "ENC[...]"],
    ["ENC(x2Fz)", "ENC[...]"],
    ["$ANSIBLE_VAULT;1.1;AES256", "$ANSIBLE_VAULT"],
    ["!vault", "!vault"],
    ["!secret admin_token", "!vault"],
    ["op://vault/usage/token", "env:, file:, vault:"],
    ["vault:secret/data/usage#token", "env:, file:, vault:"],
    ["ref+awssecretsmanager://usage", "env:, file:, vault:"],
    ["arn:aws:secretsmanager:eu-west-1:1:secret:x", "env:, file:, vault:"],
    ["file:/run/secrets/token", "env:, file:, vault:"],
    ["process.env.ADMIN_TOKEN", "env.NAME"],
    ["@Microsoft.KeyVault(SecretUri=https://x)", "@Microsoft.KeyVault"],
    ["/run/secrets/admin_token", "the path of a file"],
    ["********", "***"],
    ["changeme", "a word"],
    ["CHANGE_ME", "a word"],
    ["change-me-change-me", "a word"],
    ["replace this", "a word"],
    ["your-token-here", "a word"],
    ["YOUR_ADMIN_TOKEN", "a word"],
    ["insert-secret-here", "a word"],
    ["a-long-random-text", "a word"],
    ["xxxxxxxxxxxxxxxx", "a word"],
    ["undefined", "a word"],
    ["null", "a word"],
    ["TODO", "a word"],
  ])("%s", (token, kind) => {
    const complaint = complaintAboutToken(token);
    expect(complaint).toContain("proxy.yaml:3:10 admin.token: a placeholder that nothing replaces here: ");
    expect(complaint).toContain(`: ${kind}`);
    expect(complaint).toContain("; write ${NAME} for a variable of the environment, ${file:PATH} for a file");
    if (!kind.includes(token)) expect(complaint).not.toContain(token);
  });

  it.each([
    "k8Jx$2vQ$mP0zR7t",
    "$2b$10$abcdefghijklmnop",
    "YWRtaW46c2VjcmV0MTIzNDU2Nzg5MA==",
    "/3vXo+9aQ1/rT5yU7iO0pA==",
    "0123456789abcdef0123456789abcdef",
    "not-a-placeholder-<at>-all",
    "envious:words:beat:4:signs",
    "secret-of-the-house-17",
    "%41%42%43",
    "eyJhbGciOiJub25lIn0.e30.",
  ])("but not one that only looks odd: %s", (token) => {
    expect(complaintAboutToken(token)).toBeUndefined();
  });

  it.each([
    ["{{ token }}", "a map or list as key"],
    ["!vault |\n    3465", "an unknown tag"],
    ["!secret x", "an unknown tag"],
    ["<token>", "a placeholder"],
    ["$ADMIN_TOKEN", "a placeholder"],
    ["$$ADMIN_TOKEN", "a placeholder"],
    ["%TOKEN%", "not valid YAML"],
    ["*****", "an alias"],
  ])("also where YAML has its own idea of it: %s", (token, words) => {
    const complaint = complaintAbout(`${BACKEND}\nadmin:\n  token: ${token}\n`);
    expect(complaint).toContain("proxy.yaml:3:1");
    expect(complaint).toContain(words);
  });
});

describe("a placeholder in an address or a path is refused, too:", () => {
  const backend = (url: string) => `backends: [{ name: a, url: '${url}' }]`;
  const postgres = (url: string) => `${BACKEND}\nstore: { kind: postgres, url: '${url}' }`;
  const redis = (url: string) => `${BACKEND}\ncounter: { kind: redis, url: '${url}' }`;
  const sqlite = (file: string) => `${BACKEND}\nstore: { kind: sqlite, file: '${file}' }`;

  it.each([
    backend("http://$UPSTREAM:80/"),
    backend("http://{{ host }}/"),
    backend("http://h/{{ bucket }}/x"),
    backend("http://h/<bucket>"),
    backend("http://h/%BUCKET%/"),
    postgres("postgres://u:$PGPASSWORD@h/db"),
    postgres("postgres://postgres:[YOUR-PASSWORD]@db.example.com:5432/postgres"),
    postgres("postgres://u:<password>@h/db"),
    postgres("postgres://u:********@h/db"),
    postgres("postgres://u@h/db?password={{ password }}"),
    redis("redis://:%REDIS_PASSWORD%@h"),
    redis("redis://:{{ password }}@h"),
    redis("redis://$REDIS_HOST:6379"),
    sqlite("$HOME/usage.db"),
    sqlite("%APPDATA%\\usage.db"),
    sqlite("{{ data }}/usage.db"),
    sqlite("./<data>/usage.db"),
  ])("%s", (text) => {
    expect(complaintAbout(text)).toMatch(/^proxy\.yaml:\d+:\d+ \S+: a placeholder that nothing replaces here: /);
  });

  it.each([
    backend("https://account.blob.example.com/$web/x"),
    backend("https://h/%41%42"),
    backend("https://h/__data__x"),
    postgres("postgres://u:pa$word@h/db"),
    postgres("postgres://u:%3Cpw%3E@h/db"),
    postgres("postgres://usage:changeme@h/db"),
    redis("redis://:p%40%23@h"),
    sqlite("da$ta/usage.db"),
  ])("but not %s", (text) => {
    expect(complaintAbout(text)).toBeUndefined();
  });
});
