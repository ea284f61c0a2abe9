import {
  daysIn,
  isoWeeks,
  monthsIn,
  type PeriodScheme,
  utcDays,
  utcHours,
  utcMinutes,
  utcMonths,
  utcMonthsFrom,
  weeksIn,
} from "@usage/counter-core";
import type { ClientWindow } from "./client-windows.ts";

/** When a client's months, weeks and days begin. */
export interface CalendarConfig {
  /** By its IANA name. @default UTC */
  readonly timeZone?: string;
  /** The day of the month on which months begin, 1 to 31, or the last one of a month that is shorter. @default 1 */
  readonly anchorDay?: number;
}

/** How each window divides time. Hours and minutes are those of UTC. */
export type Calendar = Readonly<Record<ClientWindow, PeriodScheme>>;

/** The calendars that there are, each once: whoever has the same one is counted by the same counters. */
export class Calendars {
  readonly #calendars = new Map<string, Calendar>();
  readonly #months = new Map<string, PeriodScheme>();
  /** Of a time zone, whatever the day on which months begin. */
  readonly #zones = new Map<string, Pick<Calendar, "week" | "day">>();

  /** @throws RangeError for an unknown zone, and for what is no day of a month. */
  of({ timeZone = "UTC", anchorDay = 1 }: CalendarConfig): Calendar {
    const key = `${anchorDay} ${timeZone}`;
    const month = kept(this.#months, key, () => monthsOf(timeZone, anchorDay));
    const zone = kept(this.#zones, timeZone, () => {
      // fault: begins days at midnight in UTC for whom they begin elsewhere
      return timeZone === "UTC" ? { week: isoWeeks, day: utcDays } : { week: weeksIn(timeZone), day: daysIn(timeZone) };
    });
    return kept(this.#calendars, key, () => ({ month, ...zone, hour: utcHours, minute: utcMinutes }));
  }
}

/** Those of UTC cost less. */
function monthsOf(timeZone: string, anchorDay: number): PeriodScheme {
  if (timeZone !== "UTC") return monthsIn(timeZone, anchorDay);
  return anchorDay === 1 ? utcMonths : utcMonthsFrom(anchorDay);
}

function kept<T>(known: Map<string, T>, key: string, make: () => T): T {
  let value = known.get(key);
  if (value === undefined) {
    value = make();
    known.set(key, value);
  }
  return value;
}
