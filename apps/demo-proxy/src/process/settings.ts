import { isDeepStrictEqual } from "node:util";
import type { Change, Clock, StoredChange, UsageStore } from "@usage/counter-core";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { changedConfig } from "./changed-config.ts";
import { complaintsOf } from "./complaints.ts";
import { changesOf, type KnownChange, type SettingName, type SettingSubject, subjectText } from "./setting-subject.ts";

/** Who changes a setting, and from what. */
export interface Wish {
  readonly subject: SettingSubject;
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
  /** From the end of one look for changes of others to the next. @default 1_500 */
  readonly intervalMs?: number;
}

/** What is to be done once something is heard of. What rejects is done again. */
export interface Heard {
  readonly changed: () => Promise<unknown>;
  readonly granted: () => Promise<unknown>;
}

/**
 * As the store has it where something was granted: no setting, and in no trail, where grants are listed themselves. One is kept of
 * all: whoever hears of it reads the grants.
 */
const GRANT = { subject: "all grants", setting: "grant", value: "true", before: null, replaces: true } as const;

/** The store has them all. */
const LONGEST_TRAIL = 10_000;

/** What operators have changed by API: kept in the store, and in place of what the file says until it is taken back. */
export class Settings {
  readonly #options: SettingsOptions;
  /** The last change of each setting, by subject. */
  readonly #last = new Map<string, Map<SettingName, KnownChange>>();
  /** The latest changes, in the order in which they were made. */
  readonly #trail: KnownChange[] = [];
  /** The last change of a setting that was read: what the store has under its revision tells another store apart. */
  #seen: StoredChange | undefined;
  /** The last one that was known, by what it is about, and the one that was taken over. */
  readonly #news: Readonly<Record<"settings" | "grants", { latest: number; applied: number }>> = {
    settings: { latest: 0, applied: 0 },
    grants: { latest: 0, applied: 0 },
  };
  #reading: Promise<unknown> = Promise.resolve();
  #cancel: (() => void) | undefined;
  #isStopped = false;

  constructor(options: SettingsOptions) {
    this.#options = options;
  }

  /** Learns of changes. Rejects when the store fails, and has learned of none then. */
  load(): Promise<void> {
    const reading = this.#reading.then(async () => {
      const found = await this.#unseen();
      const known = found.flatMap(changesOf);
      for (const change of known) {
        const subject = subjectText(change.subject);
        const settings = this.#last.get(subject) ?? new Map<SettingName, KnownChange>();
        this.#last.set(subject, settings.set(change.setting, change));
      }
      for (const change of known) this.#trail.push(change);
      this.#trail.splice(0, Math.max(0, this.#trail.length - LONGEST_TRAIL));
      for (const change of found) {
        if (!isGrant(change)) this.#seen = change;
        this.#news[isGrant(change) ? "grants" : "settings"].latest = change.revision;
      }
      for (const change of known) {
        if (this.of(change.subject, change.setting) === change) this.#options.onChange?.(change);
      }
    });
    this.#reading = reading.catch(() => {});
    return reading;
  }

  /**
   * The changes since the last one that was read. A store that was deleted or replaced numbers them anew: it is told again what it does
   * not have of what is in force, and all that it has is read.
   */
  async #unseen(): Promise<readonly StoredChange[]> {
    const { store } = this.#options;
    const read = async (after: number) => [...((await store.changes?.({ after })) ?? [])];
    const found = await read(this.#seen === undefined ? 0 : this.#seen.revision - 1);
    const last = this.#seen === undefined ? undefined : found.shift();
    const { latest } = this.#news.grants;
    // fault: goes on with the numbers of a store that was replaced
    if (isDeepStrictEqual(last, this.#seen)) return found.filter((one) => !isGrant(one) || one.revision > latest);
    // Where somebody has changed it there, that holds. Each instance tries, and one of them does it.
    // fault: does not store again what was changed in a store that was replaced
    for (const change of this.overrides()) await store.change?.(storable({ ...change, follows: 0 }));
    const all = await read(0);
    this.#last.clear();
    this.#trail.length = 0;
    this.#seen = undefined;
    // No revision is as low, so that whatever there is now is taken over.
    for (const news of Object.values(this.#news)) Object.assign(news, { latest: 0, applied: -1 });
    return all;
  }

  /**
   * Looks for changes from now on, and calls `changed` when there were some, and `granted` when others have granted something, again
   * and again until that goes well. A store that fails is asked again.
   */
  watch(heard: Heard): void {
    if (this.#options.store.changes === undefined || this.#isStopped) return;
    if (this.#cancel === undefined) {
      // What there is by now is in force.
      for (const news of Object.values(this.#news)) news.applied = news.latest;
    }
    this.#cancel = this.#options.clock.after(this.#options.intervalMs ?? 1_500, async () => {
      try {
        // fault: never hears of what other instances have changed
        await this.load();
        // Neither waits for the other, which may fail for long.
        // fault: hears of no grant while changes cannot be taken over
        await Promise.allSettled([
          takeOver(this.#news.settings, heard.changed),
          takeOver(this.#news.grants, heard.granted),
        ]);
      } catch {
        // The flush tells that the store is away.
      }
      this.watch(heard);
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  /** The last change of a setting, also one that takes it back; undefined where nobody has changed it. */
  of(subject: SettingSubject, setting: SettingName): KnownChange | undefined {
    return this.#last.get(subjectText(subject))?.get(setting);
  }

  isDrained(backend: string): boolean {
    return this.of({ kind: "backend", name: backend }, "drained")?.value === true;
  }

  /** The last change of each setting that is not what the file says. */
  overrides(): readonly KnownChange[] {
    return Array.from(this.#last.values()).flatMap((settings) =>
      Array.from(settings.values()).filter(({ value }) => value !== undefined),
    );
  }

  /** The configuration that is in force where the file says this. */
  apply(file: ProxyConfig): ProxyConfig {
    return changedConfig(file, (subject, setting) => this.of(subject, setting)?.value);
  }

  /** What of that cannot be in force where the file says this, in words. */
  complaints(file: ProxyConfig): readonly string[] {
    return complaintsOf(file, this.overrides());
  }

  /** Keeps a change, and knows of it then. Resolves with undefined where somebody was faster. Rejects when the store fails. */
  async change(wish: Wish): Promise<KnownChange | undefined> {
    const { store } = this.#options;
    if (store.change === undefined) throw new Error("this store keeps no settings");
    const stored = await store.change(storable(wish));
    await this.load();
    return stored && changesOf(stored)[0];
  }

  /**
   * Lets other instances know that something was granted, which they would learn with their next flush otherwise. Does not reject:
   * the grant is stored.
   */
  async announceGrant(): Promise<void> {
    await this.#options.store.change?.(GRANT).catch(() => {});
  }

  /** The latest changes, also of others, the last one first; 10,000 at most. Rejects when the store fails. */
  async trail(): Promise<readonly KnownChange[]> {
    await this.load();
    return this.#trail.toReversed();
  }
}

function isGrant({ setting }: StoredChange): boolean {
  return setting === GRANT.setting;
}

/** As the store keeps it. */
function storable({ subject, setting, value, before, by, reason, follows }: Wish): Change {
  return {
    subject: subjectText(subject),
    setting,
    value: value === undefined ? null : JSON.stringify(value),
    before: before === undefined ? null : JSON.stringify(before),
    ...(by !== undefined && { by }),
    ...(reason !== undefined && { reason }),
    ...(follows !== undefined && { follows }),
  };
}

async function takeOver(
  news: { readonly latest: number; applied: number },
  take: () => Promise<unknown>,
): Promise<void> {
  const { latest } = news;
  if (latest === news.applied) return;
  // fault: forgets a change that could not be taken over
  await take();
  news.applied = latest;
}
