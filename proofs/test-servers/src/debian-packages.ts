import { existsSync } from "node:fs";
import { access, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Apt, freshApt, machineApt, run } from "./apt.ts";
import type { Program } from "./program.ts";

const CACHE = fileURLToPath(new URL("../../../node_modules/.cache/usage-test-servers/", import.meta.url));

export interface DebianProgram {
  /** Of the package. */
  readonly name: string;
  /** Inside the package. */
  readonly path: string;
  /** Further packages that it is fetched with, such as fonts. @default none */
  readonly also?: readonly string[];
  /** Of which Debian, by its code name. @default the machine's own */
  readonly release?: string;
}

/**
 * A program of a Debian package, which is fetched once into the workspace's cache, with the packages that it needs and that
 * are not installed. Nothing is installed. A program of another release than the machine's brings its own C library and loader.
 *
 * @throws Error where there is no apt, or it cannot fetch them.
 */
export async function debianProgram({ name, path, also = [], release }: DebianProgram): Promise<Program> {
  const home = homeOf({ name, release });
  const program = join(home, path);
  if (!existsSync(program)) await fetchPackages({ name, path, also, release, home });
  const libraries = await libraryFolders(home);
  if (release === undefined) return { path: program, args: [], env: { LD_LIBRARY_PATH: libraries.join(delimiter) } };
  const loader = await loaderIn(libraries);
  return { path: loader, args: ["--library-path", libraries.join(delimiter), program], env: {} };
}

/** Whether it was fetched before. */
export function isFetched(program: DebianProgram): boolean {
  return existsSync(join(homeOf(program), program.path));
}

function homeOf({ name, release }: { readonly name: string; readonly release?: string | undefined }): string {
  return join(CACHE, release === undefined ? name : `${release}-${name}`);
}

interface Fetch {
  readonly name: string;
  readonly path: string;
  readonly also: readonly string[];
  readonly release: string | undefined;
  readonly home: string;
}

/** Into a folder of its own first, since other test processes may do the same at this moment. */
async function fetchPackages({ name, path, also, release, home }: Fetch): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  const folder = await mkdtemp(join(CACHE, "fetch-"));
  const unpacked = join(folder, "unpacked");
  const names = [name, ...also];
  try {
    if (release !== undefined) await unpack(await freshApt(folder, release), names, folder, unpacked, isOfProgram);
    else {
      await unpack(machineApt(folder), names, folder, unpacked).catch(async () => {
        // The machine's lists of packages are absent, or older than what the mirror holds.
        await unpack(await freshApt(folder), names, folder, unpacked);
      });
    }
    await access(join(unpacked, path));
    await rename(unpacked, home).catch((error: unknown) => {
      if (!existsSync(join(home, path))) throw error;
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function unpack(
  apt: Apt,
  names: readonly string[],
  folder: string,
  unpacked: string,
  isWanted: (added: string, name: string) => boolean = () => true,
): Promise<void> {
  const plan = await apt("--simulate", "--no-install-recommends", "install", ...names);
  const added = [...plan.matchAll(/^Inst (\S+) \(/gm)].flatMap(([, added]) => added ?? []);
  await apt(
    "download",
    ...new Set([...names, ...added.filter((added) => names.some((name) => isWanted(added, name)))]),
  );
  for (const file of await readdir(folder)) {
    if (file.endsWith(".deb")) await run("dpkg", ["-x", join(folder, file), unpacked]);
  }
}

/** Where nothing counts as installed, an installation would add half a system. */
function isOfProgram(added: string, name: string): boolean {
  return /^(lib|lua)/.test(added) || added.startsWith(name.replace(/-.*/, "-"));
}

async function libraryFolders(home: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const folder of ["lib", "usr/lib"]) {
    const names = await readdir(join(home, folder)).catch(() => []);
    found.push(...names.filter((name) => name.includes("-linux-")).map((name) => join(home, folder, name)));
  }
  return found;
}

async function loaderIn(folders: readonly string[]): Promise<string> {
  for (const folder of folders) {
    const loader = (await readdir(folder)).find((name) => name.startsWith("ld-linux"));
    if (loader !== undefined) return join(folder, loader);
  }
  throw new Error(`no loader in ${folders.join(", ")}`);
}
