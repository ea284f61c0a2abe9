import { globSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { declarationOf, exportsOf, ROOT, read } from "./support/declarations.ts";

interface Word {
  readonly word: string;
  readonly meaning: string;
  readonly names: readonly string[];
}

const ENTRIES = globSync("packages/*/src/{index,internal}.ts", { cwd: ROOT });
const EXPORTED = new Set(ENTRIES.flatMap(exportsOf));

/** The rows of the table under `## Words`. */
const WORDS: readonly Word[] = Array.from(
  (/^## Words$(.*?)^## /ms.exec(read("docs/architecture.md"))?.[1] ?? "").matchAll(
    /^\| ([a-z]+) +\| (.*?) +\| (`.*?) +\|$/gm,
  ),
  ([, word = "", meaning = "", code = ""]) => ({
    word,
    meaning,
    names: Array.from(code.matchAll(/`(.*?)`/g), ([, name = ""]) => name),
  }),
);

describe("the glossary", () => {
  it("has some twenty words, each once", () => {
    expect(WORDS.length).toBeGreaterThanOrEqual(20);
    expect(new Set(WORDS.map(({ word }) => word)).size).toBe(WORDS.length);
  });

  it.each(WORDS)("says what $word means, by names that the packages have", ({ meaning, names }) => {
    expect(meaning).not.toBe("");
    expect(names).not.toEqual([]);
    expect(names.filter((name) => !isInCode(name))).toEqual([]);
  });
});

/** `Name`, which a package exports, or `Name.member`. */
function isInCode(name: string): boolean {
  const [owner = "", member] = name.split(".");
  if (!EXPORTED.has(owner)) return false;
  return member === undefined || new RegExp(`^  (?:[a-z]+ )*${member}[(<?:]`, "m").test(declarationOf(owner) ?? "");
}
