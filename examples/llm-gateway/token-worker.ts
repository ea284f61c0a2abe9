import { parentPort } from "node:worker_threads";
import { countTokens } from "gpt-tokenizer/encoding/o200k_base";

parentPort?.on("message", (texts: readonly string[]) => {
  // What looks like a special token in a text is text.
  parentPort?.postMessage(texts.map((text) => countTokens(text, { disallowedSpecial: new Set() })));
});
