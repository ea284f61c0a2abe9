import type { IncomingMessage } from "node:http";
import type { Problem } from "./problem.ts";

/** Which pages of other sites may read the answers of the proxy's own. */
export interface CorsOptions {
  /** Origins such as `https://app.example.com`, or all of them. */
  readonly origins: readonly string[] | "*";
  /** Whether also for requests that carry the browser's cookies; needs a list of origins. @default false */
  readonly credentials?: boolean;
}

/** An answer that has no body. */
export type Preflight = Omit<Problem, "body">;

/**
 * CORS for the answers of the proxy's own (Fetch standard, section 3.2). A backend answers for itself, preflights included;
 * but what the proxy writes in its place, browsers keep from the page unless it says who may read it.
 */
export class Cors {
  readonly #origins: ReadonlySet<string> | "*";
  readonly #credentials: boolean;

  constructor({ origins, credentials = false }: CorsOptions) {
    this.#origins = origins === "*" ? origins : new Set(origins);
    this.#credentials = credentials;
  }

  /** Whether pages of an origin may read. */
  allows(origin: string): boolean {
    return this.#origins === "*" || this.#origins.has(origin);
  }

  /** The problem with the headers that let the page which asked read it. */
  readable(request: IncomingMessage, problem: Problem): Problem {
    const granted = this.#grant(request);
    const names = Object.keys(problem.headers).filter((name) => name.toLowerCase() !== "connection");
    const exposed = granted !== undefined && names.length > 0;
    return {
      ...problem,
      headers: {
        ...problem.headers,
        ...this.#vary,
        ...granted,
        ...(exposed && { "access-control-expose-headers": names.join(", ") }),
      },
    };
  }

  /**
   * What a preflight is told that no backend can be asked about; undefined for other requests, and for origins that are not
   * listed. A refusal would be hidden from the page, so it is allowed to send its request, which is then refused in a way that
   * the page can read. It is remembered by no browser.
   */
  preflight(request: IncomingMessage): Preflight | undefined {
    const { method, headers } = request;
    const wanted = headers["access-control-request-method"];
    const granted = method === "OPTIONS" && wanted !== undefined ? this.#grant(request) : undefined;
    if (granted === undefined || wanted === undefined) return undefined;
    const asked = headers["access-control-request-headers"];
    return {
      status: 204,
      headers: {
        ...this.#vary,
        ...granted,
        "access-control-allow-methods": wanted,
        ...(asked !== undefined && { "access-control-allow-headers": asked }),
        "access-control-max-age": "0",
      },
    };
  }

  /** A cache must not give one page what another was told. */
  get #vary(): Readonly<Record<string, string>> {
    return this.#origins === "*" ? {} : { vary: "Origin" };
  }

  #grant({ headers: { origin } }: IncomingMessage): Readonly<Record<string, string>> | undefined {
    if (origin === undefined) return undefined;
    if (this.#origins === "*") return { "access-control-allow-origin": "*" };
    if (!this.#origins.has(origin)) return undefined;
    return {
      "access-control-allow-origin": origin,
      ...(this.#credentials && { "access-control-allow-credentials": "true" }),
    };
  }
}
