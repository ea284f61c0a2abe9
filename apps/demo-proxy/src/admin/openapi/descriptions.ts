import { z } from "zod";
import { audit, clientAudit } from "../api/schemas/audit.ts";
import {
  changes,
  limits,
  limitsOfClient,
  limitsOfPlan,
  planOfClient,
  thresholdsOfBackend,
} from "../api/schemas/changes.ts";
import { clients } from "../api/schemas/clients.ts";
import { drain, flush, release, resume } from "../api/schemas/commands.ts";
import { clientGrants, grant, grants } from "../api/schemas/grants.ts";
import { history } from "../api/schemas/history.ts";
import { instances } from "../api/schemas/instances.ts";
import { events } from "../api/schemas/live.ts";
import { thresholds, webhooks } from "../api/schemas/thresholds.ts";
import { usage } from "../api/schemas/usage.ts";
import { TEXT_FORMAT } from "../metrics/text-format.ts";
import type { Described } from "./operation.ts";

/** Of every path of the API; only who asks for the document loads this. */
export const DESCRIPTIONS = {
  "/api/usage": usage,
  "/api/events": events,
  "/api/history": history,
  "/api/instances": instances,
  "/api/audit": audit,
  "/api/thresholds": thresholds,
  "/api/webhooks": webhooks,
  "/api/clients": clients,
  "/api/clients/audit": clientAudit,
  "/api/grants": grants,
  "/api/changes": changes,
  "/api/flush": flush,
  "/api/backends/:name/drain": drain,
  "/api/backends/:name/grants": grant,
  "/api/backends/:name/release": release,
  "/api/backends/:name/resume": resume,
  "/api/backends/:name/limits": limits,
  "/api/backends/:name/thresholds": thresholdsOfBackend,
  "/api/clients/:name/grants": clientGrants,
  "/api/clients/:name/limits": limitsOfClient,
  "/api/clients/:name/plan": planOfClient,
  "/api/plans/:name/limits": limitsOfPlan,
  "/api/openapi.json": {
    GET: { summary: "This document.", answers: { 200: z.looseObject({ openapi: z.string() }) } },
  },
  "/metrics": { GET: { summary: "For Prometheus.", answers: { 200: { type: TEXT_FORMAT } } } },
  "/healthz": {
    GET: {
      summary: "Whether the process lives.",
      isOpen: true,
      answers: { 200: z.object({ status: z.literal("ok") }) },
    },
  },
  "/readyz": {
    GET: {
      summary: "Whether it takes requests.",
      isOpen: true,
      answers: { 200: z.object({ status: z.literal("ready") }) },
      problems: { 503: "It is starting or shutting down." },
    },
  },
} as const satisfies Readonly<Record<string, Described>>;
