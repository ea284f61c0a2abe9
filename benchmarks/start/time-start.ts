import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "@usage/test-servers";

/** How one start went. Memory in MB of 10^6 bytes. */
export interface Started {
  readonly readyMs: number;
  readonly cpuMs: number;
  readonly residentMB: number;
  readonly peakMB: number;
}

const POLL_MS = 5;
const REST_MS = 3_000;
/** What /proc counts CPU time in, on Linux. */
const TICK_MS = 10;

/** Starts the proxy by Node's arguments, on a fresh folder and with these settings besides two backends, and ends it. */
export async function timeStart(program: readonly string[], settings: string): Promise<Started> {
  const folder = await mkdtemp(join(tmpdir(), "usage-start-"));
  const port = await freePort();
  await writeFile(join(folder, "proxy.yaml"), configText(port, settings));
  const beganMs = performance.now();
  const child = spawn(process.execPath, [...program, "--config", "proxy.yaml"], {
    cwd: folder,
    // What Node compiled for another process, and where the user of a package manager stands, are not the proxy's.
    env: { ...process.env, NODE_COMPILE_CACHE: undefined, INIT_CWD: undefined },
    stdio: ["ignore", "ignore", "inherit"],
  });
  try {
    while (!(await isReady(port))) {
      if (child.exitCode !== null) throw new Error(`the proxy ended with ${child.exitCode} before it was ready`);
      await delay(POLL_MS);
    }
    const readyMs = performance.now() - beganMs;
    const cpuMs = await cpuOf(child.pid);
    await delay(REST_MS);
    const status = await readFile(`/proc/${child.pid}/status`, "utf8");
    return { readyMs, cpuMs, residentMB: megabytes(status, "VmRSS"), peakMB: megabytes(status, "VmHWM") };
  } finally {
    child.kill();
    if (child.exitCode === null) await once(child, "exit");
    await rm(folder, { recursive: true });
  }
}

function configText(port: number, settings: string): string {
  return `listen: 127.0.0.1:0
admin: { listen: "127.0.0.1:${port}" }
${settings}backends:
  - { name: one, url: "http://127.0.0.1:9", limits: { apiRequests: 50000, egressBytes: 10GiB } }
  - { name: two, url: "http://127.0.0.1:9", limits: { apiRequests: 50000, egressBytes: 10GiB } }
`;
}

function isReady(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  get({ port, path: "/readyz", agent: false }, (response) => {
    response.resume();
    resolve(response.statusCode === 200);
  }).on("error", () => resolve(false));
  return promise;
}

async function cpuOf(pid: number | undefined): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

function megabytes(status: string, field: string): number {
  const [, kib] = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status) ?? [];
  return (Number(kib) * 1_024) / 1e6;
}
