import type { ProxyConfig } from "../../config/proxy-config.ts";
import type { KnownChange, SettingName, Settings } from "../../process/settings.ts";

export interface SettingSources {
  readonly settings: Settings;
  /** The configuration in force. */
  readonly inForce: () => Pick<ProxyConfig, "thresholds" | "backends">;
}

/** A setting of a backend, and where it comes from. */
export interface SettingReport {
  readonly from: "file" | "api";
  /** Null where the backend is not in the file any more. */
  readonly value: unknown;
  /** Of its last change; 0 where there was none. */
  readonly revision: number;
  /** Who changed it last, and when; null where nobody did, or nobody says. */
  readonly by: string | null;
  readonly at: string | null;
}

export type BackendSettingsReport = Readonly<Record<SettingName, SettingReport>>;

/** What says of a backend which settings are in force, and where each comes from. */
export function settingReports({ settings, inForce }: SettingSources): (name: string) => BackendSettingsReport {
  const { thresholds, backends } = inForce();
  const own = new Map(backends.map((backend) => [backend.name, backend]));
  return (name) => {
    const backend = own.get(name);
    return {
      limits: settingReport(settings.of(name, "limits"), backend?.limits),
      thresholds: settingReport(settings.of(name, "thresholds"), backend && (backend.thresholds ?? thresholds)),
      drained: settingReport(settings.of(name, "drained"), settings.isDrained(name)),
    };
  };
}

/** The same of those settings alone that somebody has ever changed by API. */
export function changedSettings(sources: SettingSources): (name: string) => Partial<BackendSettingsReport> {
  const reports = settingReports(sources);
  return (name) => Object.fromEntries(Object.entries(reports(name)).filter(([, { revision }]) => revision > 0));
}

export function settingReport(last: KnownChange | undefined, value: unknown): SettingReport {
  return {
    from: last?.value === undefined ? "file" : "api",
    value: value ?? null,
    revision: last?.revision ?? 0,
    by: last?.by ?? null,
    at: last === undefined ? null : new Date(last.createdAt).toISOString(),
  };
}

export function valueInForce({ settings, inForce }: SettingSources, name: string, setting: SettingName): unknown {
  if (setting === "drained") return settings.isDrained(name);
  const config = inForce();
  const own = config.backends.find((backend) => backend.name === name);
  return setting === "limits" ? own?.limits : own && (own.thresholds ?? config.thresholds);
}
