import { readCommand } from "../report/command.ts";
import { progressLine, runCommand } from "../report/run-command.ts";
import { soakReport } from "./report.ts";
import { runSoak } from "./run-soak.ts";

const REQUESTS_PER_SECOND = 500;

const { minutes, file } = readCommand("pnpm soak [--minutes N] [--report FILE]", "soak-report.md");
const show = progressLine();

await runCommand(file, async (signal) => {
  const result = await runSoak({
    durationMs: 60_000 * minutes,
    requestsPerSecond: REQUESTS_PER_SECOND,
    signal,
    onProgress({ seconds, requests, rssBytes }) {
      const memory = rssBytes.map((bytes) => `${Math.round(bytes / 2 ** 20)} MiB`).join(", ");
      show(`${seconds} s: ${requests} requests, memory of the proxies ${memory}`);
    },
  });
  return soakReport(result, REQUESTS_PER_SECOND);
});
