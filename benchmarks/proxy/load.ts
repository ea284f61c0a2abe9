import { connect } from "node:net";
import { answer } from "../child.ts";

/** Requests one path over and over, on each of some connections, for a while. */
export interface Load {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  readonly durationMs: number;
  /** Of a response's body, in bytes: every response is checked against it. */
  readonly bodyBytes: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** CPU time that generating the load took, in microseconds. */
  readonly cpuUs: number;
}

process.on("message", async (load: Load) => answer(await generate(load)));
process.on("disconnect", () => process.exit());

async function generate(load: Load): Promise<LoadResult> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const until = start + load.durationMs;
  const counts = await Promise.all(Array.from({ length: load.connections }, () => runConnection(load, until)));
  const { user, system } = process.cpuUsage(cpu);
  return {
    requests: counts.reduce((sum, count) => sum + count, 0),
    seconds: (performance.now() - start) / 1_000,
    cpuUs: user + system,
  };
}

/**
 * One connection, one request at a time. On the bare socket: an HTTP client would cost as much CPU time as the servers
 * that are compared, on the same cores.
 */
function runConnection({ port, path, bodyBytes }: Load, until: number): Promise<number> {
  const request = Buffer.from(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`);
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    let done = 0;
    let head = "";
    /** Of the current body; undefined while its head is on the way. */
    let bytesLeft: number | undefined;
    const finish = (): void => {
      done += 1;
      head = "";
      bytesLeft = undefined;
      if (performance.now() < until) socket.write(request);
      else socket.end(() => resolve(done));
    };
    socket.on("connect", () => socket.write(request));
    socket.on("data", (chunk) => {
      if (bytesLeft === undefined) {
        head += chunk.toString("latin1");
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        if (!head.startsWith("HTTP/1.1 200") || !head.toLowerCase().includes(`\r\ncontent-length: ${bodyBytes}\r\n`)) {
          socket.destroy(new Error(`not the expected response: ${head.slice(0, end)}`));
          return;
        }
        bytesLeft = bodyBytes - (head.length - end - 4);
      } else {
        bytesLeft -= chunk.length;
      }
      if (bytesLeft === 0) finish();
      else if (bytesLeft < 0) socket.destroy(new Error("more came than the response's body"));
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`the connection ended after ${done} responses`)));
  });
}
