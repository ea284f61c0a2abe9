import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { argv, cwd } from "node:process";
import { Extractor, ExtractorConfig, ExtractorLogLevel, type ExtractorMessage } from "@microsoft/api-extractor";

/**
 * Compares what each entry point of the package in the current folder exports, as built, with the reports in its folder `api`;
 * with `--accept`, writes them. The command fails when anything has changed, or when an export mentions what is not exported.
 */
const accept = argv.includes("--accept");
const folder = cwd();
const reports = join(folder, "api");
const temporary = mkdtempSync(join(tmpdir(), "usage-api-"));
const off = { logLevel: ExtractorLogLevel.None };
const error = { logLevel: ExtractorLogLevel.Error };

const COMPILER_OPTIONS = {
  strict: true,
  target: "es2024",
  lib: ["es2024", "esnext.disposable"],
  module: "nodenext",
  types: ["node"],
  skipLibCheck: true,
};

const manifest: Manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
const entries = Object.entries(manifest.exports).flatMap(([path, target]) =>
  typeof target === "string" ? [] : [{ name: path === "." ? "index" : path.slice(2).replaceAll("/", "-"), ...target }],
);
const problems = entries.flatMap(({ name, types }) => check(name, types));
const expected = new Set(entries.map(({ name }) => `${name}.api.md`));
for (const file of readdirSync(reports)) {
  if (expected.has(file)) continue;
  if (accept) rmSync(join(reports, file));
  else problems.push(`api/${file} is of no entry point. Accept the change by: npx -y pnpm@12 api`);
}
rmSync(temporary, { recursive: true });
for (const problem of problems) console.error(`${manifest.name}: ${problem}`);
if (problems.length > 0) process.exitCode = 1;

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, string | { readonly types: string }>>;
}

/** Answers what is wrong with one entry point. */
function check(name: string, types: string): readonly string[] {
  mkdirSync(reports, { recursive: true });
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: folder,
      mainEntryPointFilePath: join(folder, types),
      compiler: { overrideTsconfig: { compilerOptions: COMPILER_OPTIONS, files: [types] } },
      apiReport: { enabled: true, reportFileName: name, reportFolder: reports, reportTempFolder: temporary },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: error },
        // Everything exported is public; what a name says is not said again.
        extractorMessageReporting: { default: error, "ae-missing-release-tag": off, "ae-undocumented": off },
        // `@default` is ours.
        tsdocMessageReporting: { default: error, "tsdoc-undefined-tag": off },
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(folder, "package.json"),
  });
  const found: string[] = [];
  const { apiReportChanged } = Extractor.invoke(config, {
    localBuild: accept,
    messageCallback(message) {
      message.handled = true;
      if (message.logLevel === ExtractorLogLevel.Error && !isExportedElsewhere(message)) found.push(describe(message));
    },
  });
  if (apiReportChanged && !accept) found.push(changeOf(name));
  return found;
}

/** Whether it misses an export which another entry point of the package has. */
function isExportedElsewhere({ messageId, text }: ExtractorMessage): boolean {
  // Where the name is also a global one, it is mentioned with a number.
  const symbol = /The symbol "(\w+?)(?:_\d+)?" needs to be exported/.exec(text)?.[1];
  if (messageId !== "ae-forgotten-export" || symbol === undefined) return false;
  const exported = entries.flatMap(({ types }) => {
    const lists = readFileSync(join(folder, types), "utf8").matchAll(/^export (?:type )?\{([^}]*)\}/gm);
    return Array.from(lists, ([, names = ""]) => names.split(",").map((name) => name.replace(/^\s*type /, "").trim()));
  });
  return exported.flat().includes(symbol);
}

function describe({ text, sourceFilePath, sourceFileLine }: ExtractorMessage): string {
  return sourceFilePath === undefined ? text : `${sourceFilePath}:${sourceFileLine}: ${text}`;
}

/** The lines that came or went, as far as their order can be left aside. */
function changeOf(name: string): string {
  const linesOf = (path: string): readonly string[] => {
    try {
      return readFileSync(join(path, `${name}.api.md`), "utf8").split("\n");
    } catch {
      return [];
    }
  };
  const before = linesOf(reports);
  const now = linesOf(temporary);
  const gone = before.filter((line) => !now.includes(line)).map((line) => `\n- ${line}`);
  const come = now.filter((line) => !before.includes(line)).map((line) => `\n+ ${line}`);
  return `api/${name}.api.md has changed:${[...gone, ...come].join("")}\nAccept it by: npx -y pnpm@12 api`;
}
