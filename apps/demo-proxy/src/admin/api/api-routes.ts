import { inOnePeriod } from "../in-one-period.ts";
import { jsonPieces } from "../json-pieces.ts";
import { type Answer, ok, okBytes } from "../problem.ts";
import type { Route } from "../routes.ts";
import type { ApiParts } from "./api-parts.ts";
import { audit } from "./audit/audit.ts";
import { auditClients } from "./audit/client-audit.ts";
import { type ChangesParts, listChanges } from "./changes.ts";
import { type ClientParts, listClients } from "./clients.ts";
import { grantToClient, listClientGrants } from "./grants/client-grants.ts";
import { type GrantParts, grant, listGrants } from "./grants/grants.ts";
import { history } from "./history/history.ts";
import { type InstanceParts, instances } from "./instances.ts";
import { EventStream } from "./live/events.ts";
import { type LiveLook, lookLive } from "./live/live-look.ts";
import type { LiveParts } from "./live/live-report.ts";
import { release } from "./release.ts";
import { deleteSetting, drain, PUT_SETTINGS, putSetting, resume, type SettingParts } from "./settings/settings.ts";
import { type ThresholdParts, thresholdPieces } from "./thresholds.ts";
import { lastFlush, usagePieces } from "./usage/usage-report.ts";
import { listWebhooks, type WebhookParts } from "./webhooks.ts";
import { withStore } from "./with-store.ts";

/** Every path below `/api`. */
export function apiRoutes(
  parts: LiveParts &
    ThresholdParts &
    WebhookParts &
    GrantParts &
    ClientParts &
    InstanceParts &
    SettingParts &
    ChangesParts,
): readonly Route[] {
  const { tracker, turns, clock } = parts;
  const inOne = (pieces: () => Iterable<string>) => inOnePeriod(tracker.counter, () => turns.encode(pieces()));
  const events = new EventStream<LiveLook>({ look: (number, last) => lookLive(parts, number, last), clock });
  return [
    { path: "/api/usage", methods: { GET: async () => okBytes(await inOne(() => usagePieces(parts))) } },
    { path: "/api/events", methods: { GET: () => events.answer() } },
    {
      path: "/api/history",
      query: ["by", "backend", "from", "to", "of"],
      methods: { GET: (request) => history(parts, request) },
    },
    { path: "/api/instances", methods: { GET: () => instances(parts) } },
    { path: "/api/audit", methods: { GET: () => withStore(() => answerAudit(parts)) } },
    { path: "/api/thresholds", methods: { GET: async () => okBytes(await inOne(() => thresholdPieces(parts))) } },
    { path: "/api/webhooks", methods: { GET: () => listWebhooks(parts) } },
    {
      path: "/api/clients",
      query: ["search", "limit", "offset"],
      methods: { GET: (request) => listClients(parts, request) },
    },
    {
      path: "/api/clients/audit",
      query: ["client", "window"],
      methods: { GET: (request) => auditClients(parts, request) },
    },
    { path: "/api/grants", query: ["backend", "period"], methods: { GET: (request) => listGrants(parts, request) } },
    {
      path: "/api/changes",
      query: ["backend", "client", "plan", "limit", "offset"],
      methods: { GET: (request) => listChanges(parts, request) },
    },
    { path: "/api/flush", methods: { POST: () => flush(parts) } },
    { path: "/api/backends/:name/drain", methods: { POST: (request) => drain(parts, request) } },
    { path: "/api/backends/:name/grants", methods: { POST: (request) => grant(parts, request) } },
    {
      path: "/api/clients/:name/grants",
      query: ["period"],
      methods: {
        GET: (request) => listClientGrants(parts, request),
        POST: (request) => grantToClient(parts, request),
      },
    },
    { path: "/api/backends/:name/release", methods: { POST: (request) => release(parts, request) } },
    { path: "/api/backends/:name/resume", methods: { POST: (request) => resume(parts, request) } },
    ...PUT_SETTINGS.map((put): Route => {
      return {
        path: `/api/${put.kind}s/:name/${put.setting}`,
        methods: {
          PUT: (request) => putSetting(parts, put, request),
          DELETE: (request) => deleteSetting(parts, put, request),
        },
      };
    }),
  ];
}

async function answerAudit(parts: LiveParts): Promise<Answer> {
  const { rows, ...report } = await audit(parts);
  return okBytes(await parts.turns.encode(jsonPieces(report, "rows", rows)));
}

function flush({ flusher, clientUsage }: ApiParts & Pick<ClientParts, "clientUsage">): Promise<Answer> {
  return withStore(async () => {
    // fault: flushes backends alone
    await Promise.all([flusher.flush(), clientUsage.flush()]);
    return ok({ lastFlush: lastFlush(flusher) });
  });
}
