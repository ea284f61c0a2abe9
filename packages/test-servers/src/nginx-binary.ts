import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const CACHE = fileURLToPath(new URL("../../../node_modules/.cache/usage-test-servers/", import.meta.url));
// Newer Debians keep the binary in `nginx`, older ones and Ubuntu in `nginx-core`.
const DEBIAN_PACKAGES = ["nginx", "nginx-core"];

/**
 * The path of an nginx: the one on PATH or among the system's binaries; else, on Debian and its kin, one that is fetched
 * once into the workspace's cache without being installed.
 *
 * @throws Error that says how to install nginx.
 */
export async function nginxBinary(): Promise<string> {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  const cached = join(CACHE, "nginx/usr/sbin/nginx");
  for (const path of [...folders.map((folder) => join(folder, "nginx")), cached]) {
    if (await exists(path)) return path;
  }
  try {
    await fetchFromDebian();
  } catch (cause) {
    const help = "nginx is not installed: apt-get install -y --no-install-recommends nginx, or brew install nginx";
    throw new Error(help, { cause });
  }
  return cached;
}

/** Unpacks into a folder of its own first, since other test processes may do the same at this moment. */
async function fetchFromDebian(): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  const folder = await mkdtemp(join(CACHE, "fetch-"));
  try {
    for (const name of DEBIAN_PACKAGES) {
      await downloadPackage(name, folder);
      for (const file of await readdir(folder)) {
        if (file.endsWith(".deb")) await run("dpkg", ["-x", join(folder, file), join(folder, "unpacked")]);
      }
      if (await exists(join(folder, "unpacked/usr/sbin/nginx"))) break;
    }
    await access(join(folder, "unpacked/usr/sbin/nginx"));
    await rename(join(folder, "unpacked"), join(CACHE, "nginx")).catch(async (error: unknown) => {
      if (!(await exists(join(CACHE, "nginx/usr/sbin/nginx")))) throw error;
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function downloadPackage(name: string, folder: string): Promise<void> {
  // As root, apt would drop to a user that may not write here.
  const download = ["-o", "APT::Sandbox::User=root", "download", name];
  try {
    await run("apt-get", download, { cwd: folder });
  } catch {
    await run("apt-get", ["update"]);
    await run("apt-get", download, { cwd: folder });
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
