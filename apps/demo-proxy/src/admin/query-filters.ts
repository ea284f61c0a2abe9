import { assertBackendName } from "@usage/counter-core";

const PERIOD_KEY = /^\d{4}-\d{2}(-\d{2})?$/;

/** What is wrong with a query that may have each of these filters once; undefined: nothing. */
export function queryTrouble(query: URLSearchParams, known: readonly string[]): string | undefined {
  for (const name of new Set(query.keys())) {
    if (!known.includes(name)) return `${JSON.stringify(name)} is unknown; known are ${known.join(", ")}.`;
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

export function isPeriodKey(text: string): boolean {
  return PERIOD_KEY.test(text);
}

export function isBackendName(name: string): boolean {
  try {
    assertBackendName(name);
    return true;
  } catch {
    return false;
  }
}
