import type { IncomingHttpHeaders } from "node:http";
import type { JsonBody } from "./json-body.ts";
import { type Answer, badRequest, refuse } from "./problem.ts";
import { queryTrouble } from "./query-filters.ts";

export interface RouteRequest {
  /** The parts of the path that the route names, percent-decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** Where it comes from. */
  readonly address: string;
  /** Nothing of a body is read before. */
  readonly readJson: () => Promise<JsonBody>;
}

/** What came, as far as it is not in its path. */
export interface Asked extends Pick<RouteRequest, "readJson" | "headers" | "address"> {
  readonly method: string;
}

/** One path, its segments either fixed or named (`:name`), and what answers it by method. */
export interface Route {
  readonly path: string;
  /** What a GET may have in its query, each once; other methods of the API have nothing there. @default nothing */
  readonly query?: readonly string[];
  readonly methods: Readonly<
    Partial<Record<"GET" | "POST" | "PUT" | "DELETE", (request: RouteRequest) => Answer | Promise<Answer>>>
  >;
}

/** Answers with the route that fits: 404 when none has this path, 405 when it is there for other methods. */
export function dispatch(
  routes: readonly Route[],
  { method, ...asked }: Asked,
  target: string,
): Answer | Promise<Answer> {
  const [path = "", query = ""] = split(target);
  const segments = path.split("/").map(decode);
  if (!segments.every((segment) => segment !== undefined)) return badRequest("The path is not valid percent-encoding.");
  for (const route of routes) {
    const params = match(route.path.split("/"), segments);
    if (params === undefined) continue;
    const handler = Object.entries(route.methods).find(([name]) => name === (isGet(method) ? "GET" : method))?.[1];
    if (handler === undefined) return notAllowed(route);
    const asking = new URLSearchParams(query);
    const trouble = isLenient(route) ? undefined : queryTrouble(asking, isGet(method) ? (route.query ?? []) : []);
    return trouble === undefined ? handler({ params, query: asking, ...asked }) : badRequest(trouble);
  }
  return refuse({ status: 404, title: "Not found", detail: "There is nothing at this path." });
}

function isGet(method: string): boolean {
  return method === "GET" || method === "HEAD";
}

/** What probes and browsers ask for may have a query that is of no use here. */
function isLenient({ path }: Route): boolean {
  return !path.startsWith("/api/");
}

function split(target: string): [string, string] {
  const mark = target.indexOf("?");
  return mark === -1 ? [target, ""] : [target.slice(0, mark), target.slice(mark + 1)];
}

// The path is never normalised: a backend may be called `..` or have a slash in its name.
function decode(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

function match(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index] ?? "";
    if (part.startsWith(":")) params[part.slice(1)] = segment;
    else if (part !== segment) return undefined;
  }
  return params;
}

function notAllowed({ methods }: Route): Answer {
  const allow = Object.keys(methods).flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method]));
  const detail = `Only ${allow.join(", ")} can be used here.`;
  return refuse({ status: 405, title: "Method not allowed", detail, headers: { allow: allow.join(", ") } });
}
