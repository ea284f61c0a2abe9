import { dirname, join, resolve } from "node:path";
import { debianProgram } from "./debian-packages.ts";
import { installedProgram, type Program } from "./program.ts";

/**
 * The git on PATH; else, on Debian and its kin, one that is fetched once into the workspace's cache.
 *
 * @throws Error that says how to install git, when there is none and none can be fetched.
 */
export async function gitBinary(): Promise<Program> {
  const installed = installedProgram("git");
  if (installed !== undefined) return installed;
  try {
    const { path, args, env } = await debianProgram({ name: "git", path: "usr/bin/git" });
    const home = resolve(dirname(path), "..");
    // Where an installation would have put its other programs.
    const places = {
      GIT_EXEC_PATH: join(home, "lib/git-core"),
      GIT_TEMPLATE_DIR: join(home, "share/git-core/templates"),
    };
    return { path, args, env: { ...env, ...places } };
  } catch (cause) {
    throw new Error("git is not installed: apt-get install -y --no-install-recommends git", { cause });
  }
}
