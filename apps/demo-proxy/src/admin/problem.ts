/** A refusal, as RFC 9457 writes it. */
export interface Problem {
  readonly status: number;
  readonly title: string;
  /** What the caller can do about it. */
  readonly detail: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a request is answered with, written as JSON. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export function ok(body: unknown): Answer {
  return { status: 200, headers: { "content-type": "application/json" }, body };
}

export function refuse({ status, title, detail, headers }: Problem): Answer {
  return {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
    body: { type: "about:blank", title, status, detail },
  };
}

export function badRequest(detail: string): Answer {
  return refuse({ status: 400, title: "Bad request", detail });
}
