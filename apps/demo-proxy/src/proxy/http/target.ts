/**
 * The path and query that a request target (RFC 9112, section 3.2) asks for, byte for byte as it was sent; undefined where
 * the target is refused: neither `/path` nor `http(s)://authority/path`, with a fragment, or with a `..` segment in any
 * spelling that an upstream might resolve. The authority of an absolute target is ignored: it never chooses the upstream.
 */
export function pathOfTarget(target: string): string | undefined {
  const path = target.startsWith("/") ? target : pathOfAbsolute(target);
  if (path === undefined || path.includes("#")) return undefined;
  return climbs(path) ? undefined : path;
}

const ABSOLUTE_PREFIX = /^https?:\/\/[^/?#\\]+/i;

function pathOfAbsolute(target: string): string | undefined {
  const prefix = ABSOLUTE_PREFIX.exec(target)?.[0];
  if (prefix === undefined) return undefined;
  const rest = target.slice(prefix.length);
  if (rest === "" || rest.startsWith("?")) return `/${rest}`;
  return rest.startsWith("/") ? rest : undefined;
}

// Servers differ in what they decode before they resolve dots. Some drop an encoded NUL, tab or line break (`.%09.`) or cut
// the path there (`..%00x`), some end a segment at a path parameter (`..;x`).
const PARENT_SEGMENT =
  /(?:[/\\]|%2f|%5c)(?:%0[09ad])*(?:\.|%2e)(?:%0[09ad])*(?:\.|%2e)(?:[/\\;]|%2f|%5c|%3b|%0[09ad]|$)/i;

function climbs(path: string): boolean {
  const query = path.indexOf("?");
  return PARENT_SEGMENT.test(query === -1 ? path : path.slice(0, query));
}
