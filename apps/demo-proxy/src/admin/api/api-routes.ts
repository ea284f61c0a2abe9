import { type Answer, ok } from "../problem.ts";
import type { Route } from "../routes.ts";
import { audit } from "./audit.ts";
import { drain, resume } from "./drain.ts";
import { EventStream } from "./events.ts";
import { history } from "./history.ts";
import { type LiveParts, liveReport } from "./live-report.ts";
import { type ApiParts, lastFlush, usageReport } from "./usage-report.ts";
import { withStore } from "./with-store.ts";

/** Every path below `/api`. */
export function apiRoutes(parts: LiveParts): readonly Route[] {
  const events = new EventStream({ report: () => liveReport(parts), clock: parts.clock });
  return [
    { path: "/api/usage", methods: { GET: () => ok(usageReport(parts)) } },
    { path: "/api/events", methods: { GET: () => events.answer() } },
    { path: "/api/history", methods: { GET: (request) => history(parts, request) } },
    { path: "/api/audit", methods: { GET: () => withStore(async () => ok(await audit(parts))) } },
    { path: "/api/flush", methods: { POST: () => flush(parts) } },
    { path: "/api/backends/:name/drain", methods: { POST: (request) => drain(parts, request) } },
    { path: "/api/backends/:name/resume", methods: { POST: (request) => resume(parts, request) } },
  ];
}

function flush({ flusher }: ApiParts): Promise<Answer> {
  return withStore(async () => {
    await flusher.flush();
    return ok({ lastFlush: lastFlush(flusher) });
  });
}
