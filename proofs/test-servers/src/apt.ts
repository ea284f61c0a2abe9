import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/** Resolves with what a program wrote, and rejects when it fails. */
export const run: (
  file: string,
  args: readonly string[],
  options?: { readonly cwd?: string },
) => Promise<{ readonly stdout: string }> = promisify(execFile);

const KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Runs `apt-get` in a folder, and answers what it wrote. */
export type Apt = (...args: readonly string[]) => Promise<string>;

/** With the machine's own lists of packages. */
export function machineApt(folder: string): Apt {
  // As root, apt would drop to a user that may not write here.
  const options = ["-o", "APT::Sandbox::User=root"];
  return async (...args) => (await run("apt-get", [...options, ...args], { cwd: folder })).stdout;
}

/**
 * With new lists, which are kept in the folder: nobody needs to be root, and the machine's stay as they are. They are of the
 * machine's own sources, or of another release on the same mirror, where nothing counts as installed.
 */
export async function freshApt(folder: string, release?: string): Promise<Apt> {
  const own = join(folder, "apt");
  await mkdir(join(own, "lists/partial"), { recursive: true });
  await mkdir(join(own, "cache/archives/partial"), { recursive: true });
  const options = [
    `Dir::State::Lists=${join(own, "lists")}`,
    `Dir::Cache=${join(own, "cache")}`,
    "Debug::NoLocking=true",
    "Acquire::Languages=none",
  ];
  if (release !== undefined) {
    await writeFile(join(own, "sources.list"), await sourcesOf(release));
    await writeFile(join(own, "status"), "");
    options.push(
      `Dir::Etc::SourceList=${join(own, "sources.list")}`,
      "Dir::Etc::SourceParts=/dev/null",
      `Dir::State::status=${join(own, "status")}`,
    );
  }
  const apt = machineApt(folder);
  const fresh: Apt = (...args) => apt(...options.flatMap((option) => ["-o", option]), ...args);
  await fresh("update");
  return fresh;
}

async function sourcesOf(release: string): Promise<string> {
  const { stdout } = await run("apt-get", ["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]);
  const mirror = stdout.split("\n").find((uri) => /\/debian\/?$/.test(uri));
  if (mirror === undefined) throw new Error(`apt knows no mirror of Debian to fetch packages of ${release} from`);
  return `deb [signed-by=${KEYS}] ${mirror} ${release} main\n`;
}
