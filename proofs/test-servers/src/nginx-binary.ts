import { debianProgram } from "./debian-packages.ts";
import { installedProgram, type Program } from "./program.ts";

/**
 * An nginx: the one on PATH or among the system's binaries; else, on Debian and its kin, one that is fetched once into the
 * workspace's cache without being installed.
 *
 * @throws Error that says how to install nginx.
 */
export async function nginxBinary(): Promise<Program> {
  const installed = installedProgram("nginx");
  if (installed !== undefined) return installed;
  try {
    return await debianProgram({ name: "nginx", path: "usr/sbin/nginx" });
  } catch (cause) {
    const help = "nginx is not installed: apt-get install -y --no-install-recommends nginx, or brew install nginx";
    throw new Error(help, { cause });
  }
}
