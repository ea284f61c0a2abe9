import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
}

/**
 * The names, versions and licenses of the packages of others that files came from: a bundle contains copies of them, and their
 * licenses must go with it.
 */
export function thirdPartyText(appFolder: string, inputs: readonly string[]): string {
  const folders = new Set(inputs.flatMap((input) => packageFolder(resolve(appFolder, input)) ?? []));
  const parts = [...folders].map((folder) => {
    const { name, version, license }: Manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    return `${name} ${version} (${license})\n\n${licenseText(folder)}`;
  });
  const rule = `\n\n${"-".repeat(100)}\n\n`;
  return `The files in app and dashboard contain parts of these packages:\n\n${[...new Set(parts)].sort().join(rule)}\n`;
}

/** The folder of the installed package that a file is in; undefined for what is ours. */
function packageFolder(file: string): string | undefined {
  const [, folder] = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file) ?? [];
  return folder !== undefined && existsSync(join(folder, "package.json")) ? folder : undefined;
}

function licenseText(folder: string): string {
  const names = readdirSync(folder).filter((name) => /^(?:licen[cs]e|copying|unlicense)(?:[.-].*)?$/i.test(name));
  const texts = names.sort().map((name) => readFileSync(join(folder, name), "utf8").trim());
  return texts.length === 0 ? "The package has no license file." : texts.join("\n\n");
}
