import { type Line, renderEvent } from "./table.ts";

/** What happened in the course of the demo, and when: on a terminal part of the picture, elsewhere printed at once. */
export class Journal {
  readonly story: Line[] = [];
  readonly deliveries: Line[] = [];
  readonly #print: (line: string) => void;
  #startMs = performance.now();

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  /** From here on time counts. */
  begin(): void {
    this.#startMs = performance.now();
  }

  elapsedMs(): number {
    return performance.now() - this.#startMs;
  }

  tell(text: string): void {
    this.#add(this.story, text, "");
  }

  delivered(text: string): void {
    this.#add(this.deliveries, text, "webhook: ");
  }

  #add(lines: Line[], text: string, kind: string): void {
    const line = { atMs: this.elapsedMs(), text };
    lines.push(line);
    this.#print(renderEvent({ ...line, text: `${kind}${text}` }));
  }
}
