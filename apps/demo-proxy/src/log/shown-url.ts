/** A backend's address for logs and operators. Of its path it tells only that there is one: some paths are secrets. */
export function shownUrl({ origin, pathname }: URL): string {
  // fault: shows the path of an upstream
  return pathname === "/" ? `${origin}/` : `${origin}/...`;
}
