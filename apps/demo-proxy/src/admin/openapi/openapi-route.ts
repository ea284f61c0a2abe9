import { packageVersion } from "../../log/version.ts";
import type { TextAnswer } from "../problem.ts";
import type { Route } from "../routes.ts";

/** What describes these routes, and itself. It is made when it is first asked for, and what makes it is loaded then. */
export function openApiRoute(routes: readonly Route[]): Route {
  let made: Promise<string> | undefined;
  const answer = async (): Promise<TextAnswer> => {
    made ??= openApiText([...routes, own]);
    return { status: 200, headers: { "content-type": "application/json" }, text: await made };
  };
  const own: Route = { path: "/api/openapi.json", methods: { GET: answer } };
  return own;
}

async function openApiText(routes: readonly Route[]): Promise<string> {
  const { openApiDocument } = await import("./document.ts");
  return `${JSON.stringify(openApiDocument(routes, packageVersion()))}\n`;
}
