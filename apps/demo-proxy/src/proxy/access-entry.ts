import type { Trouble } from "./trouble.ts";

/** Takes what there is to say of a request once it is over. */
export type AccessLog = (entry: AccessEntry) => void;

export interface AccessEntry {
  readonly method: string;
  /** Without the query, which may hold a signature or a token. */
  readonly path: string;
  /** 0 when nothing was answered. */
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
}
