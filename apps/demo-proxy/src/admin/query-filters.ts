import { assertBackendName } from "@usage/counter-core";

const PERIOD_KEY = /^\d{4}-\d{2}(-\d{2})?$/;

/** What is wrong with a query that may have each of these filters once; undefined: nothing. */
export function queryTrouble(query: URLSearchParams, known: readonly string[]): string | undefined {
  for (const name of new Set(query.keys())) {
    if (!known.includes(name)) {
      const those = known.length === 0 ? "nothing is asked by query here" : `known are ${known.join(", ")}`;
      return `${JSON.stringify(name)} is unknown; ${those}.`;
    }
    if (query.getAll(name).length > 1) return `${name} can be given once.`;
  }
  return undefined;
}

/** The part of a list that is asked for. */
export interface Page {
  readonly limit: number;
  readonly offset: number;
}

const MOST = 1_000;

/** The page that a query's `limit` and `offset` ask for, or what is wrong with them. */
export function pageOf(query: URLSearchParams, defaultLimit: number): Page | string {
  const limit = wholeNumber(query.get("limit"), defaultLimit);
  const offset = wholeNumber(query.get("offset"), 0);
  if (limit === undefined || limit < 1 || limit > MOST) return `limit is a whole number from 1 to ${MOST}.`;
  return offset === undefined ? "offset is a whole number from 0 on." : { limit, offset };
}

function wholeNumber(text: string | null, byDefault: number): number | undefined {
  if (text === null || text === "") return byDefault;
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** Whether a text names a month or a day that there is. */
export function isPeriodKey(text: string): boolean {
  if (!PERIOD_KEY.test(text)) return false;
  const day = text.length === "2026-01".length ? `${text}-01` : text;
  const startMs = Date.parse(`${day}T00:00:00Z`);
  return !Number.isNaN(startMs) && new Date(startMs).toISOString().startsWith(day);
}

/** Whether a text is the key of a period of one of the windows that are stored: `2026-01`, `2026-01-31`, `week:2026-W05`, `day:2026-01-31`. */
export function isWindowPeriodKey(text: string): boolean {
  const [, window, key = text] = /^(week|day):(.+)$/.exec(text) ?? [];
  if (window === "week") return /^\d{4}-W(0[1-9]|[1-4]\d|5[0-3])$/.test(key);
  return isPeriodKey(key) && (window === undefined || key.length === "2026-01-31".length);
}

export function isBackendName(name: string): boolean {
  try {
    assertBackendName(name);
    return true;
  } catch {
    return false;
  }
}
