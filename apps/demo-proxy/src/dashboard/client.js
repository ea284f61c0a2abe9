const KEY = "usage-token";

/** The token of this tab; sessionStorage ends with it. @returns {string} */
export function savedToken() {
  return sessionStorage.getItem(KEY) ?? "";
}

/** @param {string} token */
export function saveToken(token) {
  sessionStorage.setItem(KEY, token);
}

/**
 * A request with the token. Rejects only when the proxy cannot be reached, or the signal ends it.
 *
 * @param {string} path relative to the page, which another server may show under a path of its own
 * @param {{ method?: string, signal?: AbortSignal, body?: string, headers?: Record<string, string> }} [options]
 */
export function send(path, { method = "GET", signal, body, headers = {} } = {}) {
  const token = savedToken();
  const all = token === "" ? headers : { ...headers, authorization: `Bearer ${token}` };
  return fetch(path, { method, headers: all, cache: "no-store", ...(signal && { signal }), ...(body && { body }) });
}

/** A refusal, as the proxy words it. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {{ title?: string, detail?: string }} problem
   */
  constructor(status, problem) {
    super(wordsOf(status, problem));
    this.status = status;
    this.problem = problem;
  }
}

/**
 * The JSON of an answer that is good. Rejects with what the proxy says is wrong otherwise, a {@link Refused}.
 *
 * @param {string} path
 * @param {{ method?: string, body?: string, headers?: Record<string, string> }} [options]
 */
export async function request(path, options) {
  const response = await send(path, { ...options, signal: AbortSignal.timeout(30_000) });
  if (response.ok) return response.json();
  throw new Refused(response.status, await problemIn(response));
}

/**
 * Changes something by JSON. Rejects as {@link request} does.
 *
 * @param {"POST" | "PUT" | "DELETE"} method
 * @param {string} path
 * @param {object} body
 * @param {Record<string, string>} headers
 */
export function change(method, path, body, headers) {
  const all = { ...headers, "content-type": "application/json" };
  return request(path, { method, body: JSON.stringify(body), headers: all });
}

/**
 * What a refusal says, in words.
 *
 * @param {Response} response
 */
export async function problemOf(response) {
  return wordsOf(response.status, await problemIn(response));
}

/** @param {Response} response @returns {Promise<{ title?: string, detail?: string }>} */
async function problemIn(response) {
  try {
    return Object(await response.json());
  } catch {
    return {};
  }
}

/** @param {number} status @param {{ title?: string, detail?: string }} problem */
function wordsOf(status, { title, detail }) {
  return title === undefined ? `The proxy answered with status ${status}.` : `${title}: ${detail}`;
}
