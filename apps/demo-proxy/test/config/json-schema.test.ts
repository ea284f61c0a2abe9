import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it, test } from "vitest";
import { parse } from "yaml";
import { configJsonSchema } from "../../src/config/json-schema.ts";

const published = fileURLToPath(new URL("../../config.schema.json", import.meta.url));

test("the published JSON Schema is that of the configuration (vitest -u writes it anew)", async () => {
  await expect(`${JSON.stringify(configJsonSchema(), null, 2)}\n`).toMatchFileSnapshot(published);
});

describe("an editor that goes by the published schema", () => {
  const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(
    JSON.parse(readFileSync(published, "utf8")),
  );
  const complaints = (yaml: string): unknown[] => {
    validate(parse(yaml, { merge: true }));
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
  };

  it("takes a reference wherever a value stands", () => {
    const yaml = `
x-team: { anything: [1] }
listen: \${LISTEN}
admin: { listen: "\${LISTEN}", token: "\${file:/run/secrets/token}" }
counter: { kind: "\${KIND:-redis}", url: "redis://:\${PW}@h", prefix: "\${PREFIX}" }
store: { kind: "\${KIND}", file: "\${FILE:-usage.db}" }
flush: { intervalMs: "\${INTERVAL}", nearLimitRatio: "\${RATIO:-0.5}" }
routing: \${ROUTING}
timeouts: { keepAliveMs: "\${IDLE}" }
heads: { requestBytes: "\${HEAD}" }
shutdown: { drainDelayMs: "\${DELAY:-0}" }
trustedProxies: ["\${PROXY}"]
cors: { origins: ["\${ORIGIN}"], credentials: "\${YES}" }
log: { level: "\${LEVEL}", access: "\${ACCESS:-false}" }
backends:
- { name: "\${NAME}", url: "\${URL}", host: "\${HOST}", limits: { apiRequests: "\${LIMIT}", egressBytes: "\${SIZE}" } }
`;
    expect(complaints(yaml)).toEqual([]);
  });

  it("takes the documented configuration", () => {
    const page = readFileSync(new URL("../../../../docs/configuration.md", import.meta.url), "utf8");
    const [, yaml = ""] = /```yaml\n(.*?)```/s.exec(page) ?? [];
    expect(yaml).toContain("backends:");
    expect(complaints(yaml)).toEqual([]);
  });

  it.each([
    ["a text where a number belongs", "flush: { intervalMs: soon }"],
    ["a text where a boolean belongs", "log: { access: sometimes }"],
    ["a word that is none of those", "routing: nowhere"],
    ["a braced text that is no reference", "routing: '{ROUTING}'"],
    ["an unknown key", "routeing: pack"],
    ["an unknown kind", "store: { kind: disk, file: x }"],
  ])("still refuses %s", (_, setting) => {
    expect(complaints(`${setting}\nbackends: [{ name: a, url: http://h }]`)).not.toEqual([]);
  });
});
