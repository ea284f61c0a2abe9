import { z } from "zod";
import { CLIENT_WINDOWS } from "../../../clients/client-windows.ts";
import {
  amounts,
  type Described,
  instant,
  maybeText,
  NO_BACKEND,
  NO_CLIENT,
  ODD_BODY,
  STORE_FAILED,
} from "../../openapi/operation.ts";
import { clientGrantBody, grantBody } from "../grants/grant-body.ts";

const trail = {
  id: z.string(),
  amounts,
  reason: z.string(),
  by: maybeText,
  grantedAt: instant.meta({ description: "By the store's clock." }),
};

const report = z.object({ backend: z.string(), ...trail }).meta({ id: "Grant" });
const clientReport = z.object({ period: z.string(), ...trail }).meta({ id: "ClientGrant" });

export const grants = {
  GET: {
    summary: "What was granted in a period, the latest first.",
    query: z.object({
      period: z.string().optional().meta({ description: "Such as 2026-01; the current one unless told." }),
      backend: z.string().optional(),
    }),
    answers: { 200: z.object({ period: z.string(), grants: z.array(report) }) },
    problems: { 400: "The query is not what is taken here.", 404: NO_BACKEND, 503: STORE_FAILED },
  },
} as const satisfies Described;

const granted = z
  .object({ name: z.string(), period: z.string(), id: z.string(), amounts, granted: amounts, limits: amounts })
  .meta({ id: "Granted" });

const refused = {
  ...ODD_BODY,
  409: "Another period, or other amounts under this id; nothing was granted.",
  503: `${STORE_FAILED} It may be granted all the same: send it again.`,
} as const;

export const grant = {
  POST: {
    summary: "Raises limits for what is left of the period, once for each id.",
    body: { schema: grantBody, required: true },
    answers: { 200: granted, 201: granted },
    problems: { ...refused, 404: NO_BACKEND },
  },
} as const satisfies Described;

const grantedToClient = granted
  .extend({ window: z.enum(CLIENT_WINDOWS).meta({ description: "The one that the period is of." }) })
  .meta({ id: "GrantedToClient" });

export const clientGrants = {
  GET: {
    summary: "What was granted to a client, the latest first.",
    query: z.object({ period: z.string().optional().meta({ description: "Such as 2026-01 or day:2026-01-31." }) }),
    answers: { 200: z.object({ client: z.string(), grants: z.array(clientReport) }) },
    problems: { 400: "The query is not what is taken here.", 404: NO_CLIENT, 503: STORE_FAILED },
  },
  POST: {
    summary: "Raises limits of a client for what is left of a period, once for each id.",
    body: { schema: clientGrantBody, required: true },
    answers: { 200: grantedToClient, 201: grantedToClient },
    problems: { ...refused, 404: NO_CLIENT },
  },
} as const satisfies Described;
