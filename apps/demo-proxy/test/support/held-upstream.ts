import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { onTestFinished } from "vitest";

export interface HeldUpstream {
  readonly url: URL;
  /** The next request that has arrived and waits for an answer. */
  next(): Promise<ServerResponse>;
}

/** An upstream that answers only when the test does. */
export async function startHeldUpstream(): Promise<HeldUpstream> {
  const arrived: ServerResponse[] = [];
  const server = createServer((_, response) => {
    arrived.push(response);
    server.emit("arrived");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    async next() {
      for (;;) {
        const response = arrived.shift();
        if (response !== undefined) return response;
        await once(server, "arrived");
      }
    },
  };
}
