import { assertRevision, type Change, type ChangesQuery, checkedChange, type StoredChange } from "../model/change.ts";
import type { Clock } from "../model/clock.ts";

/** The changed settings of a store in memory, in the order in which they came. */
export class MemorySettings {
  readonly #clock: Pick<Clock, "now">;
  #changes: StoredChange[] = [];
  #revision = 0;

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  async change(change: Change): Promise<StoredChange | undefined> {
    const { follows, replaces, ...checked } = checkedChange(change);
    const isOfIt = ({ subject, setting }: StoredChange) => subject === checked.subject && setting === checked.setting;
    const last = this.#changes.findLast(isOfIt);
    if (follows !== undefined && follows !== (last?.revision ?? 0)) return undefined;
    this.#revision += 1;
    const stored = { ...checked, revision: this.#revision, createdAt: this.#clock.now() };
    // fault: the store in memory keeps what a change replaces
    if (replaces) this.#changes = this.#changes.filter((one) => !isOfIt(one));
    this.#changes.push(stored);
    return stored;
  }

  async changes({ after = 0 }: ChangesQuery = {}): Promise<readonly StoredChange[]> {
    assertRevision("after", after);
    return this.#changes.filter(({ revision }) => revision > after);
  }
}
