import type { KeyObject } from "node:crypto";
import type { Scope } from "./signature-v4.ts";

/** What the signed chunks of a body are verified by: the signature of its head, and the key of both. */
export interface BodySeal extends Scope {
  readonly signature: string;
  readonly key: KeyObject;
}

/** The client that a request is from. */
export interface ClientIdentity {
  readonly name: string;
  /** Absent where the body has no signed chunks. */
  readonly seal?: BodySeal;
}
