import { globSync } from "node:fs";
import { expect, it } from "vitest";
import { ROOT, read } from "./support/declarations.ts";

/** Words that the glossary has others for, and names that are gone. */
const GONE: readonly (readonly [word: RegExp, instead: string])[] = [
  [/unflushed|unsettled|not-stored/i, "unstored"],
  [/\bunsettle\b/, "unconfirm"],
  [/[cC]ounter\.settle\(/, "confirm"],
  [/[cC]ounter\.observe\(/, "learn"],
  [/\baddBackends\b/, "ensure"],
  [/\btracker\.backend\b/, "tracker.counter"],
  [/\bflushUsage\b/, "flush"],
  [/\brefreshBaselines\b/, "refresh"],
  [/usage:(flush|redis)/, "onFlush, onEvent"],
  [/usage:v1\b/, "usage:v2"],
  [
    /\b(PushLoop\w*|TallyBook|SharedBackend|Reconciler|Hydrator|SharedCells|SharedLedger|HeapLedger|NamedCells)\b/,
    "what stands there now",
  ],
];

/** This file, what explains the old words to those who know them, and figures that name what was measured. */
const MAY = new Set(["apps/demo-proxy/test/words.test.ts", "docs/migrating-from-go.md", "docs/benchmarks.md"]);
const ELSEWHERE = /(^|\/)(node_modules|dist|\.cache|\.turbo|api|CHANGELOG\.md)(\/|$)/;

const FILES = globSync(["*.md", "{apps,packages,proofs,examples,docs}/**/*.{ts,js,md,lua,sql,json,yaml}"], {
  cwd: ROOT,
  exclude: (path) => ELSEWHERE.test(path),
}).filter((path) => !MAY.has(path));

it("looks at sources, tests, scripts and pages", () => {
  expect(FILES).toEqual(
    expect.arrayContaining([
      "README.md",
      "docs/architecture.md",
      "packages/counter-core/src/hops/hop.ts",
      "packages/counter-redis/lua/merge.lua",
      "packages/tracker/test/flush.test.ts",
    ]),
  );
});

it.each(GONE)("%s is said nowhere: it is %s", (word) => {
  expect(FILES.flatMap((path) => linesWith(path, word))).toEqual([]);
});

function linesWith(path: string, word: RegExp): readonly string[] {
  return read(path)
    .split("\n")
    .flatMap((line, i) => (word.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : []));
}
