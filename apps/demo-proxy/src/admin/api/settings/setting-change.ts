import { isDeepStrictEqual } from "node:util";
import { messageOf } from "../../../log/message-of.ts";
import type { LiveConfig } from "../../../process/live-config.ts";
import type { SettingName, SettingSubject, SubjectKind } from "../../../process/setting-subject.ts";
import type { Wish } from "../../../process/settings.ts";
import { type Answer, badRequest, ok, refuse } from "../../problem.ts";
import type { RouteRequest } from "../../routes.ts";
import { reportOf, type SettingReport, type SettingSources, valueInForce } from "./setting-report.ts";

export interface ChangeParts extends SettingSources {
  readonly reapply: LiveConfig["reapply"];
  readonly isInFile: LiveConfig["isInFile"];
}

/** What somebody wants a setting to be, undefined being what the file says, or why that is refused. */
export type Wanted =
  | { readonly value: unknown; readonly by?: string | undefined; readonly reason?: string | undefined }
  | { readonly refusal: Answer };

export interface AskedChange {
  readonly subject: SettingSubject;
  readonly setting: SettingName;
  /** Nothing of the body is read before. */
  readonly want: () => Promise<Wanted>;
  /** What the answer says besides. @default nothing */
  readonly more?: () => object;
}

const LISTED: Readonly<Record<SubjectKind, string>> = {
  backend: "No backend has this name; GET /api/usage lists them.",
  client: "No client has this name; GET /api/clients lists them.",
  plan: "No plan has this name; GET /api/clients lists them.",
};

export function noSuch(kind: SubjectKind): Answer {
  return refuse({ status: 404, title: "Not found", detail: LISTED[kind] });
}

/** Keeps a change, and takes it over: both, or neither as far as is known. */
export async function changeSetting(
  parts: ChangeParts,
  request: RouteRequest,
  { subject, setting, want, more = () => ({}) }: AskedChange,
): Promise<Answer> {
  const { settings, reapply, isInFile } = parts;
  const isOverridden = settings.of(subject, setting)?.value !== undefined;
  // What was changed of something that is gone can only be taken back.
  if (!isInFile(subject) && !isOverridden) return noSuch(subject.kind);
  const follows = revisionIn(request.headers["if-match"]);
  if (follows === null) return badRequest('Nothing was changed. If-Match is a revision, such as "7".');
  const wanted = await want();
  if ("refusal" in wanted) return wanted.refusal;
  const { value, by = request.address, reason } = wanted;
  if (!isInFile(subject) && value !== undefined) return noSuch(subject.kind);
  try {
    await settings.load();
    const last = settings.of(subject, setting);
    // What another instance has changed just now is not in force here yet.
    const before = last?.value !== undefined ? last.value : valueInForce(parts, subject, setting);
    const wish: Wish = { subject, setting, value, before, by, reason, follows };
    const isNoChange =
      isDeepStrictEqual(last?.value, value) && (follows ?? last?.revision ?? 0) === (last?.revision ?? 0);
    const isKept = isNoChange || (await settings.change(wish)) !== undefined;
    // fault: keeps a change, and goes on as before
    await reapply();
    const report = reportOf(parts, subject, setting);
    if (!isKept) return overtaken(setting, report);
    const answer = ok({ name: subject.name, setting, ...report, ...more() });
    return { ...answer, headers: { ...answer.headers, etag: `"${report.revision}"` } };
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
