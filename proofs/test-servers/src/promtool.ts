import { execFile } from "node:child_process";
import { debianProgram } from "./debian-packages.ts";
import { installedProgram, type Program } from "./program.ts";

/**
 * Prometheus's own judgement of a text in its exposition format: what its parser refuses and its linter finds, one finding
 * a line; empty when it is content.
 *
 * @throws Error that says how to install promtool, when there is none and none can be fetched.
 */
export async function promtoolFindings(text: string): Promise<string> {
  const { path, args, env } = await promtoolBinary();
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = execFile(
    path,
    [...args, "check", "metrics"],
    { env: { ...process.env, ...env } },
    (error, stdout, stderr) => {
      const findings = `${stdout}${stderr}`.trim();
      // It exits with 1 for what it cannot parse, and with 3 for what it finds; anything else is its own failure.
      if (error === null || (findings !== "" && (error.code === 1 || error.code === 3))) resolve(findings);
      else reject(error);
    },
  );
  child.stdin?.on("error", () => {});
  child.stdin?.end(text);
  return promise;
}

/** The promtool on PATH; else, on Debian and its kin, one that is fetched once into the workspace's cache. */
async function promtoolBinary(): Promise<Program> {
  const installed = installedProgram("promtool");
  if (installed !== undefined) return installed;
  try {
    return await debianProgram({ name: "prometheus", path: "usr/bin/promtool" });
  } catch (cause) {
    throw new Error("promtool is not installed: apt-get install -y --no-install-recommends prometheus", { cause });
  }
}
