import type { ProxyConfig } from "../../../config/proxy-config.ts";
import type { KnownChange, SettingName, SettingSubject } from "../../../process/setting-subject.ts";
import type { Settings } from "../../../process/settings.ts";

export interface SettingSources {
  readonly settings: Settings;
  /** The configuration in force. */
  readonly inForce: () => Pick<ProxyConfig, "thresholds" | "backends" | "clients" | "plans" | "terms">;
}

/** A setting, and where it comes from. */
export interface SettingReport {
  readonly from: "file" | "api";
  /** Null where whose setting it is is not in the file any more, and of a client that has no plan. */
  readonly value: unknown;
  /** Of its last change; 0 where there was none. */
  readonly revision: number;
  /** Who changed it last, and when; null where nobody did, or nobody says. */
  readonly by: string | null;
  readonly at: string | null;
}

export type BackendSettingsReport = Readonly<Record<"limits" | "thresholds" | "drained", SettingReport>>;
export type ClientSettingsReport = Readonly<Record<"limits" | "plan", SettingReport>>;
export type PlanSettingsReport = Readonly<Record<"limits", SettingReport>>;

/** What says of a backend which settings are in force, and where each comes from. */
export function settingReports({ settings, inForce }: SettingSources): (name: string) => BackendSettingsReport {
  const { thresholds, backends } = inForce();
  const own = new Map(backends.map((backend) => [backend.name, backend]));
  return (name) => {
    const subject = { kind: "backend", name } as const;
    const backend = own.get(name);
    return {
      limits: settingReport(settings.of(subject, "limits"), backend?.limits),
      thresholds: settingReport(settings.of(subject, "thresholds"), backend && (backend.thresholds ?? thresholds)),
      drained: settingReport(settings.of(subject, "drained"), settings.isDrained(name)),
    };
  };
}

/** The same of those settings alone that somebody has ever changed by API. */
export function changedSettings(sources: SettingSources): (name: string) => Partial<BackendSettingsReport> {
  const reports = settingReports(sources);
  return (name) => Object.fromEntries(Object.entries(reports(name)).filter(([, { revision }]) => revision > 0));
}

/** The same of some clients. */
export function clientSettings(
  { settings, inForce }: SettingSources,
  names: ReadonlySet<string>,
): (name: string) => ClientSettingsReport {
  const { clients = [] } = inForce();
  const own = new Map(clients.filter(({ name }) => names.has(name)).map((client) => [client.name, client]));
  return (name) => {
    const subject = { kind: "client", name } as const;
    const client = own.get(name);
    return {
      limits: settingReport(settings.of(subject, "limits"), client && (client.limits ?? {})),
      plan: planReport(settings.of(subject, "plan"), client?.plan),
    };
  };
}

/** Those of all plans. */
export function planSettings({ settings, inForce }: SettingSources): Readonly<Record<string, PlanSettingsReport>> {
  const reports = Array.from(inForce().plans ?? [], ([name, limits]) => {
    return [name, { limits: settingReport(settings.of({ kind: "plan", name }, "limits"), limits) }] as const;
  });
  return Object.fromEntries(reports);
}

/** The plan that a client was given by API, where the file does not have it any more. */
export function missingPlan({ settings, inForce }: SettingSources, name: string): string | null {
  const plan = settings.of({ kind: "client", name }, "plan")?.value;
  return typeof plan !== "string" || inForce().plans?.has(plan) ? null : plan;
}

/** A setting as it is now. */
export function reportOf(sources: SettingSources, subject: SettingSubject, setting: SettingName): SettingReport {
  const [last, value] = [sources.settings.of(subject, setting), valueInForce(sources, subject, setting)];
  return setting === "plan" ? planReport(last, value) : settingReport(last, value);
}

/** One that is gone from the file is not in force. */
function planReport(last: KnownChange | undefined, value: unknown): SettingReport {
  const report = settingReport(last, value);
  return (last?.value ?? null) === report.value ? report : { ...report, from: "file" };
}

function settingReport(last: KnownChange | undefined, value: unknown): SettingReport {
  return {
    from: last?.value === undefined ? "file" : "api",
    value: value ?? null,
    revision: last?.revision ?? 0,
    by: last?.by ?? null,
    at: last === undefined ? null : new Date(last.createdAt).toISOString(),
  };
}

/** Undefined: there is none. */
export function valueInForce(
  { settings, inForce }: SettingSources,
  { kind, name }: SettingSubject,
  setting: SettingName,
): unknown {
  const config = inForce();
  if (kind === "plan") return config.plans?.get(name);
  if (kind === "client") {
    const own = config.clients?.find((client) => client.name === name);
    return setting === "limits" ? own && (own.limits ?? {}) : own?.plan;
  }
  if (setting === "drained") return settings.isDrained(name);
  const own = config.backends.find((backend) => backend.name === name);
  return setting === "limits" ? own?.limits : own && (own.thresholds ?? config.thresholds);
}
