import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { readCommand } from "../report/command.ts";
import { progressLine, runCommand } from "../report/run-command.ts";
import { soakReport } from "./report.ts";
import { runSoak } from "./run-soak.ts";

const USAGE = "pnpm soak [--minutes N] [--rate N] [--from ANOTHER_CHECKOUT] [--report FILE]";
const { minutes, file, option } = readCommand(USAGE, "soak-report.md", ["rate", "from"]);
/** Requests a second, through each proxy. */
const rate = Number(option("rate") ?? 500);
if (!(rate > 0)) {
  console.error(`--rate must be a number above 0, got ${option("rate")}\nusage: ${USAGE}`);
  process.exit(2);
}
const checkout = option("from");
/** The other checkout must be installed. */
const from =
  checkout && pathToFileURL(join(resolve(process.env.INIT_CWD ?? ".", checkout), "apps/demo-proxy/src/main.ts"));
const show = progressLine();

await runCommand(file, async (signal) => {
  const result = await runSoak({
    durationMs: 60_000 * minutes,
    requestsPerSecond: rate,
    from: from || undefined,
    signal,
    onProgress({ seconds, requests, rssBytes }) {
      const memory = rssBytes.map((bytes) => `${Math.round(bytes / 2 ** 20)} MiB`).join(", ");
      show(`${seconds} s: ${requests} requests, memory of the proxies ${memory}`);
    },
  });
  return soakReport(result, rate);
});
