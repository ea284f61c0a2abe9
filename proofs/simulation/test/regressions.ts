/** Seeds that failed once, and what was wrong. The schedule may have changed since; the fault may not come back. */
export const REGRESSIONS: readonly (readonly [seed: number, fault: string])[] = [
  [10, "a stop that waited for what others had not stored"],
  [141, "a rollback that took only our own part back, and with it the list of backends"],
  [191, "a loss right after the month had changed, of counts that were not stored yet"],
  [360, "a rollback that nobody lived to mend, hidden by newer counts"],
  [1246, "a rollback to another beginning of the same counts"],
];
