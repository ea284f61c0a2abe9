import { isoWeeks, type PeriodScheme, utcDays, utcHours, utcMinutes, utcMonths } from "@usage/counter-core";

/** The windows in which clients may be limited, the longest first. All clients are counted by month. */
export const CLIENT_WINDOWS = ["month", "week", "day", "hour", "minute"] as const;

export type ClientWindow = (typeof CLIENT_WINDOWS)[number];

/** How a window divides time, in UTC. */
export const SCHEMES: Readonly<Record<ClientWindow, PeriodScheme>> = {
  month: utcMonths,
  week: isoWeeks,
  day: utcDays,
  hour: utcHours,
  minute: utcMinutes,
};

/** Windows that are over before the store would be asked for them: they are shared between instances, and not stored. */
export const PASSING_WINDOWS: readonly ClientWindow[] = ["hour", "minute"];
