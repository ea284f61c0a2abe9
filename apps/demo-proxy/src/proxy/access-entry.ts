import type { IncomingMessage, ServerResponse } from "node:http";
import type { BodyDimension } from "./admission/body-room.ts";
import { type Trouble, troubleOf } from "./upstream/trouble.ts";
import type { Upstream } from "./upstream/upstream.ts";
import type { Tunnel } from "./websockets/tunnel.ts";

/** Takes what there is to say of a request once it is over. */
export type AccessLog = (entry: AccessEntry) => void;

export interface AccessEntry {
  readonly method: string;
  /** Without the query, which may hold a signature or a token. */
  readonly path: string;
  /** The client whose key it had, where clients have keys. */
  readonly client?: string;
  /** 0 when nothing was answered; 101 of a WebSocket. */
  readonly status: number;
  /** The last one that was asked; absent when none was. */
  readonly backend?: string;
  /** Bytes of the answer's body that came from the backend. */
  readonly egressBytes: number;
  readonly durationMs: number;
  /** Whether the client got the whole answer. */
  readonly complete: boolean;
  /** Why that backend could not be connected to, or broke off. */
  readonly trouble?: Trouble;
  /** Of which body not all has passed, since a limit that is exact left no room for it. */
  readonly cut?: BodyDimension;
}

/** What only the exchange knows of a request that is over. */
interface Course {
  /** The last one that was asked. */
  readonly client: string | undefined;
  readonly upstream: Upstream | undefined;
  readonly egressBytes: number;
  readonly durationMs: number;
  /** Why the last attempt could not connect, or broke. */
  readonly failure: Error | undefined;
  readonly cut: BodyDimension | undefined;
  /** The WebSocket that the request has opened. */
  readonly tunnel: Tunnel | undefined;
}

export function accessEntry(
  { method = "", url = "" }: IncomingMessage,
  response: ServerResponse,
  { client, upstream, egressBytes, durationMs, failure, cut, tunnel }: Course,
): AccessEntry {
  return {
    method,
    path: url.replace(/[?#].*$/s, ""),
    ...(client !== undefined && { client }),
    status: tunnel !== undefined ? 101 : response.headersSent ? response.statusCode : 0,
    ...(upstream !== undefined && { backend: upstream.name }),
    egressBytes,
    durationMs,
    complete: tunnel?.isComplete ?? response.writableFinished,
    ...(failure !== undefined && { trouble: troubleOf(failure) }),
    ...(cut !== undefined && { cut }),
  };
}
