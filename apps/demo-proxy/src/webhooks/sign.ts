import { createHmac } from "node:crypto";

export interface Signed {
  readonly id: string;
  /** Whole seconds since the Unix epoch. */
  readonly timestamp: number;
  readonly body: string;
}

/**
 * The signature of a delivery: HMAC-SHA256 over `id.timestamp.body`, as https://www.standardwebhooks.com says.
 *
 * @param secret - `whsec_` and the key in base64.
 */
export function sign(secret: string, { id, timestamp, body }: Signed): string {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`;
}
