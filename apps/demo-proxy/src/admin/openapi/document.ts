import { z } from "zod";
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiResponsesObject } from "zod-openapi";
import { liveReport } from "../api/schemas/live.ts";
import type { Route } from "../routes.ts";
import { DESCRIPTIONS } from "./descriptions.ts";
import { type Described, type Operation, problem } from "./operation.ts";

/**
 * The OpenAPI 3.1 document of these routes.
 *
 * @throws Error for a route that is not described
 */
export function openApiDocument(routes: readonly Route[], version: string): ReturnType<typeof createDocument> {
  return createDocument({
    openapi: "3.1.0",
    info: {
      title: "Admin API of the usage proxy",
      version,
      description: "Instants are ISO 8601. Refusals are problem+json. A path or method that is not here is 404 or 405.",
    },
    // From where this document is: another server may show all of it under a path of its own.
    servers: [{ url: "../" }],
    paths: Object.fromEntries(routes.map((route) => [templateOf(route.path), operationsOf(route)])),
    components: {
      schemas: { Live: liveReport },
      securitySchemes: { token: { type: "http", scheme: "bearer", description: "Where admin.token is configured." } },
    },
  });
}

const PARAMETER = /:(\w+)/g;

function templateOf(path: string): string {
  return path.replaceAll(PARAMETER, "{$1}");
}

function operationsOf({ path, methods }: Route): Record<string, ZodOpenApiOperationObject> {
  const described = (DESCRIPTIONS as Readonly<Record<string, Described>>)[path] ?? {};
  const operations = Object.keys(methods).map((method) => {
    const operation = described[method as keyof Described];
    if (operation === undefined) throw new Error(`${method} ${path} is not described.`);
    return [method.toLowerCase(), operationObject(path, method, operation)] as const;
  });
  return Object.fromEntries(operations);
}

function operationObject(path: string, method: string, operation: Operation): ZodOpenApiOperationObject {
  const { summary, isOpen = false, query, header, body } = operation;
  const names = Array.from(path.matchAll(PARAMETER), ([, name = ""]) => name);
  return {
    operationId: idOf(path, method),
    summary,
    security: isOpen ? [] : [{}, { token: [] }],
    requestParams: {
      ...(names.length > 0 && { path: z.object(Object.fromEntries(names.map((name) => [name, z.string()]))) }),
      ...(query && { query }),
      ...(header && { header }),
    },
    ...(body && {
      requestBody: { required: body.required, content: { "application/json": { schema: inputSchema(body.schema) } } },
    }),
    responses: responsesOf(operation, path.startsWith("/api/")),
  };
}

/** Such as `postBackendsDrain`. */
function idOf(path: string, method: string): string {
  const words = path.split(/[/.]/).filter((part) => !/^(?:api|json|:.*|)$/.test(part));
  return [method.toLowerCase(), ...words.map((word) => `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`)].join("");
}

/** Looser than the check of the body: what only code can tell is not in it. */
function inputSchema(schema: z.ZodType): object {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return json;
}

function responsesOf(operation: Operation, isOfApi: boolean): ZodOpenApiResponsesObject {
  const { answers, isOpen = false, isRevised = false } = operation;
  const problems: NonNullable<Operation["problems"]> = {
    ...(isOfApi && { 400: "The path or the query is not what is taken here." }),
    ...(!isOpen && { 401: "The token is missing, or another one." }),
    403: "The Host header names no host of this listener, or a page of another site asks.",
    500: "Something went wrong inside.",
    ...operation.problems,
  };
  const headers = isRevised && {
    headers: z.object({ etag: z.string().optional().meta({ description: "The revision, in quotes." }) }),
  };
  const answered = Object.entries(answers).map(([status, answer]) => {
    const isJson = answer instanceof z.ZodType;
    const content = isJson ? { "application/json": { schema: answer } } : { [answer.type]: { schema: z.string() } };
    return [status, { description: status === "201" ? "It is new." : "It is so.", content, ...headers }] as const;
  });
  const refused = Object.entries(problems).map(([status, given]) => {
    const [description, schema] =
      typeof given === "string" ? [given, problem] : [given.why, z.object({ ...problem.shape, ...given.more.shape })];
    return [status, { description, content: { "application/problem+json": { schema } } }] as const;
  });
  return Object.fromEntries([...answered, ...refused]);
}
