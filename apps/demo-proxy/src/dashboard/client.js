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
 * @param {{ method?: string, signal?: AbortSignal }} [options]
 */
export function send(path, { method = "GET", signal } = {}) {
  const token = savedToken();
  const headers = token === "" ? {} : { authorization: `Bearer ${token}` };
  return fetch(path, { method, headers, cache: "no-store", ...(signal && { signal }) });
}

/**
 * The JSON of an answer that is good. Rejects with what the proxy says is wrong otherwise.
 *
 * @param {string} path
 * @param {{ method?: string }} [options]
 */
export async function request(path, options) {
  const response = await send(path, { ...options, signal: AbortSignal.timeout(30_000) });
  if (response.ok) return response.json();
  throw new Error(await problemOf(response));
}

/**
 * What a refusal says, in words.
 *
 * @param {Response} response
 * @returns {Promise<string>}
 */
export async function problemOf(response) {
  try {
    const { title, detail } = await response.json();
    return `${title}: ${detail}`;
  } catch {
    return `The proxy answered with status ${response.status}.`;
  }
}
