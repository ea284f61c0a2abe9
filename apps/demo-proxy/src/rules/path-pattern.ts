import { decodedPath, normalized, type PathReading } from "./path-readings.ts";

/** `/v1/models` is that path alone; `/v1/*` is `/v1` and all that is below it; `/*` is every path. */
export class PathPattern {
  readonly text: string;
  readonly #isPrefix: boolean;
  readonly #written: string;
  readonly #decoded: string;

  /** @throws RangeError where it is no pattern. */
  constructor(text: string) {
    if (!text.startsWith("/")) throw new RangeError("a path begins with a slash, such as /v1/*");
    if (/[?#]/.test(text)) throw new RangeError("a path alone is compared: without ? and #");
    if (!/^[\x21-\x7e]+$/.test(text)) throw new RangeError("expected a path as in an address, percent-encoded");
    this.#isPrefix = text.endsWith("/*");
    const path = this.#isPrefix ? text.slice(0, -2) : text;
    if (path.includes("*")) throw new RangeError("a * stands at the end, after a slash, such as /v1/*");
    // Such a pattern would be for paths that no request can have, or that servers read as another one.
    if (/\/\/|\\|;|(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i.test(path)) {
      throw new RangeError("expected a plain path: without //, backslashes, semicolons and segments of dots");
    }
    this.text = text;
    this.#written = normalized(path);
    this.#decoded = decodedPath(path);
  }

  matches({ path, isDecoded }: PathReading): boolean {
    const pattern = isDecoded ? this.#decoded : this.#written;
    if (!this.#isPrefix) return path === pattern;
    // fault: takes a path for one below a prefix that it only begins like
    return path.startsWith(pattern) && (path.length === pattern.length || path[pattern.length] === "/");
  }
}
