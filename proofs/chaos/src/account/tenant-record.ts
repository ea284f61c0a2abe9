import { ownTenants } from "../fleet/hot-names.ts";
import type { StepReport } from "../fleet/messages.ts";
import type { WriterRecord } from "./writer-record.ts";

/** How often backends came, and came back. */
export interface TenantCounts {
  /** That some instance brought in. */
  readonly came: number;
  /** How often an instance took one up again that it had let go of. */
  readonly back: number;
  /** That only an instance held that was killed, and of which others stored something. */
  readonly inherited: number;
}

/** Which backends came and went, as instances told. */
export class TenantRecord {
  readonly #names = new Set<string>();
  readonly #byWriter = new Map<string, Set<string>>();
  #back = 0;

  take(writer: string, { takenUp, view }: StepReport): void {
    const known = this.#byWriter.get(writer) ?? new Set(Object.keys(view).filter((name) => !takenUp.includes(name)));
    this.#byWriter.set(writer, known);
    for (const name of takenUp) {
      if (known.has(name)) this.#back += 1;
      known.add(name);
      this.#names.add(name);
    }
  }

  counts(prefix: string, writers: readonly WriterRecord[]): TenantCounts {
    const inherited = writers.flatMap(({ writer, inherited }) => {
      const names = inherited.entries().map(([, backend]) => backend);
      return names.filter((backend) => backend.startsWith(ownTenants(prefix, writer)));
    });
    return { came: this.#names.size, back: this.#back, inherited: new Set(inherited).size };
  }
}
