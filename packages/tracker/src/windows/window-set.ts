import type { OpenUsage } from "../open-usage.ts";
import type { WindowTracker } from "./window-events.ts";
import type { WindowTrackers } from "./window-trackers.ts";

/** All windows, and whom they hold. */
export class WindowSet<D extends string, W extends string> {
  readonly windows: readonly WindowTrackers<D, W>[];

  constructor(windows: readonly WindowTrackers<D, W>[]) {
    this.windows = windows;
  }

  /** The trackers that there are. */
  all(): readonly WindowTracker<D, W>[] {
    return this.windows.flatMap((window) => window.all().map((tracker) => ({ window: window.name, tracker })));
  }

  /** Those of them that a backend is in. @throws WindowSchemeError. */
  of(backend: string): readonly WindowTracker<D, W>[] {
    return this.windows.flatMap((window) => {
      const tracker = window.find(backend);
      return tracker ? [{ window: window.name, tracker }] : [];
    });
  }

  /** Makes the trackers of the windows that all backends share. */
  async openFixed(): Promise<void> {
    await Promise.all(this.windows.filter(({ isFixed }) => isFixed).map((window) => window.openFixed()));
  }

  /** Holds a backend in all of them, at once where it returns undefined. */
  ensure(backend: string): Promise<void> | undefined {
    let trackers: readonly (OpenUsage<D> | null | undefined)[];
    try {
      trackers = this.windows.map((window) => window.find(backend));
    } catch (error) {
      return Promise.reject(error);
    }
    if (trackers.some((tracker) => tracker === undefined)) return this.#ensureLate(backend);
    const waits = trackers.flatMap((tracker) => tracker?.ensure(backend) ?? []);
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => {});
  }

  /** No tracker is made any more. */
  async end(): Promise<void> {
    await Promise.all(this.windows.map((window) => window.end()));
  }

  async #ensureLate(backend: string): Promise<void> {
    const trackers = await Promise.all(this.windows.map((window) => window.trackerOf(backend)));
    await Promise.all(trackers.map((tracker) => tracker?.ensure(backend)));
  }
}
