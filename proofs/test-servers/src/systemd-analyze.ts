import { execFile } from "node:child_process";
import { debianProgram } from "./debian-packages.ts";
import { installedProgram, type Program } from "./program.ts";

/**
 * What systemd says of a unit's file: nothing where all is well, else its complaints, one a line. The programs that the unit
 * starts must be there.
 *
 * @throws Error that says how to install systemd, when there is none and none can be fetched.
 */
export async function unitFindings(file: string): Promise<string> {
  // It exits with 0 also for what it complains of, such as a key that it does not know.
  return (await systemdAnalyze("verify", file)).output;
}

/** How exposed a unit's process is, from 0.0 (safe) to 10.0 (unsafe), as `systemd-analyze security` counts. */
export async function unitExposure(file: string): Promise<number> {
  const { output } = await systemdAnalyze("security", "--offline=true", file);
  const [, exposure] = /Overall exposure level for .*: ([\d.]+)/.exec(output) ?? [];
  if (exposure === undefined) throw new Error(`systemd-analyze says nothing of its exposure:\n${output}`);
  return Number(exposure);
}

async function systemdAnalyze(...given: readonly string[]): Promise<{ readonly output: string }> {
  const { path, args, env } = await systemdBinary();
  const { promise, resolve, reject } = Promise.withResolvers<{ readonly output: string }>();
  execFile(path, [...args, "--no-pager", ...given], { env: { ...process.env, ...env } }, (error, stdout, stderr) => {
    // What it exits with depends on what it found; that it could not be started does not.
    if (error === null || typeof error.code === "number") resolve({ output: `${stdout}${stderr}`.trim() });
    else reject(error);
  });
  return promise;
}

/** The one on PATH; else, on Debian and its kin, one that is fetched once into the workspace's cache. */
async function systemdBinary(): Promise<Program> {
  const installed = installedProgram("systemd-analyze");
  if (installed !== undefined) return installed;
  try {
    return await debianProgram({ name: "systemd", path: "usr/bin/systemd-analyze" });
  } catch (cause) {
    throw new Error("systemd-analyze is not installed: apt-get install -y --no-install-recommends systemd", { cause });
  }
}
