import { randomBytes } from "node:crypto";

/**
 * A writer's id that no other run of any process has: a UUIDv7 (RFC 9562, section 5.7), so that ids sort by the time at
 * which the runs began.
 */
export function newWriter(nowMs: number): string {
  // fault: counts under the same writer in every run
  const bytes = randomBytes(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes[6] = 0x70 | ((bytes[6] as number) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
