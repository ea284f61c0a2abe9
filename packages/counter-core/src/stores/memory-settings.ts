import { assertRevision, type Change, type ChangesQuery, checkedChange, type StoredChange } from "../model/change.ts";
import type { Clock } from "../model/clock.ts";

/** The changed settings of a store in memory, in the order in which they came. */
export class MemorySettings {
  readonly #clock: Pick<Clock, "now">;
  readonly #changes: StoredChange[] = [];

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  async change(change: Change): Promise<StoredChange | undefined> {
    const { follows, ...checked } = checkedChange(change);
    const last = this.#changes.findLast(
      ({ subject, setting }) => subject === checked.subject && setting === checked.setting,
    );
    if (follows !== undefined && follows !== (last?.revision ?? 0)) return undefined;
    const stored = { ...checked, revision: this.#changes.length + 1, createdAt: this.#clock.now() };
    this.#changes.push(stored);
    return stored;
  }

  async changes({ after = 0 }: ChangesQuery = {}): Promise<readonly StoredChange[]> {
    assertRevision("after", after);
    return this.#changes.slice(after);
  }
}
