import { type FlushMessage, flushChannel } from "@usage/tracker";

/** Writes a line when flushes begin to fail, when they work again, and for what the store refuses for ever. Answers how to stop. */
export function logFlushes(write: (line: string) => void): () => void {
  let failing = false;
  const refused = new Set<string>();
  const listener = (message: unknown): void => {
    if (!isFlushMessage(message)) return;
    const failed = message.error !== undefined;
    if (failed && !failing) write(`flush failed, the counts are kept and tried again: ${messageOf(message.error)}`);
    if (!failed && failing) write("flush works again, nothing is lost");
    failing = failed;
    for (const { tally, reason } of message.rejected) {
      const line = `the store refuses the usage of ${JSON.stringify(tally.backend)} in ${tally.period}: ${reason.message}`;
      // It is tried again with every flush; once is enough to say so.
      if (!refused.has(line)) write(line);
      refused.add(line);
    }
  };
  flushChannel.subscribe(listener);
  return () => flushChannel.unsubscribe(listener);
}

function isFlushMessage(message: unknown): message is FlushMessage {
  return typeof message === "object" && message !== null && "rejected" in message;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
