import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { type AdminParts, adminRoutes } from "../../src/admin/admin-routes.ts";
import { openApiDocument } from "../../src/admin/openapi/document.ts";
import type { Reply } from "./call.ts";

/** The document, of routes that are never asked. */
const document: object & { readonly paths?: object } = openApiDocument(
  adminRoutes({ tracker: { counter: { dimensions: [] } } } as unknown as AdminParts).filter(
    ({ path }) => path !== "/" && !path.startsWith("/dashboard/"),
  ),
  "0.0.0",
);

interface Response {
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
}
type Operations = Readonly<Record<string, { readonly responses: Readonly<Record<string, Response>> }>>;

const ajv = new Ajv2020({ strict: false, allErrors: true, formats: { "date-time": /^\d{4}-\d\d-\d\dT[\d:.]+Z$/ } });
ajv.addSchema(document, "document");
const paths = Object.entries(document.paths ?? {}).map(([template, operations]) => {
  const pattern = template.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/]*");
  return {
    template,
    operations: operations as Operations,
    pattern: new RegExp(`^${pattern}$`),
    end: new RegExp(`.${pattern}$`),
  };
});

/** What is wrong with an answer of the admin listener, by its document; undefined: nothing. */
export function troubleOfAnswer(method: string, target: string, reply: Reply): string | undefined {
  const [path = ""] = target.split("?", 1);
  const type = reply.headers["content-type"] ?? "";
  // What was left on of another server's path may be before it.
  const below = reply.status < 400 ? paths.find(({ end }) => end.test(path)) : undefined;
  const found = paths.find(({ pattern }) => pattern.test(path)) ?? below;
  const operation = found?.operations[(method === "HEAD" ? "get" : method).toLowerCase()];
  if (found === undefined || operation === undefined) return troubleElsewhere(found !== undefined, reply);
  const media = operation.responses[reply.status]?.content?.[type];
  if (media === undefined) return `${method} ${found.template} is not described to answer ${reply.status} as ${type}`;
  if (method === "HEAD" || !type.includes("json")) return undefined;
  const of = [found.template, method.toLowerCase(), "responses", String(reply.status), "content", type, "schema"];
  return invalid(["paths", ...of], reply.json);
}

/** What is not in the document is refused, unless it is the page. */
function troubleElsewhere(isPath: boolean, { status, headers, json }: Reply): string | undefined {
  const type = headers["content-type"] ?? "";
  if (status < 400) return type.includes("json") ? "answers JSON that is not described" : undefined;
  const expected = isPath ? [401, 403, 405] : [400, 401, 403, 404, 405, 500];
  if (!expected.includes(status)) return `is not described to answer ${status}`;
  if (type !== "application/problem+json") return `refuses as ${type}`;
  return json === undefined ? undefined : invalid(["components", "schemas", "Problem"], json);
}

const compiled = new Map<string, ValidateFunction>();

/** What is wrong with a value by the schema at a place of the document. */
export function invalid(place: readonly string[], value: unknown): string | undefined {
  const pointer = place.map((part) => encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"))).join("/");
  const validate = compiled.get(pointer) ?? ajv.compile({ $ref: `document#/${pointer}` });
  compiled.set(pointer, validate);
  if (validate(value)) return undefined;
  return `is not as described: ${ajv.errorsText(validate.errors, { dataVar: "" })} in ${JSON.stringify(value)?.slice(0, 2_000)}`;
}
