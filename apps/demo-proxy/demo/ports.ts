import { once } from "node:events";
import { createServer } from "node:net";

/** The port itself where nobody listens on it, otherwise 0, which takes any free one. */
export async function portOrAny(port: number): Promise<number> {
  const probe = createServer().listen(port, "127.0.0.1");
  try {
    await once(probe, "listening");
    probe.close();
    await once(probe, "close");
    return port;
  } catch {
    return 0;
  }
}
