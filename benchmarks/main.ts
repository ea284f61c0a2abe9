import { writeFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { machineText } from "@usage/test-servers";
import { runChild } from "./child.ts";
import { missedTargets, type Section, sectionText } from "./report.ts";

const BENCHMARKS = ["counters", "many-backends", "flush", "redis", "proxy"];

const README_INTRO = `# Benchmarks

Written by \`pnpm bench\`; \`pnpm bench counters flush\` runs some of them and leaves this file alone.

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
if (named.length === 0) await writeFile(new URL("README.md", import.meta.url), readme());

function readme(): string {
  const load = `- Load before the run: ${loadBefore.toFixed(2)} processes (one-minute average), ${began.toISOString().slice(0, 10)}`;
  return `${[README_INTRO, `${machineText()}\n${load}`, summary, ...sections.map(sectionText)].join("\n\n")}\n`;
}
