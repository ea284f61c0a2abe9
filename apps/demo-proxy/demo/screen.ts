import type { WriteStream } from "node:tty";

const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";
// Without wrapping, a terminal that is too narrow cuts lines instead of shifting the picture.
const NO_WRAP = "\x1b[?7l";
const WRAP = "\x1b[?7h";
const CLEAR_TO_END = "\x1b[K";

/** Redraws some lines in place, in one write, so that nothing flickers. */
export class Screen {
  readonly #stream: Pick<WriteStream, "write">;
  #height = 0;

  constructor(stream: Pick<WriteStream, "write">) {
    this.#stream = stream;
  }

  draw(lines: readonly string[]): void {
    const up = this.#height === 0 ? HIDE_CURSOR + NO_WRAP : `\x1b[${this.#height}A`;
    this.#stream.write(up + lines.map((line) => `\r${line}${CLEAR_TO_END}\n`).join(""));
    this.#height = lines.length;
  }

  /** Gives the terminal back; what was drawn stays. */
  close(): void {
    if (this.#height > 0) this.#stream.write(SHOW_CURSOR + WRAP);
    this.#height = 0;
  }
}
