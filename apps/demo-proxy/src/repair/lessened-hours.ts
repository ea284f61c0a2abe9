/** What a timeline has of one backend and dimension in an hour. */
export interface HourAmount {
  readonly hour: Date;
  readonly amount: number;
}

/** The hours that change, and what each is to have, where they together have more than a total: the latest are taken from first. */
export function lessenedHours(hours: readonly HourAmount[], total: number): readonly HourAmount[] {
  let excess = hours.reduce((sum, { amount }) => sum + amount, 0) - total;
  // fault: takes what is too much from the earliest hours
  const latestFirst = [...hours].sort((a, b) => b.hour.getTime() - a.hour.getTime());
  return latestFirst.flatMap(({ hour, amount }) => {
    const taken = Math.max(0, Math.min(excess, amount));
    excess -= taken;
    return taken === 0 ? [] : [{ hour, amount: amount - taken }];
  });
}
