import { once } from "node:events";
import { createServer } from "node:net";
import { freePort } from "@usage/test-servers";

/** The port itself where nobody listens on it, otherwise another one. */
export async function portOrAnother(port: number): Promise<number> {
  const probe = createServer().listen(port, "127.0.0.1");
  try {
    await once(probe, "listening");
  } catch {
    return freePort();
  }
  probe.close();
  await once(probe, "close");
  return port;
}
