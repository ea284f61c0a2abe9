import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { machineText } from "@usage/test-servers";
import { runChild } from "./child.ts";
import { type Section, sectionText } from "./report.ts";

const BENCHMARKS = [
  "counters",
  "many-backends",
  "open",
  "flush",
  "growth",
  "scale",
  "redis",
  "exact",
  "windows",
  "middleware",
  "proxy",
  "credentials",
  "rules",
  "observed",
  "start",
];
const REPORT = new URL("../docs/benchmarks.md", import.meta.url);
const PEERS = [
  "rate-limiter-flexible",
  "express-rate-limit",
  "@fastify/http-proxy",
  "undici",
  "ioredis",
  "better-sqlite3",
  "postgres",
];

const REPORT_INTRO = `# Benchmarks

Written by \`npx -y pnpm@12 bench --write\`; with names behind it, it runs those and writes their sections only (there are
${BENCHMARKS.join(", ")}). Each section has its command. Run it on a quiet machine.

Each section says how it measures, what that leaves out, and beside which peers: the libraries that one would otherwise take, and
*bare* code that does the same work and promises nothing.

Every number is the median of interleaved rounds: in each round every subject runs once, peers beside ours, each round
beginning with another one. \`p10 .. p90\` is the spread of the rounds. A ratio is formed within each round, and its median
taken then. A target is met by the median.`;

const MISSED_INTRO = "Not met; where the reason is known, the section gives it:";

const { values: options, positionals: named } = parseArgs({
  allowPositionals: true,
  options: {
    /** Writes what was measured to docs/benchmarks.md. */
    write: { type: "boolean", default: false },
    /** Everything runs, in a few minutes; the figures mean little. */
    short: { type: "boolean", default: false },
    /** Another checkout, installed, with which `counters` and `exact` compare. */
    against: { type: "string" },
  },
});
const unknown = named.filter((name) => !BENCHMARKS.includes(name));
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(", ")}: there are ${BENCHMARKS.join(", ")}`);
  process.exit(2);
}
if (options.short) process.env.USAGE_BENCH_SHORT = "1";

const measured = new Map<string, string>();
for (const name of named.length > 0 ? named : BENCHMARKS) {
  const load = loadavg()[0] ?? 0;
  const args = options.against === undefined ? [] : [options.against];
  const section = await runChild<Section>(`${name}.bench.ts`, { args });
  const text = sectionText({ ...section, method: [commandText(name, load), ...section.method] });
  console.log(`\n${text}\n`);
  measured.set(name, text);
  if (!options.write) continue;
  for (const [file, svg] of Object.entries(section.plots ?? {})) await writeFile(new URL(file, REPORT), svg);
}
if (options.write) await writeFile(REPORT, reportText(await readFile(REPORT, "utf8")));

/** How a section is known again, and what the machine had to do besides. */
function commandText(name: string, load: number): string {
  const against = options.against === undefined ? "" : " --against ANOTHER_CHECKOUT";
  return `    npx -y pnpm@12 bench ${name} --write${against}\n\nLoad before: ${load.toFixed(2)} processes (one-minute average).`;
}

/** The report with what was measured now in place of what was there before. */
function reportText(before: string): string {
  const old = before.split(/^(?=## )/m).slice(1);
  const sections = BENCHMARKS.flatMap((name) => {
    const text = measured.get(name) ?? old.find((section) => section.includes(`bench ${name} --write`));
    return text === undefined ? [] : [text.trim()];
  });
  const contents = sections.map((section) => {
    const title = titleOf(section);
    return `- [${title}](#${anchorOf(title)})`;
  });
  const machine = `Measured on:\n\n${machineText()}\n- Libraries: ${PEERS.map(versionText).join(", ")}`;
  const missed = sections.flatMap(missedTargets);
  const summary = missed.length === 0 ? "All targets are met." : `${MISSED_INTRO}\n\n${missed.join("\n")}`;
  return `${[REPORT_INTRO, contents.join("\n"), machine, summary, ...sections].join("\n\n")}\n`;
}

/** The rows of a section that miss their target, in words. */
function missedTargets(section: string): string[] {
  const title = titleOf(section);
  const missed = section.split(/^### /m).flatMap((table) => {
    const rows = table.split("\n").filter((line) => line.includes("| **no**"));
    return rows.map((row) => {
      const [, subject = "", , , , , target = ""] = row.split("|").map((cell) => cell.trim());
      return `  - ${table.slice(0, table.indexOf("\n"))}: ${subject}, ${target}`;
    });
  });
  return missed.length === 0 ? [] : [`- [${title}](#${anchorOf(title)})`, ...missed];
}

function titleOf(section: string): string {
  return section.slice(3, section.indexOf("\n"));
}

function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\w -]/g, "")
    .replaceAll(" ", "-");
}

function versionText(name: string): string {
  const manifest = readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), "utf8");
  return `${name} ${(JSON.parse(manifest) as { readonly version: string }).version}`;
}
