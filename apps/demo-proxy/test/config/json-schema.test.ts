import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { configJsonSchema } from "../../src/config/json-schema.ts";

const published = fileURLToPath(new URL("../../config.schema.json", import.meta.url));

test("the published JSON Schema is that of the configuration (vitest -u writes it anew)", async () => {
  await expect(`${JSON.stringify(configJsonSchema(), null, 2)}\n`).toMatchFileSnapshot(published);
});
