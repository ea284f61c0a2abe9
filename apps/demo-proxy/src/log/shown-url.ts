/** A backend's address for logs and operators. Of its path it tells only that there is one: some paths are secrets. */
export function shownUrl({ origin, pathname }: URL): string {
  return pathname === "/" ? `${origin}/` : `${origin}/...`;
}
