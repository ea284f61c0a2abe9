/** How a server may read a path: as it was sent, or with some of its bytes decoded. */
export interface PathReading {
  readonly path: string;
  /** Whether more than unreserved characters were decoded, so that patterns are to be compared decoded, too. */
  readonly isDecoded: boolean;
}

/** What servers differ in: escapes, empty and dot segments, backslashes, and parameters of segments. */
const AMBIGUOUS = /%|\/\/|\/\.|\\|;/;
/** Some servers decode what a proxy before them has decoded already. */
const DECODINGS = 2;

/**
 * The ways in which a server may read the path of a request target, the most literal one first: it is the path itself, but that
 * unreserved characters are decoded (RFC 3986, section 6.2.2.2). Mostly there are no others.
 */
export function pathReadings(target: string): readonly PathReading[] {
  const query = target.indexOf("?");
  const path = query === -1 ? target : target.slice(0, query);
  if (!AMBIGUOUS.test(path)) return [{ path, isDecoded: false }];
  const readings = new Map<string, PathReading>();
  const add = (path: string, isDecoded: boolean): void => {
    for (const one of [path, squeezed(path)]) {
      const key = `${isDecoded} ${one}`;
      if (!readings.has(key)) readings.set(key, { path: one, isDecoded });
    }
  };
  add(normalized(path), false);
  let decoded = path;
  for (let times = 0; times < DECODINGS; times++) {
    decoded = decodedPath(decoded);
    add(decoded, true);
  }
  return [...readings.values()];
}

/** A path with its unreserved characters decoded and the others' escapes in capitals, which says the same (RFC 3986). */
export function normalized(path: string): string {
  return path.replace(ESCAPE, (escaped) => {
    const character = characterOf(escaped);
    return UNRESERVED.test(character) ? character : escaped.toUpperCase();
  });
}

/** A path with all of its escapes decoded, once, to one character for each byte. */
export function decodedPath(path: string): string {
  return path.replace(ESCAPE, characterOf);
}

const ESCAPE = /%[0-9A-Fa-f]{2}/g;
const UNRESERVED = /[\w.~-]/;

function characterOf(escaped: string): string {
  return String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
}

/** A path as it is without what many servers drop: empty and dot segments, parameters, and the other slash. */
function squeezed(path: string): string {
  const kept: string[] = [];
  const segments = path
    .replaceAll("\\", "/")
    .replace(/;[^/]*/g, "")
    .split("/")
    .slice(1);
  for (const segment of segments) {
    if (segment === "..") kept.pop();
    else if (segment !== "" && segment !== ".") kept.push(segment);
  }
  const last = segments.at(-1);
  const endsInSlash = kept.length > 0 && (last === "" || last === "." || last === "..");
  return `/${kept.join("/")}${endsInSlash ? "/" : ""}`;
}
