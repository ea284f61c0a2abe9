import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "./free-port.ts";
import { nginxBinary } from "./nginx-binary.ts";
import { startReaper } from "./reaper.ts";

export interface NginxOptions {
  /** The directives of its one `server` block, besides `listen` and `root`. */
  readonly config: string;
}

export interface NginxServer {
  readonly port: number;
  /** The server's root: what is in this folder is served. */
  readonly folder: string;
  /** One line per finished request: `$request_method $request_uri $status $body_bytes_sent $content_length`. */
  accessLog(): Promise<string>;
  stop(): Promise<void>;
}

/** Starts an nginx on a free port of the loopback, with a new folder of its own, and prints its version. */
export async function startNginx(options: NginxOptions): Promise<NginxServer> {
  const binary = await nginxBinary();
  const env = { ...process.env, ...binary.env };
  console.log((await promisify(execFile)(binary.path, [...binary.args, "-v"], { env })).stderr.trim());
  const home = await mkdtemp(join(tmpdir(), "usage-nginx-"));
  const folder = join(home, "www");
  await mkdir(folder);
  const port = await freePort();
  await writeFile(join(home, "nginx.conf"), configuration(home, folder, port, options.config));
  const settings = ["-p", home, "-e", join(home, "error.log"), "-c", join(home, "nginx.conf")];
  const child = spawn(binary.path, [...binary.args, ...settings], {
    env,
    stdio: "ignore",
  });
  const reaper = startReaper({ folder: home });
  reaper.watch(child.pid);
  await untilListening(child, port, join(home, "error.log"));
  return {
    port,
    folder,
    accessLog: () => readFile(join(home, "access.log"), "utf8"),
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGTERM");
        await once(child, "exit");
      }
      reaper.watch(undefined);
      await reaper.reap();
    },
  };
}

/** One process in the foreground: it ends with its parent's signal, and needs no other user's rights to its folder. */
function configuration(home: string, folder: string, port: number, server: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `
daemon off;
master_process off;
pid ${home}/nginx.pid;
events { worker_connections 1024; }
http {
  ${temporary.map((kind) => `${kind}_temp_path ${home}/${kind};`).join("\n  ")}
  log_format counted '$request_method $request_uri $status $body_bytes_sent $content_length';
  access_log ${home}/access.log counted;
  default_type application/octet-stream;
  server {
    listen 127.0.0.1:${port};
    root ${folder};
    ${server}
  }
}
`;
}

async function untilListening(child: ChildProcess, port: number, errorLog: string): Promise<void> {
  for (const deadline = Date.now() + 30_000; ; ) {
    const failed = child.exitCode !== null || child.signalCode !== null;
    if (failed || Date.now() > deadline) {
      child.kill("SIGKILL");
      throw new Error(`nginx did not start:\n${await readFile(errorLog, "utf8").catch(() => "(no log)")}`);
    }
    if (await accepts(port)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  return new Promise<boolean>((resolve) => {
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
  }).finally(() => socket.destroy());
}
