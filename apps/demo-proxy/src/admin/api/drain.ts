import type { Upstream } from "../../proxy/upstream.ts";
import { type Answer, ok, refuse } from "../problem.ts";
import type { RouteRequest } from "../routes.ts";
import type { ApiParts } from "./usage-report.ts";

/** Draining never discards: no new requests, those that run end, and what is counted stays counted. */
export function drain(parts: ApiParts, request: RouteRequest): Answer {
  return withUpstream(parts, request, (upstream) => setDraining(upstream, true));
}

/** Only what the configuration still has takes requests again. */
export function resume(parts: ApiParts, request: RouteRequest): Answer {
  return withUpstream(parts, request, (upstream) => {
    if (parts.inForce().backends.some(({ name }) => name === upstream.name)) return setDraining(upstream, false);
    const detail = "The backend is not in the configuration any more; add it there, and it resumes.";
    return refuse({ status: 409, title: "Conflict", detail });
  });
}

function setDraining(upstream: Upstream, draining: boolean): Answer {
  upstream.draining = draining;
  return ok({ name: upstream.name, draining, inFlight: upstream.inFlight });
}

function withUpstream({ router }: ApiParts, { params }: RouteRequest, act: (upstream: Upstream) => Answer): Answer {
  const upstream = router.upstreams.find(({ name }) => name === params.name);
  if (upstream !== undefined) return act(upstream);
  return refuse({ status: 404, title: "Not found", detail: "No backend has this name; GET /api/usage lists them." });
}
