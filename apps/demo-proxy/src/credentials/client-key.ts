import { createSecretKey, hash, type KeyObject } from "node:crypto";
import { inspect } from "node:util";
import { fingerprintOf } from "./secret.ts";
import { signingKey } from "./signature-v4.ts";

const HASHED = /^sha256:([0-9a-f]{64})$/i;

/**
 * The key by which one client of the proxy is known. Of the key itself only its SHA-256 is kept, under a fingerprint of this process.
 * What verifies signatures is made of the key as Signature V4 wants it, and lies outside the heap of JavaScript; a key that is
 * configured as its hash has none, so it signs nothing.
 */
export class ClientKey {
  readonly fingerprint: string;
  readonly #signing: KeyObject | undefined;
  /** Clients sign for one region, all day long. */
  #scoped: { readonly scope: string; readonly key: KeyObject } | undefined;

  /** @param text the key, or `sha256:` and the SHA-256 of the key in hexadecimal digits. */
  constructor(text: string) {
    const hashed = HASHED.exec(text)?.[1];
    this.fingerprint = hashed === undefined ? keyFingerprint(text) : fingerprintOf(Buffer.from(hashed, "hex"));
    this.#signing = hashed === undefined ? createSecretKey(`AWS4${text}`, "utf8") : undefined;
  }

  /** The key of Signature V4 for one day, region and service; undefined where only the hash of this one is known. */
  signingKey(scope: string): KeyObject | undefined {
    if (this.#signing === undefined) return undefined;
    if (this.#scoped?.scope !== scope) this.#scoped = { scope, key: signingKey(this.#signing, scope) };
    return this.#scoped.key;
  }

  toJSON(): string {
    return "[secret]";
  }

  [inspect.custom](): string {
    return "[secret]";
  }
}

/** By what a key that a client presents is looked up: nobody outside can tell what it becomes. */
export function keyFingerprint(key: string): string {
  return fingerprintOf(hash("sha256", key, "buffer"));
}
