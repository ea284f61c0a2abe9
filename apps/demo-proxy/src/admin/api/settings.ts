import { isDeepStrictEqual } from "node:util";
import { messageOf } from "../../log/message-of.ts";
import type { LiveConfig } from "../../process/live-config.ts";
import type { SettingName, Wish } from "../../process/settings.ts";
import { jsonPieces } from "../json-pieces.ts";
import { type Answer, badRequest, okBytes, refuse } from "../problem.ts";
import { queryTrouble } from "../query-filters.ts";
import type { RouteRequest } from "../routes.ts";
import { troubleOf } from "./grant-body.ts";
import { settingBodies, trailBody } from "./setting-body.ts";
import { type SettingReport, type SettingSources, settingReport, valueInForce } from "./setting-report.ts";
import type { ApiParts } from "./usage-report.ts";
import { withStore } from "./with-store.ts";

export interface SettingParts extends Pick<ApiParts, "router" | "tracker" | "store" | "turns">, SettingSources {
  readonly reapply: LiveConfig["reapply"];
  readonly inFile: LiveConfig["inFile"];
}

interface Signed {
  readonly by?: string | undefined;
  readonly reason?: string | undefined;
}

/** Answers a PUT: the setting is this from now on, whatever the file says. */
export function putSetting(
  parts: SettingParts,
  setting: "limits" | "thresholds",
  request: RouteRequest,
): Promise<Answer> {
  return changed(parts, setting, request, async () => {
    const body = await request.readJson();
    if ("refusal" in body) return body;
    const { data, error } = settingBodies[setting].safeParse(body.value);
    if (error !== undefined) return { refusal: badRequest(`Nothing was changed. ${troubleOf(error)}`) };
    const { by, reason, ...given } = data as Signed & Partial<Record<string, object>>;
    const value = given[setting] ?? {};
    const counted: readonly string[] = parts.tracker.counter.dimensions;
    const unknown = setting === "limits" ? Object.keys(value).find((name) => !counted.includes(name)) : undefined;
    if (unknown === undefined) return { value, by, reason };
    const detail = `Nothing was changed. limits.${unknown}: is not counted; counted are ${counted.join(", ")}`;
    return { refusal: badRequest(detail) };
  });
}

/** Answers a DELETE: the setting is what the file says again. */
export function deleteSetting(
  parts: SettingParts,
  setting: "limits" | "thresholds",
  request: RouteRequest,
): Promise<Answer> {
  return changed(parts, setting, request, () => signed(request, undefined));
}

/** Draining never discards: no new requests, those that run end, and what is counted stays counted. It lasts until it is resumed. */
export async function drain(parts: SettingParts, request: RouteRequest): Promise<Answer> {
  return setDrained(parts, request, true);
}

/** Only what the configuration still has takes requests again. */
export async function resume(parts: SettingParts, request: RouteRequest): Promise<Answer> {
  const { name = "" } = request.params;
  const isKnown = parts.router.upstreams.some((upstream) => upstream.name === name);
  if (!isKnown || parts.inFile(name) !== undefined) return setDrained(parts, request, false);
  const detail = "The backend is not in the configuration any more; add it there, and it resumes.";
  return refuse({ status: 409, title: "Conflict", detail });
}

/** Answers `GET /api/changes`: who changed what, the latest first, grants included. */
export async function listChanges(
  { settings, store, turns, inFile }: SettingParts,
  { query }: RouteRequest,
): Promise<Answer> {
  const trouble = queryTrouble(query, ["backend"]);
  if (trouble !== undefined) return badRequest(trouble);
  const backend = query.get("backend") || undefined;
  return withStore(async () => {
    const [changes, grants] = await Promise.all([settings.trail(), store.grants?.(backend ? { backend } : {}) ?? []]);
    const granted = grants.map(({ id, period, amounts, by, reason, createdAt }, index) => ({
      revision: null,
      backend: grants[index]?.backend ?? "",
      setting: "grant",
      before: null,
      after: { id, period, amounts },
      by: by ?? null,
      reason,
      at: createdAt,
    }));
    const changed = changes
      .filter((change) => backend === undefined || change.backend === backend)
      .map(({ revision, backend, setting, before = null, value = null, by = null, reason = null, createdAt }) => {
        return { revision, backend, setting, before, after: value, by, reason, at: createdAt };
      });
    const list = [...changed, ...granted].sort((a, b) => b.at - a.at || (b.revision ?? 0) - (a.revision ?? 0));
    const unused = settings.overridden().filter((name) => inFile(name) === undefined);
    const rows = list.map((change) => ({ ...change, at: new Date(change.at).toISOString() }));
    return okBytes(await turns.encode(jsonPieces({ unused }, "changes", rows)));
  });
}

type Wanted = ({ readonly value: unknown } & Signed) | { readonly refusal: Answer };

/** What a body that may be missing says of who changes a setting, and why. */
async function signed(request: RouteRequest, value: unknown): Promise<Wanted> {
  const { "content-length": length, "transfer-encoding": encoding } = request.headers;
  if (encoding === undefined && (length === undefined || length === "0")) return { value };
  const body = await request.readJson();
  if ("refusal" in body) return body;
  const { data, error } = trailBody.safeParse(body.value);
  if (error !== undefined) return { refusal: badRequest(`Nothing was changed. ${troubleOf(error)}`) };
  return { value, ...data };
}

async function setDrained(parts: SettingParts, request: RouteRequest, drained: boolean): Promise<Answer> {
  const { router, inFile } = parts;
  const find = () => router.upstreams.find(({ name }) => name === request.params.name);
  const upstream = find();
  // It drains because it is in the configuration no more.
  if (upstream !== undefined && inFile(upstream.name) === undefined) return drainingAnswer(upstream);
  return changed(
    parts,
    "drained",
    request,
    () => signed(request, drained ? true : undefined),
    () => {
      const { draining = drained, inFlight = 0 } = find() ?? {};
      return { draining, inFlight };
    },
  );
}

function drainingAnswer({ name, draining, inFlight }: { name: string; draining: boolean; inFlight: number }): Answer {
  return { status: 200, headers: { "content-type": "application/json" }, body: { name, draining, inFlight } };
}

async function changed(
  parts: SettingParts,
  setting: SettingName,
  request: RouteRequest,
  want: () => Promise<Wanted>,
  more: () => object = () => ({}),
): Promise<Answer> {
  const { settings, reapply, inFile } = parts;
  const { name: backend = "" } = request.params;
  const isOverridden = settings.of(backend, setting)?.value !== undefined;
  // What was changed of a backend that is gone can only be taken back.
  if (inFile(backend) === undefined && !isOverridden) {
    return refuse({ status: 404, title: "Not found", detail: "No backend has this name; GET /api/usage lists them." });
  }
  const follows = revisionIn(request.headers["if-match"]);
  if (follows === null) return badRequest('Nothing was changed. If-Match is a revision, such as "7".');
  const wanted = await want();
  if ("refusal" in wanted) return wanted.refusal;
  const { value, by = request.address, reason } = wanted;
  try {
    await settings.load();
    const last = settings.of(backend, setting);
    // What another instance has changed just now is not in force here yet.
    const before = last?.value ?? valueInForce(parts, backend, setting);
    const wish: Wish = { backend, setting, value, before, by, reason, follows };
    const isNoChange =
      isDeepStrictEqual(last?.value, value) && (follows ?? last?.revision ?? 0) === (last?.revision ?? 0);
    const isKept = isNoChange || (await settings.change(wish)) !== undefined;
    // fault: keeps a change, and goes on as before
    await reapply();
    const report = settingReport(settings.of(backend, setting), valueInForce(parts, backend, setting));
    if (!isKept) return overtaken(setting, report);
    return {
      status: 200,
      headers: { "content-type": "application/json", etag: `"${report.revision}"` },
      body: { name: backend, setting, ...report, ...more() },
    };
  } catch (error) {
    const detail = `${messageOf(error)}. It may be changed all the same: GET /api/changes says so, once the store is back.`;
    return refuse({ status: 503, title: "The store failed", detail });
  }
}

/** Undefined: whatever is there; null: what is no revision. */
function revisionIn(header: string | undefined): number | undefined | null {
  if (header === undefined || header === "*") return undefined;
  const [, digits] = /^"(\d{1,15})"$/.exec(header) ?? [];
  return digits === undefined ? null : Number(digits);
}

/** Says what is in force instead, so that whoever tries again has seen it. */
function overtaken(setting: SettingName, report: SettingReport): Answer {
  const { by, at, revision } = report;
  const who = at === null ? "" : ` by ${by ?? "somebody"} at ${at}`;
  const detail = `Nothing was changed: it was changed meanwhile${who}. Look at it again, and send its revision in If-Match.`;
  const headers = { etag: `"${revision}"` };
  return refuse({ status: 412, title: "Precondition failed", detail, headers, more: { setting, ...report } });
}
