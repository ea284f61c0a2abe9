import { z } from "zod";
import { configFile } from "./schema/config-file.ts";

/** What editors check and complete a configuration by. Looser than the check at the start: what only code can tell is not in it. */
export function configJsonSchema(): object {
  const { $schema, ...schema } = z.toJSONSchema(configFile, {
    io: "input",
    unrepresentable: "any",
    override: (of) => {
      showDefault(of);
      showOrOne(of);
    },
  });
  return {
    $schema,
    ...withReferences(schema),
    patternProperties: { "^x-": {} },
    $defs: { reference: { type: "string", pattern: "\\$\\{.+\\}", description: DESCRIPTION } },
    title: "Configuration of the usage demo proxy",
  };
}

const DESCRIPTION = "Its value comes from the environment or from a file: ${NAME}, ${NAME:-default}, ${file:PATH}.";

type Schema = z.core.JSONSchema.JSONSchema;

/** Zod leaves out the default of a setting that may also be written as a text. */
function showDefault({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodType; jsonSchema: Schema }): void {
  if (!(zodSchema instanceof z.ZodDefault)) return;
  const value: unknown = zodSchema.def.defaultValue;
  if (typeof value !== "object") jsonSchema.default = value;
}

/** Where a list may stand, one of its values may. */
function showOrOne({ jsonSchema }: { jsonSchema: Schema }): void {
  if (jsonSchema.orOne === undefined) return;
  const { orOne: _, ...list } = jsonSchema;
  for (const name of Object.keys(jsonSchema)) delete jsonSchema[name];
  jsonSchema.anyOf = typeof list.items === "object" && !Array.isArray(list.items) ? [list.items, list] : [list];
}

/** A reference may stand wherever one value stands. */
function withReferences({ default: byDefault, ...schema }: Schema): Schema {
  const { properties, items, anyOf, oneOf, type, pattern } = schema;
  const whole = byDefault === undefined ? {} : { default: byDefault };
  const isOpenText = [type].flat().includes("string") && !(pattern || "const" in schema || "enum" in schema);
  if (type === "object" || type === "array" || anyOf || oneOf) {
    const alternatives = [...(anyOf ?? []), ...(oneOf ?? [])].map(withReferences);
    const { oneOf: _, ...others } = schema;
    return {
      ...whole,
      ...others,
      ...(properties && { properties: mapValues(properties) }),
      ...(typeof items === "object" && !Array.isArray(items) && { items: withReferences(items) }),
      // A kind that is a reference may be any of them.
      ...(alternatives.length > 0 && { anyOf: alternatives }),
    };
  }
  return isOpenText ? { ...whole, ...schema } : { ...whole, anyOf: [schema, { $ref: "#/$defs/reference" }] };
}

function mapValues(properties: Readonly<Record<string, Schema | boolean>>): Record<string, Schema | boolean> {
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [
      name,
      typeof schema === "boolean" ? schema : withReferences(schema),
    ]),
  );
}
