import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { always, before, change, drop, type Edit, instead, never, yields } from "../src/edits.ts";
import { markerProblems, markersIn, mutated } from "../src/marked-code.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "usage-marked-"));
});
afterEach(() => rmSync(root, { recursive: true }));

describe("the markers of a tree", () => {
  it("are found in the sources and scripts of packages, apps and proofs, and nowhere else", () => {
    put("packages/a/src/deep/a.ts", "// fault: one");
    put("packages/a/lua/a.lua", "local a\n  -- fault: two");
    put("apps/a/src/a.js", "// fault: three");
    put("proofs/a/src/a.ts", "// fault: four");
    put("packages/a/test/a.test.ts", "// fault: none");
    put("packages/a/node_modules/b/src/b.ts", "// fault: none");
    const found = markersIn(root).map(({ name, file, line }) => `${name} ${file}:${line}`);
    expect(found.sort()).toEqual([
      "four proofs/a/src/a.ts:0",
      "one packages/a/src/deep/a.ts:0",
      "three apps/a/src/a.js:0",
      "two packages/a/lua/a.lua:1",
    ]);
  });

  it("are wrong when one is missing, one is there twice, or one is of no mutation", () => {
    put("packages/a/src/a.ts", "// fault: twice\na();\n// fault: nobody's\nb();\n// fault: once\nc();");
    put("apps/a/src/a.ts", "// fault: twice\na();");
    const mutations = ["once", "twice", "missing"].map((name) => ({ name }));
    expect(markerProblems(markersIn(root), mutations)).toEqual([
      "packages/a/src/a.ts:3 marks a fault that no mutation makes: nobody's",
      expect.stringMatching(/^"fault: twice" marks several statements: .*a\.ts:1, .*a\.ts:1$/),
      'no code is marked with "fault: missing"',
    ]);
  });
});

describe("an edit", () => {
  it.each<[what: string, code: string, edit: Edit, broken: string]>([
    ["drops a statement", "a();\nb();", drop, "\nb();"],
    ["drops one of several lines", "a(\n  1,\n\n  2,\n);\nb();", drop, "\nb();"],
    ["drops one with all its branches", "if (a) {\n  b();\n} else {\n  c();\n}\nd();", drop, "\nd();"],
    ["drops one of a script", "if a then\n  b()\nend\nc()", drop, "\nc()"],
    ["passes over comments and other markers", "// why\n/** What. */\n// fault: other\na();\nb();", drop, "\nb();"],
    ["leaves what stands around it", "  a();\n}", drop, "  \n}"],
    ["meets a condition always", "if (a(b) || c) throw d();", always, "if (true) throw d();"],
    ["meets a condition never", "if (a(b)) {\n  c();\n}", never, "if (false) {\n  c();\n}"],
    ["puts code in its place", "a();", instead("b();"), "b();"],
    ["puts code before it", "a();", before("b();"), "b(); a();"],
    ["returns another value", "return a === b;", yields("c"), "return c;"],
    ["assigns another value", "const a = b.map(\n  (c) => c >= d,\n);", yields("e"), "const a = e;"],
    ["assigns another value in a script", "a[#a + 1] = b[c]", yields("e"), "a[#a + 1] = e"],
    ["changes a part of it", "a(b, c);", change(/, (\w)/, " + $1"), "a(b + c);"],
  ])("%s", (_, code, edit, broken) => {
    put("packages/a/src/a.ts", `// fault: it\n${code}`);
    const above = `// fault: it\n${code}`.split("\n").filter((line) => /^\/[/*]/.test(line));
    expect(breakIt(edit)).toBe([...above, broken].join("\n"));
  });

  it.each<[what: string, edit: Edit, message: string]>([
    ["changes nothing", (statement) => statement, "changes nothing of"],
    ["is about what is not there", change(/b/, "c"), "/b/ must stand in the statement once, not 0 times"],
    ["is about what is there twice", change(/a/, "b"), "/a/ must stand in the statement once, not 2 times"],
    ["is about a condition where there is none", never, "must stand in the statement once, not 0 times"],
    ["names a private field that is not there", before("this.#gone();"), "it names #gone, which is not there"],
  ])("is an error that names mutation and place when it %s", (_, edit, message) => {
    put("packages/a/src/a.ts", "// fault: it\na(a);");
    expect(() => breakIt(edit)).toThrow(`the mutation "it" does not fit packages/a/src/a.ts:1: `);
    expect(() => breakIt(edit)).toThrow(message);
  });

  it("is an error when nothing is marked for it, or several statements are", () => {
    expect(() => breakIt(drop)).toThrow('no code is marked with "fault: it"');
    put("packages/a/src/a.ts", "// fault: it\na();\n// fault: it\nb();");
    expect(() => breakIt(drop)).toThrow("marks several statements: packages/a/src/a.ts:1, packages/a/src/a.ts:3");
  });
});

function breakIt(edit: Edit): string {
  return mutated(root, markersIn(root), { name: "it", edit, caughtBy: [] }).source;
}

function put(file: string, text: string): void {
  const path = join(root, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
