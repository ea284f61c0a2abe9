import type { Writable } from "node:stream";

/** A refusal, as RFC 9457 writes it. */
export interface Problem {
  readonly status: number;
  readonly title: string;
  /** What the caller can do about it. */
  readonly detail: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What programs can make use of besides. */
  readonly more?: object;
}

interface Head {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** What a request is answered with: a body written as JSON, a text or bytes as they are, or whatever is written until somebody ends it. */
export type Answer = JsonAnswer | TextAnswer | BytesAnswer | StreamAnswer;

export interface JsonAnswer extends Head {
  readonly body: unknown;
}

export interface TextAnswer extends Head {
  readonly text: string;
}

export interface BytesAnswer extends Head {
  readonly bytes: readonly Uint8Array[];
}

export interface StreamAnswer extends Head {
  /** Takes the response once its head is sent. Whoever writes to it minds whether it is being read. */
  readonly stream: (response: Writable) => void;
}

export function ok(body: unknown): JsonAnswer {
  return { status: 200, headers: { "content-type": "application/json" }, body };
}

/** What was asked for is new. */
export function created(body: unknown): JsonAnswer {
  return { ...ok(body), status: 201 };
}

/** JSON that was written in turns. */
export function okBytes(bytes: readonly Uint8Array[]): BytesAnswer {
  return { status: 200, headers: { "content-type": "application/json" }, bytes };
}

export function refuse({ status, title, detail, headers, more }: Problem): JsonAnswer {
  return {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
    body: { type: "about:blank", title, status, detail, ...more },
  };
}

export function badRequest(detail: string): JsonAnswer {
  return refuse({ status: 400, title: "Bad request", detail });
}
