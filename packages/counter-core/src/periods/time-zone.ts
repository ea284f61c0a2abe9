import { type Calendar, DAY_MS } from "./calendar.ts";

/** No zone is farther from UTC than 26 hours (where it changed sides of the date line), nor changes its offset twice within four days. */
const FAR_MS = 2 * DAY_MS;

/** The calendar of a time zone, by the zone data of the runtime: processes that share counts run one release of Node. */
export class TimeZone implements Calendar {
  readonly #format: Intl.DateTimeFormat;

  /** @throws RangeError for what is no IANA time zone. */
  constructor(name: string) {
    this.#format = formatOf(name);
  }

  /** A day lasts until the next one begins, also where clocks that are set back show its hours again. */
  dayAt(timeMs: number): number {
    const day = Math.floor(this.#localAt(timeMs) / DAY_MS) * DAY_MS;
    return timeMs < this.startOf(day + DAY_MS) ? day : day + DAY_MS;
  }

  /** The first instant at which clocks show that day or a later one. */
  startOf(day: number): number {
    const before = this.#offsetAt(day - FAR_MS);
    const after = this.#offsetAt(day + FAR_MS);
    if (before === after) return day - before;
    const changed = this.#changeOf(before, day - FAR_MS, day + FAR_MS);
    // By the old offset, unless the clocks were set before they showed that day.
    // fault: begins a day by the offset that comes after it
    return day - before < changed ? day - before : Math.max(changed, day - after);
  }

  /** The first instant from which on the offset is not `before` any more. */
  #changeOf(before: number, from: number, to: number): number {
    let [last, first] = [from, to];
    while (first - last > 1) {
      const middle = Math.floor((last + first) / 2);
      if (this.#offsetAt(middle) === before) last = middle;
      else first = middle;
    }
    return first;
  }

  #offsetAt(timeMs: number): number {
    return this.#localAt(timeMs) - timeMs;
  }

  /** What clocks show, written as if it were UTC. */
  #localAt(timeMs: number): number {
    const shown: Record<string, number> = {};
    for (const { type, value } of this.#format.formatToParts(timeMs)) shown[type] = Number(value);
    const { year = 0, month = 1, day = 0, hour = 0, minute = 0, second = 0 } = shown;
    const ofSecond = timeMs - Math.floor(timeMs / 1_000) * 1_000;
    return Date.UTC(year, month - 1, day, hour, minute, second) + ofSecond;
  }
}

function formatOf(name: unknown): Intl.DateTimeFormat {
  // Intl takes undefined for the zone of the machine, which may be another one on the next.
  if (typeof name === "string") {
    try {
      return new Intl.DateTimeFormat("en-US-u-ca-gregory-nu-latn", {
        timeZone: name,
        hourCycle: "h23",
        year: "numeric",
        month: "numeric",
        day: "numeric",
        hour: "numeric",
        minute: "numeric",
        second: "numeric",
      });
    } catch {
      // An unknown name is told of below.
    }
  }
  throw new RangeError(`timeZone must be an IANA time zone like Europe/Berlin, got ${JSON.stringify(name)}`);
}
