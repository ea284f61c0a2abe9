import { once } from "node:events";
import { createServer } from "node:net";

/** Says where it listens, and does what it is told. */
const server = createServer().listen(0, "127.0.0.1");
await once(server, "listening");
const address = server.address();
if (address === null || typeof address === "string") throw new Error("no port");
process.on("message", (message: unknown) => {
  if (message === "args") process.send?.([process.argv.slice(2), process.env.INSTANCE_NAME, process.execArgv]);
  else if (message === "throw") throw new Error("told to throw");
  else if (message === "hang") for (;;);
  else process.send?.(message);
});
process.on("SIGTERM", () => {
  process.send?.("going", () => process.exit(7));
});
// Last: whoever hears it may send a signal at once.
process.send?.(`tcp://127.0.0.1:${address.port}`);
