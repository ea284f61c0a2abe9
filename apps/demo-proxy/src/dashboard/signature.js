const KEY = "usage-signature";

/** Who sits at this browser, by their own account: it signs what is changed here. */
export function signature() {
  return localStorage.getItem(KEY) ?? "";
}

/** @param {string} name */
export function sign(name) {
  localStorage.setItem(KEY, name);
}
