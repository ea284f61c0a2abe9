import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Listens at a port of this machine, 0 for any, and answers which it is. Where another program's connection has taken a port that
 * was let go of for a moment, waits until it is free.
 */
export async function listenAgain(server: Server, port: number): Promise<number> {
  for (;;) {
    server.listen(port, "127.0.0.1");
    try {
      await once(server, "listening");
      return (server.address() as AddressInfo).port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
      await sleep(50);
    }
  }
}
