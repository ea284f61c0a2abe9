import { type Instance, startInstance, startPostgres, startRedis } from "@usage/test-servers";

/** Starts the server that it is told of, says where it is, and stays. */
const starts: Readonly<Record<string, () => Promise<string>>> = {
  postgres: async () => (await startPostgres()).url,
  redis: async () => (await startRedis()).url,
  "paused redis": async () => {
    const server = await startRedis();
    server.pause();
    return server.url;
  },
  instance: async () => (await instance()).url,
  "paused instance": async () => {
    const { running, url } = await instance();
    running.pause();
    return url;
  },
  "hanging instance": async () => {
    const { running, url } = await instance();
    await running.send("hang");
    return url;
  },
};

async function instance(): Promise<{ readonly running: Instance; readonly url: string }> {
  const running = startInstance(new URL("instance.ts", import.meta.url));
  return { running, url: String(await running.next()) };
}

const start = starts[process.argv[2] ?? ""];
if (start === undefined) throw new Error(`nothing to start: ${process.argv[2]}`);
console.log(await start());
setInterval(() => {}, 1_000);
