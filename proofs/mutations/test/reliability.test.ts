import { existsSync, readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { markerProblems, markersIn, mutated } from "../src/marked-code.ts";
import { MUTATIONS } from "../src/mutations.ts";
import { rowsOf, tableOf } from "../src/reliability-page.ts";
import { ROOT } from "../src/tree-copy.ts";

const PAGE = new URL("../../../docs/reliability.md", import.meta.url);
const page = readFileSync(PAGE, "utf8");
const rows = rowsOf(page);
const markers = markersIn(ROOT);

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

  it("each have one marker in the code, and no marker is without one", () => {
    expect(markerProblems(markers, MUTATIONS)).toEqual([]);
  });

  it.each(MUTATIONS)("break what is marked, and are caught by tests that are there: $name", (mutation) => {
    const { file, source } = mutated(ROOT, markers, mutation);
    expect(source).not.toBe(readFileSync(join(ROOT, file), "utf8"));
    // What cannot be loaded is noticed by every test, and so proves none.
    if (!file.endsWith(".lua")) expect(() => stripTypeScriptTypes(source)).not.toThrow();
    for (const { file } of mutation.caughtBy) expect(existsSync(join(ROOT, file)), file).toBe(true);
  });
});

/** A test of that title, as it stands in a source. */
function titled(title: string): RegExp {
  return new RegExp(`(it|test|\\))(\\.\\w+)*\\(\\s*"${title.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}"`);
}
