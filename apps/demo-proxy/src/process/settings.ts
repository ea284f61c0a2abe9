import type { Clock, StoredChange, UsageStore } from "@usage/counter-core";
import type { BackendConfig, ProxyConfig } from "../config/proxy-config.ts";

/** What operators may change of a backend by API. */
export interface BackendSettings {
  readonly limits: BackendConfig["limits"];
  readonly thresholds: readonly number[];
  readonly drained: boolean;
}

export type SettingName = keyof BackendSettings;

/** Who changes a setting, and from what. */
export interface Wish {
  readonly backend: string;
  readonly setting: SettingName;
  /** Undefined: what the file says. */
  readonly value: unknown;
  readonly before: unknown;
  readonly by?: string | undefined;
  readonly reason?: string | undefined;
  /** See `Change`. */
  readonly follows?: number | undefined;
}

export interface SettingsOptions {
  readonly store: Pick<UsageStore, "change" | "changes">;
  readonly clock: Clock;
  /** Is told of each change that is in force from now on: of those that were kept before, of this instance's and of others'. @default nobody is */
  readonly onChange?: ((change: KnownChange) => void) | undefined;
  /** From the end of one look for changes of others to the next. @default 2_000 */
  readonly intervalMs?: number;
}

/** A change of a backend's setting. Undefined values: what the file says. */
export interface KnownChange extends Omit<StoredChange, "subject" | "setting" | "value" | "before"> {
  readonly backend: string;
  readonly setting: SettingName;
  readonly value: unknown;
  readonly before: unknown;
}

const SETTINGS: readonly string[] = ["limits", "thresholds", "drained"] satisfies readonly SettingName[];
const SUBJECT = /^backend (.+)$/s;

/** What operators have changed by API: kept in the store, and in place of what the file says until it is taken back. */
export class Settings {
  readonly #options: SettingsOptions;
  /** The last change of each setting, by backend. */
  readonly #last = new Map<string, Map<SettingName, KnownChange>>();
  #revision = 0;
  /** The last one that was taken over. */
  #applied: number | undefined;
  #reading: Promise<unknown> = Promise.resolve();
  #cancel: (() => void) | undefined;
  #isStopped = false;

  constructor(options: SettingsOptions) {
    this.#options = options;
  }

  /** Learns of changes. Rejects when the store fails, and has learned of none then. */
  load(): Promise<void> {
    const reading = this.#reading.then(async () => {
      const found = (await this.#options.store.changes?.({ after: this.#revision })) ?? [];
      const known = found.flatMap(changesOf);
      for (const change of known) {
        const settings = this.#last.get(change.backend) ?? new Map<SettingName, KnownChange>();
        this.#last.set(change.backend, settings.set(change.setting, change));
      }
      this.#revision = found.at(-1)?.revision ?? this.#revision;
      for (const change of known) {
        if (this.of(change.backend, change.setting) === change) this.#options.onChange?.(change);
      }
    });
    this.#reading = reading.catch(() => {});
    return reading;
  }

  /**
   * Looks for changes from now on, and calls `changed` when there were some, again and again until that goes well. A store that
   * fails is asked again.
   */
  watch(changed: () => Promise<unknown>): void {
    if (this.#options.store.changes === undefined || this.#isStopped) return;
    this.#applied ??= this.#revision;
    this.#cancel = this.#options.clock.after(this.#options.intervalMs ?? 2_000, async () => {
      try {
        // fault: never hears of what other instances have changed
        await this.load();
        const revision = this.#revision;
        // fault: forgets a change that could not be taken over
        if (revision !== this.#applied) await changed();
        this.#applied = revision;
      } catch {
        // The flush tells that the store is away.
      }
      this.watch(changed);
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  /** The last change of a setting, also one that takes it back; undefined where nobody has changed it. */
  of(backend: string, setting: SettingName): KnownChange | undefined {
    return this.#last.get(backend)?.get(setting);
  }

  isDrained(backend: string): boolean {
    return this.of(backend, "drained")?.value === true;
  }

  /** Backends of which settings are changed. */
  overridden(): readonly string[] {
    const isChanged = ([, settings]: readonly [string, ReadonlyMap<SettingName, KnownChange>]): boolean =>
      Array.from(settings.values()).some(({ value }) => value !== undefined);
    return Array.from(this.#last)
      .filter(isChanged)
      .map(([backend]) => backend);
  }

  /** The configuration that is in force where the file says this. */
  apply(file: ProxyConfig): ProxyConfig {
    const backends = file.backends.map((backend): BackendConfig => {
      const [limits, thresholds] = [this.of(backend.name, "limits")?.value, this.of(backend.name, "thresholds")?.value];
      return {
        ...backend,
        ...(limits !== undefined && { limits: limits as BackendSettings["limits"] }),
        ...(thresholds !== undefined && { thresholds: thresholds as BackendSettings["thresholds"] }),
      };
    });
    return { ...file, backends };
  }

  /** Keeps a change, and knows of it then. Resolves with undefined where somebody was faster. Rejects when the store fails. */
  async change({ backend, setting, value, before, by, reason, follows }: Wish): Promise<KnownChange | undefined> {
    const { store } = this.#options;
    if (store.change === undefined) throw new Error("this store keeps no settings");
    const stored = await store.change({
      subject: `backend ${backend}`,
      setting,
      value: value === undefined ? null : JSON.stringify(value),
      before: before === undefined ? null : JSON.stringify(before),
      ...(by !== undefined && { by }),
      ...(reason !== undefined && { reason }),
      ...(follows !== undefined && { follows }),
    });
    await this.load();
    return stored && changesOf(stored)[0];
  }

  /** All changes that were ever made, as the store has them, the latest first. Rejects when the store fails. */
  async trail(): Promise<readonly KnownChange[]> {
    const changes = (await this.#options.store.changes?.()) ?? [];
    return changes.toReversed().flatMap(changesOf);
  }
}

/** None where it is of something that this version does not know. */
function changesOf({ subject, setting, value, before, ...rest }: StoredChange): readonly KnownChange[] {
  const [, backend] = SUBJECT.exec(subject) ?? [];
  if (backend === undefined || !SETTINGS.includes(setting)) return [];
  const parsed = (json: string | null): unknown => (json === null ? undefined : JSON.parse(json));
  return [{ ...rest, backend, setting: setting as SettingName, value: parsed(value), before: parsed(before) }];
}
