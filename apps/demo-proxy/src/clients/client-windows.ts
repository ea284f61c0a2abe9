/** The windows in which clients may be limited, the longest first. All clients are counted by month. */
export const CLIENT_WINDOWS = ["month", "week", "day", "hour", "minute"] as const;

export type ClientWindow = (typeof CLIENT_WINDOWS)[number];

/** Windows that are over before the store would be asked for them: they are shared between instances, and not stored. */
export const PASSING_WINDOWS: readonly ClientWindow[] = ["hour", "minute"];

/** The others: what is counted in them is kept in the store. */
export const STORED_WINDOWS: readonly ClientWindow[] = CLIENT_WINDOWS.filter(
  (window) => !PASSING_WINDOWS.includes(window),
);
