import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { mutated } from "../src/mutations/mutation.ts";
import { MUTATIONS } from "../src/mutations/mutations.ts";
import { rowsOf, tableOf } from "../src/mutations/reliability-page.ts";

const ROOT = new URL("../../../", import.meta.url);
const PAGE = new URL("docs/reliability.md", ROOT);
const page = readFileSync(PAGE, "utf8");
const rows = rowsOf(page);

describe("docs/reliability.md", () => {
  it("tells of each failure in its table what keeps the promise", () => {
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.map(({ failure }) => failure.toLowerCase())).toEqual(tableOf(page).map((row) => row.toLowerCase()));
  });

  it.each(rows)("proves the promise about: $failure", ({ tests }) => {
    expect(tests).not.toEqual([]);
    for (const { title, link } of tests) {
      const source = readFileSync(new URL(link, PAGE), "utf8");
      expect(source, link).toMatch(titled(title));
    }
  });

  it("names for each test the mutations that it catches, and leaves out none", () => {
    const onPage = rows.flatMap(({ tests }) => tests);
    for (const { title, mutations } of onPage) expect(mutations, title).not.toEqual([]);
    const pairs = onPage.flatMap(({ title, mutations }) => mutations.map((name) => `${title} <- ${name}`));
    const caught = MUTATIONS.flatMap(({ name, caughtBy }) => caughtBy.map(({ title }) => `${title} <- ${name}`));
    expect([...new Set(pairs)].sort()).toEqual(caught.sort());
  });
});

describe("the mutations", () => {
  it("each have a name of their own", () => {
    expect(new Set(MUTATIONS.map(({ name }) => name)).size).toBe(MUTATIONS.length);
  });

  it.each(MUTATIONS)("have exactly one place in the code: $name", (mutation) => {
    const source = readFileSync(new URL(mutation.file, ROOT), "utf8");
    expect(mutated(source, mutation)).not.toBe(source);
    expect(() => mutated(source + source, mutation)).toThrow("stands there 2 times");
    for (const { file } of mutation.caughtBy) expect(existsSync(new URL(file, ROOT)), file).toBe(true);
  });
});

/** A test of that title, as it stands in a source. */
function titled(title: string): RegExp {
  return new RegExp(`(it|test|\\))(\\.\\w+)*\\(\\s*"${title.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}"`);
}
