import type { z } from "zod";
import { noPlan } from "../../../config/no-plan.ts";
import { unknownKey } from "../../../config/schema/expected.ts";
import type { SettingName, SubjectKind } from "../../../process/setting-subject.ts";
import { type Answer, badRequest, ok, refuse } from "../../problem.ts";
import type { RouteRequest } from "../../routes.ts";
import type { ApiParts } from "../api-parts.ts";
import { troubleOf } from "../grants/grant-body.ts";
import { uncounted } from "../uncounted.ts";
import { settingBodies, trailBody } from "./setting-body.ts";
import { type ChangeParts, changeSetting, type Wanted } from "./setting-change.ts";

export type SettingParts = ChangeParts & Pick<ApiParts, "router" | "tracker">;

/** A setting that is put in place of what the file says, and taken back. */
export interface PutSetting {
  readonly kind: SubjectKind;
  readonly setting: SettingName;
  /** What a PUT takes. */
  readonly body: z.ZodType<Signed & Partial<Record<SettingName, unknown>>>;
  /** What is wrong with a value that is right by itself; undefined: nothing. */
  readonly troubleWith?: (value: unknown, parts: SettingParts, name: string) => string | undefined;
}

const { backend, client, plan } = settingBodies;

/** All of them, each at the path of its name. */
export const PUT_SETTINGS: readonly PutSetting[] = [
  { kind: "backend", setting: "limits", body: backend.limits, troubleWith: uncountedLimits },
  { kind: "backend", setting: "thresholds", body: backend.thresholds },
  { kind: "client", setting: "limits", body: client.limits, troubleWith: unknownInWindows },
  { kind: "client", setting: "plan", body: client.plan, troubleWith: unknownPlan },
  { kind: "plan", setting: "limits", body: plan.limits, troubleWith: unknownInWindows },
];

interface Signed {
  readonly by?: string | undefined;
  readonly reason?: string | undefined;
}

/** Answers a PUT: the setting is this from now on, whatever the file says. */
export function putSetting(parts: SettingParts, put: PutSetting, request: RouteRequest): Promise<Answer> {
  return changeSetting(parts, request, { ...subjectOf(put, request), want: () => wantedBy(parts, put, request) });
}

/** Answers a DELETE: the setting is what the file says again. */
export function deleteSetting(parts: SettingParts, put: PutSetting, request: RouteRequest): Promise<Answer> {
  return changeSetting(parts, request, { ...subjectOf(put, request), want: () => signed(request, undefined) });
}

/** Draining never discards: no new requests, those that run end, and what is counted stays counted. It lasts until it is resumed. */
export async function drain(parts: SettingParts, request: RouteRequest): Promise<Answer> {
  return setDrained(parts, request, true);
}

/** Only what the configuration still has takes requests again. */
export async function resume(parts: SettingParts, request: RouteRequest): Promise<Answer> {
  const { name = "" } = request.params;
  const isKnown = parts.router.upstreams.some((upstream) => upstream.name === name);
  if (!isKnown || parts.isInFile({ kind: "backend", name })) return setDrained(parts, request, false);
  const detail = "The backend is not in the configuration any more; add it there, and it resumes.";
  return refuse({ status: 409, title: "Conflict", detail });
}

function subjectOf({ kind, setting }: PutSetting, { params: { name = "" } }: RouteRequest) {
  return { subject: { kind, name }, setting };
}

async function wantedBy(
  parts: SettingParts,
  { setting, body: schema, troubleWith }: PutSetting,
  request: RouteRequest,
): Promise<Wanted> {
  const body = await request.readJson();
  if ("refusal" in body) return body;
  const { data, error } = schema.safeParse(body.value);
  if (error !== undefined) return refused(troubleOf(error));
  const { by, reason, [setting]: value } = data;
  const trouble = troubleWith?.(value, parts, request.params.name ?? "");
  return trouble === undefined ? { value, by, reason } : refused(trouble);
}

function refused(trouble: string): Wanted {
  return { refusal: badRequest(`Nothing was changed. ${trouble}`) };
}

function uncountedLimits(limits: unknown, parts: SettingParts, backend: string): string | undefined {
  const troubles = uncounted(parts, backend, Object.keys(Object(limits)));
  return troubles.length === 0 ? undefined : `limits.${troubles.join("; limits.")}`;
}

function unknownIn(path: string, limits: unknown, { tracker }: SettingParts): string | undefined {
  const counted: readonly string[] = tracker.counter.dimensions;
  const unknown = Object.keys(Object(limits)).find((name) => !counted.includes(name));
  return unknown && `${path}.${unknown}: ${unknownKey(unknown, counted.join(", "))}`;
}

function unknownInWindows(limits: unknown, parts: SettingParts): string | undefined {
  const windows = Object.entries(Object(limits));
  const troubles = windows.map(([window, amounts]) => unknownIn(`limits.${window}`, amounts, parts));
  return troubles.find((trouble) => trouble !== undefined);
}

function unknownPlan(plan: unknown, { inForce }: SettingParts): string | undefined {
  const plans = inForce().plans ?? new Map<string, unknown>();
  // fault: takes a plan by API that there is not
  if (typeof plan !== "string" || plans.has(plan)) return undefined;
  return `plan: ${noPlan(plan, [...plans.keys()])}`;
}

/** What a body that may be missing says of who changes a setting, and why. */
async function signed(request: RouteRequest, value: unknown): Promise<Wanted> {
  const { "content-length": length, "transfer-encoding": encoding } = request.headers;
  if (encoding === undefined && (length === undefined || length === "0")) return { value };
  const body = await request.readJson();
  if ("refusal" in body) return body;
  const { data, error } = trailBody.safeParse(body.value);
  return error === undefined ? { value, ...data } : refused(troubleOf(error));
}

async function setDrained(parts: SettingParts, request: RouteRequest, drained: boolean): Promise<Answer> {
  const { router, isInFile } = parts;
  const { name = "" } = request.params;
  const subject = { kind: "backend", name } as const;
  const find = () => router.upstreams.find((upstream) => upstream.name === name);
  const state = () => {
    const { draining = drained, inFlight = 0 } = find() ?? {};
    return { draining, inFlight };
  };
  // It drains because it is in the configuration no more.
  if (find() !== undefined && !isInFile(subject)) return ok({ name, ...state() });
  const want = () => signed(request, drained ? true : undefined);
  return changeSetting(parts, request, { subject, setting: "drained", want, more: state });
}
