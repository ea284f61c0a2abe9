import { chmod, cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { packChart } from "./chart.ts";
import { compile, NATIVE, PROGRAMS } from "./compile.ts";
import { thirdPartyText } from "./third-party.ts";

/** The name by which a bundle is known again. */
const NAME = "usage-proxy";
const APP = fileURLToPath(new URL("../..", import.meta.url));
const LICENSE = fileURLToPath(new URL("../../../../LICENSE", import.meta.url));

/** The bundle cannot be written there. What was there is as it was. */
export class BundleError extends Error {
  readonly code = "USAGE_PROXY_BUNDLE";

  constructor(message: string) {
    super(message);
    this.name = "BundleError";
  }
}

export interface Written {
  /** Of all files. */
  readonly bytes: number;
}

/**
 * Writes the folder that is deployed. It is made beside its place and then moved there, whole.
 *
 * @throws BundleError where something else is in its place.
 */
export async function writeBundle(folder: string): Promise<Written> {
  await assertReplaceable(folder);
  const made = `${folder}.new`;
  await rm(made, { recursive: true, force: true });
  await mkdir(made, { recursive: true });
  try {
    const { inputs } = await compile(APP, join(made, "app"));
    for (const program of PROGRAMS) await chmod(join(made, "app", `${program}.js`), 0o755);
    await cp(join(APP, "src/dashboard"), join(made, "dashboard"), { recursive: true });
    const chart = await packChart(APP, join(made, "dashboard"));
    await cp(join(APP, "config.schema.json"), join(made, "config.schema.json"));
    await cp(LICENSE, join(made, "LICENSE"));
    await writeFile(join(made, "THIRD-PARTY.txt"), thirdPartyText(APP, [...inputs, chart]));
    const version = await copyDriver(join(made, "node_modules", NATIVE));
    await writeFile(join(made, "package.json"), `${JSON.stringify(await manifest(version), undefined, 2)}\n`);
    await rm(folder, { recursive: true, force: true });
    await rename(made, folder);
  } finally {
    await rm(made, { recursive: true, force: true });
  }
  return { bytes: await sizeOf(folder) };
}

async function assertReplaceable(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw new BundleError(`${folder} is not a folder that can be replaced: ${error.message}`);
  });
  if (names.length === 0) return;
  const text = await readFile(join(folder, "package.json"), "utf8").catch(() => "{}");
  const { name }: { readonly name?: unknown } = JSON.parse(text);
  if (name !== NAME) throw new BundleError(`${folder} holds something else; name a folder that is absent or empty`);
}

/** With it, `npm install -g FOLDER` also works. */
async function manifest(driver: string): Promise<object> {
  const { version, description, license, engines } = JSON.parse(await readFile(join(APP, "package.json"), "utf8"));
  return {
    name: NAME,
    version,
    private: true,
    description,
    license,
    type: "module",
    bin: Object.fromEntries(PROGRAMS.map((program) => [program, `app/${program}.js`])),
    engines,
    dependencies: { [NATIVE]: driver },
  };
}

/** Copies what runs of SQLite's driver, for this system with any of its C libraries. Returns the driver's version. */
async function copyDriver(target: string): Promise<string> {
  const source = dirname(createRequire(join(APP, "package.json")).resolve(`${NATIVE}/package.json`));
  for (const name of ["package.json", "LICENSE", "lib"]) {
    await cp(join(source, name), join(target, name), { recursive: true });
  }
  const binaries = (await readdir(join(source, "prebuilds"))).filter(isForThisPlatform);
  for (const name of binaries) await cp(join(source, "prebuilds", name), join(target, "prebuilds", name));
  if (binaries.length === 0) throw new BundleError(`${NATIVE} has no binary for ${process.platform}-${process.arch}`);
  const { version } = JSON.parse(await readFile(join(source, "package.json"), "utf8"));
  return version;
}

/** Such as linux-x64.node and linuxmusl-x64.node. */
function isForThisPlatform(name: string): boolean {
  return name.startsWith(process.platform) && name.endsWith(`-${process.arch}.node`);
}

async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
