import { mkdir, rename, writeFile } from "node:fs/promises";
import { delimiter, dirname, join, resolve } from "node:path";
import { debianProgram } from "./debian-packages.ts";
import { installedProgram, type Program } from "./program.ts";

/**
 * A Chromium: the one on PATH; else, on Debian and its kin, one that is fetched once into the workspace's cache, with the
 * libraries that it needs and a font, without being installed.
 *
 * @throws Error that says how to install Chromium.
 */
export async function chromiumBinary(): Promise<Program> {
  const installed = installedProgram("chromium", "chromium-browser", "google-chrome-stable", "google-chrome");
  if (installed !== undefined) return installed;
  try {
    const path = "usr/lib/chromium/chromium";
    const fetched = await debianProgram({ name: "chromium", path, also: ["fonts-inter"] });
    return await fromCache(fetched, resolve(dirname(fetched.path), "../../.."));
  } catch (cause) {
    const help = "Chromium is not installed: apt-get install -y --no-install-recommends chromium";
    throw new Error(help, { cause });
  }
}

/** What an installation would have told the system: where the libraries of a library are, and where the font is. */
async function fromCache({ path, args, env }: Program, home: string): Promise<Program> {
  const libraries = (env.LD_LIBRARY_PATH ?? "").split(delimiter);
  const fonts = join(home, "etc/usage-fonts.conf");
  await mkdir(dirname(fonts), { recursive: true });
  // Whole or not at all, since a browser of another test process may be reading it.
  const draft = `${fonts}.${process.pid}`;
  await writeFile(draft, fontConfiguration(join(home, "usr/share/fonts")));
  await rename(draft, fonts);
  return {
    path,
    args,
    env: {
      LD_LIBRARY_PATH: [...libraries, ...libraries.map((folder) => join(folder, "pulseaudio"))].join(delimiter),
      FONTCONFIG_FILE: fonts,
    },
  };
}

function fontConfiguration(folder: string): string {
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>${folder}</dir>
  <match target="pattern">
    <test name="family"><string>system-ui</string></test>
    <edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit>
  </match>
</fontconfig>
`;
}
