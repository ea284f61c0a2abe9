import { openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";

/** What of a limit was used or kept free, or, below 0, is free again; 0: was asked for and refused. */
export interface Use {
  /** Microseconds of a clock that all processes of the machine have in common, and that nobody sets. */
  readonly atUs: number;
  readonly period: string;
  readonly backend: string;
  readonly amount: number;
  /** That the instance worked with at that moment. */
  readonly limit: number;
}

/**
 * What one instance admits of limits, in a file of its own: each admission is there before it counts as one, and what is given back is
 * there before anybody else can have it. So it is the truth of those, too, that are killed.
 */
export class UseLog {
  readonly #file: number;

  constructor(folder: string, writer: string) {
    this.#file = openSync(join(folder, writer), "a");
  }

  write({ period, backend, amount, limit }: Omit<Use, "atUs">): void {
    const atUs = process.hrtime.bigint() / 1_000n;
    writeSync(this.#file, `${atUs} ${period} ${amount} ${limit} ${backend}\n`);
  }
}

/** What all instances that ever ran have written, by writer. */
export function readUse(folder: string): ReadonlyMap<string, readonly Use[]> {
  return new Map(
    readdirSync(folder).map((writer) => {
      // What is not whole is being written.
      const lines = readFileSync(join(folder, writer), "utf8").split("\n").slice(0, -1);
      return [writer, lines.map(useOf)];
    }),
  );
}

function useOf(line: string): Use {
  const [atUs = "", period = "", amount = "", limit = "", ...backend] = line.split(" ");
  return { atUs: Number(atUs), period, backend: backend.join(" "), amount: Number(amount), limit: Number(limit) };
}
