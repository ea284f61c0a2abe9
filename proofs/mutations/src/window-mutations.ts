import { always, change, drop, instead, never, yields } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";

const windows = (title: string): NamedTest => ({ file: "packages/tracker/test/windows/windowed-usage.test.ts", title });
const joint = (title: string): NamedTest => ({ file: "packages/tracker/test/windows/joint-hold.test.ts", title });
const limits = (title: string): NamedTest => ({ file: "packages/tracker/test/windows/window-limits.test.ts", title });
const opening = (title: string): NamedTest => ({ file: "packages/tracker/test/windows/window-opening.test.ts", title });
const fleet = (title: string): NamedTest => ({ file: "proofs/chaos/test/windows.test.ts", title });
const zones = (title: string): NamedTest => ({
  file: "packages/counter-core/test/periods/zoned-periods.test.ts",
  title,
});
const utc = (title: string): NamedTest => ({ file: "packages/counter-core/test/periods/utc-periods.test.ts", title });

/** What it means to count in several periods at once, and how these divide time. */
export const WINDOW_MUTATIONS: readonly Mutation[] = [
  {
    name: "gives all windows the same keys",
    edit: instead("return scheme.at(timeMs);"),
    caughtBy: [
      windows("begins at zero in each window when that one ends, over midnight and the month's end"),
      fleet(
        "pass neither, use both up, and store the rows of each, over midnight and the month's end, while all that they need fails",
      ),
    ],
  },
  {
    name: "stores windows that are shorter than a day",
    edit: yields("true"),
    caughtBy: [fleet("share it by Redis, and store nothing of it")],
  },
  {
    name: "counts in the windows before the one that refuses",
    edit: drop,
    caughtBy: [
      windows("is counted in each of them, and must fit in all"),
      windows("adds in none what would pass the largest number in one of them"),
      joint("is recorded in none where one of them does not hold its backend"),
    ],
  },
  {
    name: "extends a hold in the windows before the one that is full",
    edit: never,
    caughtBy: [joint("is extended in all, or where one refuses (the %s) in none, and nobody is told of room")],
  },
  {
    name: "settles in one window what another cannot count",
    edit: drop,
    caughtBy: [joint("counts in all or, where the sum would be too large in one, in none")],
  },
  {
    name: "settles what each window kept by itself",
    edit: yields("actual as Partial<Usage<D>>"),
    caughtBy: [joint("expires in all, and what is settled later counts in all the same")],
  },
  {
    name: "leaves new limits in the windows before the one that has a wrong one",
    edit: drop,
    caughtBy: [limits("all at once change in no window where the function fails for one that it asks late")],
  },
  {
    name: "does not say in which window a limit is wrong",
    edit: drop,
    caughtBy: [limits("change nothing in any window: %s")],
  },
  {
    name: "takes limits by window that are a promise for none",
    edit: change(/ \|\| isThenable\(limits\)/, ""),
    caughtBy: [
      limits("are refused when usage is opened: %s"),
      limits("refuse the backend that has them, and no other: %s"),
    ],
  },
  {
    name: "makes a second tracker while the first is being made",
    edit: drop,
    caughtBy: [
      opening("has one counter for all who come meanwhile, whenever they come, and all are held in all windows"),
    ],
  },
  {
    name: "takes who is not counted in a window for somebody who has not come",
    edit: drop,
    caughtBy: [
      opening("counts and limits those that its function has a scheme for, and is opened once one of them comes"),
    ],
  },
  {
    name: "closes before what is being opened is open",
    edit: drop,
    caughtBy: [opening("is closed with the rest, and nobody new comes then")],
  },
  {
    name: "leaves a counter open whose window cannot be opened",
    edit: drop,
    caughtBy: [opening("leaves nothing open where the store cannot be read")],
  },
  {
    name: "takes a counter that divides time otherwise",
    edit: always,
    caughtBy: [opening("leaves nothing open where %s")],
  },
  {
    name: "takes every day for 24 hours",
    edit: change(/zone\.startOf\(day \+ DAY_MS\)/, "zone.startOf(day) + DAY_MS"),
    caughtBy: [zones("hold every instant in one period, without gaps, with keys in order")],
  },
  {
    name: "begins weeks of a time zone at midnight in UTC",
    edit: instead("return { key: isoWeek(monday), start: monday, end: monday + WEEK_MS };"),
    caughtBy: [zones("are weeks from Monday on where a calendar library has that")],
  },
  {
    name: "begins a day by the offset that comes after it",
    edit: yields("day - after"),
    caughtBy: [zones("begin and end where a calendar library has it, whatever the zone, the day and the anchor")],
  },
  {
    name: "begins no month on a day that it has not",
    edit: change(/Math\.min\(anchorDay, lastDay\)/, "anchorDay"),
    caughtBy: [
      zones("begin and end where a calendar library has it, whatever the zone, the day and the anchor"),
      utc("let a month that begins on the 31st begin on the last day of a shorter month"),
    ],
  },
  {
    name: "counts a week in the year of its Monday",
    edit: change(/ \+ 3 \* DAY_MS/, ""),
    caughtBy: [utc("count weeks as a calendar library does")],
  },
];
