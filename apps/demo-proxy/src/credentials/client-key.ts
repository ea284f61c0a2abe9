import { createHash, createSecretKey, type KeyObject } from "node:crypto";
import { inspect } from "node:util";
import { fingerprintOf } from "./secret.ts";

const HASHED = /^sha256:([0-9a-f]{64})$/i;

/**
 * The key by which one client of the proxy is known. Of the key itself only its SHA-256 is kept, under a fingerprint of this process.
 * What verifies signatures is made of the key as Signature V4 wants it, and lies outside the heap of JavaScript; a key that is
 * configured as its hash has none, so it signs nothing.
 */
export class ClientKey {
  readonly fingerprint: string;
  readonly #signing: KeyObject | undefined;

  /** @param text the key, or `sha256:` and the SHA-256 of the key in hexadecimal digits. */
  constructor(text: string) {
    const hash = HASHED.exec(text)?.[1];
    this.fingerprint = hash === undefined ? keyFingerprint(text) : fingerprintOf(Buffer.from(hash, "hex"));
    this.#signing = hash === undefined ? createSecretKey(`AWS4${text}`, "utf8") : undefined;
  }

  /** The first key of Signature V4; undefined where only the hash is known. */
  get signing(): KeyObject | undefined {
    return this.#signing;
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
  return fingerprintOf(createHash("sha256").update(key).digest());
}
