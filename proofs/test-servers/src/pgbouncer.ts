import { spawn } from "node:child_process";
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { debianProgram } from "./debian-packages.ts";
import { freePort } from "./free-port.ts";
import { installedProgram, type Program } from "./program.ts";
import { startReaper } from "./reaper.ts";
import { serverAccount } from "./server-account.ts";

export interface PgBouncerOptions {
  /** Of a Postgres server, whose user needs no password. */
  readonly url: string;
}

export interface PgBouncer {
  /** Of the same database, by way of the pooler. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts PgBouncer in front of a server, as hosting providers do: a connection is a client's for one transaction. */
export async function startPgBouncer({ url }: PgBouncerOptions): Promise<PgBouncer> {
  const { path, args, env } = await pgBouncerBinary();
  const server = new URL(url);
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "usage-pgbouncer-"));
  const reaper = startReaper({ folder });
  chmodSync(folder, 0o755);
  const file = join(folder, "pgbouncer.ini");
  writeFileSync(file, configuration(server, port));
  const log = openSync(join(folder, "log"), "a");
  // It refuses to run as root.
  const child = spawn(path, [...args, file], {
    ...serverAccount("postgres", "nobody"),
    env: { ...process.env, ...env },
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  child.unref();
  reaper.watch(child.pid);
  for (const deadline = Date.now() + 30_000; !(await accepts(port)); await sleep(20)) {
    if (child.exitCode === null && Date.now() < deadline) continue;
    const said = readFileSync(join(folder, "log"), "utf8");
    await reaper.reap();
    throw new Error(`PgBouncer did not start: ${said}`);
  }
  const own = new URL(url);
  own.port = String(port);
  return { url: own.href, stop: () => reaper.reap() };
}

function configuration({ hostname, port: serverPort, username }: URL, port: number): string {
  return `
[databases]
* = host=${hostname} port=${serverPort} user=${username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
`;
}

/** The one on PATH; else, on Debian and its kin, one that is fetched once into the workspace's cache. */
async function pgBouncerBinary(): Promise<Program> {
  const installed = installedProgram("pgbouncer");
  if (installed !== undefined) return installed;
  return debianProgram({ name: "pgbouncer", path: "usr/sbin/pgbouncer" }).catch((cause) => {
    const help = "PgBouncer is not installed: apt-get install -y --no-install-recommends pgbouncer";
    throw new Error(help, { cause });
  });
}

function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  return new Promise<boolean>((resolve) => {
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
  }).finally(() => socket.destroy());
}
