import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Below the ports that systems hand out to outgoing connections. From among those, another connection could take the port of
 * a server that is down for a moment, and a client that dials such a port again and again ends up connected to itself.
 */
const FIRST = 10_000;
const LAST = 22_767;
const ATTEMPTS = 1_000;

/** A port of 127.0.0.1 that is free, as are those at the given distances from it. */
export async function freePort(...distances: readonly number[]): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1));
    const free = await Promise.all([0, ...distances].map((distance) => isFree(port + distance)));
    if (!free.includes(false)) return port;
  }
  throw new Error(`no free port on 127.0.0.1 from ${FIRST} to ${LAST}`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
