import { hash, randomBytes } from "node:crypto";
import { inspect } from "node:util";

const PROCESS_KEY = randomBytes(32);

/**
 * A text that must appear nowhere but where it is used. Logs, JSON and `inspect` show `[secret]`; two that stand for the same text
 * are deeply equal, by a fingerprint that means something in this process only.
 */
export class Secret {
  readonly fingerprint: string;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    this.fingerprint = fingerprintOf(text);
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return "[secret]";
  }

  toJSON(): string {
    // fault: shows a secret to whoever prints it
    return "[secret]";
  }

  [inspect.custom](): string {
    return "[secret]";
  }
}

/** The same for the same text, and of no use to anybody outside this process. */
export function fingerprintOf(text: string | Buffer): string {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  // It never leaves the process, so nobody can lengthen what was hashed.
  return hash("sha256", Buffer.concat([PROCESS_KEY, bytes]), "base64");
}
