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

/**
 * The name under which a run counts what began at zero again. A tally only grows; what begins again under the same name would
 * hide behind the old maximum. Generation 0 is the run's own name.
 */
export function writerOf(run: string, generation: number): string {
  return generation === 0 ? run : `${run}.${generation}`;
}

/** Whether a run counted this tally, under whichever generation of its name. */
export function isWrittenBy(tally: { readonly writer: string }, run: string): boolean {
  const { writer } = tally;
  return writer.startsWith(run) && (writer.length === run.length || writer[run.length] === ".");
}
