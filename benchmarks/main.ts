import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { machineText } from "@usage/test-servers";
import { runChild } from "./child.ts";
import { missedTargets, type Section, sectionText } from "./report.ts";

const BENCHMARKS = ["counters", "many-backends", "flush", "growth", "redis", "proxy", "observed"];

const PEERS = ["rate-limiter-flexible", "@fastify/http-proxy", "undici", "ioredis", "better-sqlite3", "postgres"];

const REPORT_INTRO = `# Benchmarks

Written by \`npx -y pnpm@12 bench\`, all of it; \`npx -y pnpm@12 bench ${BENCHMARKS[0]}\` runs one of them and leaves this file alone
(there are ${BENCHMARKS.join(", ")}). Run it on a quiet machine.

Each section says how it measures, what that leaves out, and beside which peers: the libraries that one would otherwise take, and
*bare* code that does the same work and promises nothing.

Every number is the median of interleaved rounds: in each round every subject runs once, peers beside ours, each round
beginning with another one. \`p10 .. p90\` is the spread of the rounds. A ratio is formed within each round, and its median
taken then. A target is met by the median.`;

const named = process.argv.slice(2);
const unknown = named.filter((name) => !BENCHMARKS.includes(name));
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(", ")}: there are ${BENCHMARKS.join(", ")}`);
  process.exit(2);
}

const began = new Date();
const loadBefore = loadavg()[0] ?? 0;
const sections: Section[] = [];
for (const name of named.length > 0 ? named : BENCHMARKS) {
  const section = await runChild<Section>(`${name}.bench.ts`);
  console.log(`\n${sectionText(section)}\n`);
  sections.push(section);
}
const missed = sections.flatMap(missedTargets);
const summary =
  missed.length === 0 ? "All targets are met." : `Not met:\n\n${missed.map((line) => `- ${line}`).join("\n")}`;
console.log(summary);
if (named.length === 0) await writeFile(new URL("../docs/benchmarks.md", import.meta.url), report());

function report(): string {
  const load = `- Load before the run: ${loadBefore.toFixed(2)} processes (one-minute average), ${began.toISOString().slice(0, 10)}`;
  const contents = sections.map(({ title }) => `- [${title}](#${anchorOf(title)})`).join("\n");
  const machine = `Measured on:\n\n${machineText()}\n- Libraries: ${PEERS.map(versionText).join(", ")}\n${load}`;
  return `${[REPORT_INTRO, contents, machine, summary, ...sections.map(sectionText)].join("\n\n")}\n`;
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
