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
