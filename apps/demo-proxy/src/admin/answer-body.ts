import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ReaderSilence } from "../proxy/reader-silence.ts";
import { LOOKS_PER_SILENCE } from "../proxy/silence.ts";

/** Writes a body as fast as the client reads it, and cuts off a client that reads none of it for so long, in milliseconds. */
export async function writeBody(
  response: ServerResponse,
  body: readonly Uint8Array[],
  silenceMs: number,
): Promise<void> {
  const stop = watchReader(response, silenceMs);
  try {
    await pipeline(Readable.from(body), response);
  } catch {
    // The client has left, or was cut off.
  } finally {
    stop();
  }
}

function watchReader(response: ServerResponse, silenceMs: number): () => void {
  const { socket } = response;
  const reading = new ReaderSilence(LOOKS_PER_SILENCE);
  const taken = (): number => (socket === null ? 0 : socket.bytesWritten - socket.writableLength);
  const before = taken();
  const timer = setInterval(() => {
    if (reading.look(taken() - before, !response.writableFinished)) response.destroy();
  }, silenceMs / LOOKS_PER_SILENCE);
  return () => clearInterval(timer);
}
