import type { IncomingMessage } from "node:http";
import type { Demand } from "./admission/route.ts";
import * as problems from "./answers/problem.ts";
import type { BodyLength } from "./http/framing.ts";
import { type Passage, requestHeaders } from "./http/headers.ts";
import { pathOfTarget } from "./http/target.ts";
import { RequestBody } from "./request-body.ts";
import { opensWebSocket } from "./websockets/upgrade.ts";

/** What the request's `Expect` header asks for; "unknown" is refused. */
export type Expectation = "none" | "continue" | "unknown";

/** A request as it will be sent, to whichever upstream. */
export interface Outgoing {
  readonly demand: Demand;
  readonly path: string;
  readonly headers: string[];
  readonly body: RequestBody | null;
  /** Whether it is to open a WebSocket. */
  readonly upgrades: boolean;
}

/** A client's request as it will be sent, or why it will not be. */
export function outgoingRequest(
  request: IncomingMessage,
  bodyLength: BodyLength | undefined,
  expectation: Expectation,
  passage: Passage & { /** Whether it may open a WebSocket. */ readonly upgrades: boolean },
): Outgoing | problems.Problem {
  // fault: sends on what it has sent itself
  if (request.headers.via?.includes(passage.pseudonym)) return problems.LOOP;
  if (bodyLength === undefined) return problems.BAD_FRAMING;
  if (expectation === "unknown") return problems.EXPECTATION_REFUSED;
  const path = pathOfTarget(request.url ?? "");
  if (path === undefined) return problems.BAD_TARGET;
  const { upgrades } = passage;
  if (opensWebSocket(request) && !upgrades) return problems.UPGRADE_REFUSED;
  const headers = requestHeaders(request, bodyLength, passage);
  if (headers === undefined) return problems.BAD_REQUEST;
  return {
    demand: { bodyLength: upgrades ? "chunked" : bodyLength, expectsBody: request.method !== "HEAD", request, path },
    path,
    headers,
    body: bodyLength === 0 ? null : new RequestBody(request),
    upgrades,
  };
}
