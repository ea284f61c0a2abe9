import { debianProgram } from "./debian-packages.ts";
import { installedProgram, type Program } from "./program.ts";

/**
 * The curl on PATH; else, on Debian and its kin, one that is fetched once into the workspace's cache.
 *
 * @throws Error that says how to install curl, when there is none and none can be fetched.
 */
export async function curlBinary(): Promise<Program> {
  const installed = installedProgram("curl");
  if (installed !== undefined) return installed;
  try {
    return await debianProgram({ name: "curl", path: "usr/bin/curl" });
  } catch (cause) {
    throw new Error("curl is not installed: apt-get install -y --no-install-recommends curl", { cause });
  }
}
