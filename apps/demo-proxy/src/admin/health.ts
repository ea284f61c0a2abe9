import type { Readiness } from "../readiness.ts";
import { ok, refuse } from "./problem.ts";
import type { Route } from "./routes.ts";

/** For supervisors and load balancers: whether the process is alive, and whether it wants traffic. */
export function healthRoutes(readiness: Readiness): readonly Route[] {
  const notReady = { status: 503, title: "Not ready", detail: "The proxy is starting or shutting down." };
  return [
    { path: "/healthz", methods: { GET: () => ok({ status: "ok" }) } },
    { path: "/readyz", methods: { GET: () => (readiness.ready ? ok({ status: "ready" }) : refuse(notReady)) } },
  ];
}
