import type { Answer } from "./problem.ts";
import type { Route } from "./routes.ts";

/** The target as the routes have it, or the answer that leads there. */
export type Rebased = { readonly target: string } | { readonly answer: Answer };

/**
 * Takes off a request's target what another server, which shows the admin listener under a path of its own, has left there:
 * `/usage/api/usage` is `/api/usage`. A target that is one of the routes' own stays as it is.
 *
 * @param basePaths with a slash at both ends
 */
export function rebase(basePaths: readonly string[], routes: readonly Route[]): (target: string) => Rebased {
  const bases = basePaths.filter((path) => path !== "/").sort((a, b) => b.length - a.length);
  const own = new Set(routes.map(({ path }) => path));
  const beginnings = new Set(routes.map(({ path }) => beginningOf(path)));
  return (target) => {
    const [path = ""] = target.split("?", 1);
    if (own.has(path)) return { target };
    for (const base of bases) {
      // The page's addresses are relative, so that it must be below the slash.
      if (`${path}/` === base) return { answer: redirect(`${path.slice(path.lastIndexOf("/") + 1)}/`) };
      const rest = target.slice(base.length - 1);
      if (target.startsWith(base) && beginnings.has(beginningOf(rest))) return { target: rest };
    }
    return { target };
  };
}

/** The first segment of a path. */
function beginningOf(target: string): string {
  return target.split(/[/?]/, 2)[1] ?? "";
}

/** @param location relative, since another server may have taken off more of the path */
function redirect(location: string): Answer {
  return { status: 308, headers: { location, "content-type": "text/plain" }, text: "" };
}
