import type { Readiness } from "../readiness.ts";
import { apiRoutes } from "./api/api-routes.ts";
import { dashboardRoutes } from "./dashboard-files.ts";
import { healthRoutes } from "./health.ts";
import { type MetricsParts, metricsRoutes } from "./metrics/metrics.ts";
import { openApiRoute } from "./openapi/openapi-route.ts";
import type { Route } from "./routes.ts";

export type AdminParts = Parameters<typeof apiRoutes>[0] & MetricsParts & { readonly readiness: Readiness };

/** All that the admin listener answers; its document describes all of it but the page. */
export function adminRoutes(parts: AdminParts): readonly Route[] {
  const described = [...apiRoutes(parts), ...metricsRoutes(parts), ...healthRoutes(parts.readiness)];
  return [...dashboardRoutes(), ...described, openApiRoute(described)];
}
