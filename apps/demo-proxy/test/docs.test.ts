import { existsSync, globSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { exportsOf, ROOT, read } from "./support/declarations.ts";

const PAGES = globSync("**/*.md", { cwd: ROOT, exclude: (path) => path.split("/").includes("node_modules") });

const CODE = /^ *```.*?^ *```|`[^`\n]*`/gms;
const LINK = /\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)|^\[[^\]]+\]: *<?([^\s>]+)|(?:src|srcset|href)="([^"]+)"/gm;
const HEADING = /^#{1,6} +(.*?)(?: +#*)?$/gm;

describe("the links of Markdown files", () => {
  it("are looked at in all of them", () => {
    expect(PAGES).toEqual(expect.arrayContaining(["README.md", "docs/architecture.md", "packages/tracker/README.md"]));
  });

  it.each(PAGES)("%s has none to a file or heading that is not there", (page) => {
    const links = Array.from(read(page).replaceAll(CODE, "").matchAll(LINK), (match) => match.slice(1).join(""));
    expect(links.filter((link) => isBroken(page, link))).toEqual([]);
  });
});

it("the map of the house names files and folders that are there", () => {
  const [, map = ""] = /^## The map of the house$(.*?)^## /ms.exec(read("CONTRIBUTING.md")) ?? [];
  const named = Array.from(map.matchAll(/`((?:apps|packages|proofs|docs)\/[^`\s]*)`/g), ([, path = ""]) => path);
  expect(named.length).toBeGreaterThan(15);
  const missing = named.filter((path) => !path.includes("NAME") && !existsSync(join(ROOT, path)));
  expect(missing, "a store that nobody has written yet").toEqual(["packages/store-drizzle/src/mysql/"]);
});

describe("the list of exports in a package's README", () => {
  it.each([
    ["counter-core", ["index.ts", "testing/index.ts"]],
    ["counter-redis", ["index.ts"]],
    ["tracker", ["index.ts", "http.ts"]],
    ["store-drizzle", ["sqlite/index.ts", "postgres/index.ts"]],
  ])("of %s is what %j export", (name, entries) => {
    const [, list = ""] = /^## Exports$(.*)/ms.exec(read(`packages/${name}/README.md`)) ?? [];
    const listed = Array.from(list.matchAll(/^- (.*?):/gms), ([, names = ""]) => names).join();
    const exported = entries.flatMap((entry) => exportsOf(`packages/${name}/src/${entry}`));
    expect(exported).not.toEqual([]);
    expect(sorted(Array.from(listed.matchAll(/`(\w+)`/g), ([, each = ""]) => each))).toEqual(sorted(exported));
  });
});

/** A link to elsewhere is not looked at. */
function isBroken(page: string, link: string): boolean {
  if (/^[a-z][a-z0-9+.-]*:/i.test(link)) return false;
  const [path = "", anchor] = link.split("#").map(decodeURIComponent);
  const target = path === "" ? page : join(dirname(page), path);
  if (!existsSync(join(ROOT, target))) return true;
  return anchor !== undefined && target.endsWith(".md") && !anchorsOf(target).has(anchor);
}

/** As GitHub makes them: lower case, no punctuation, a number after the second of the same name. */
function anchorsOf(page: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const [, text = ""] of read(page)
    .replaceAll(/^ *```.*?^ *```/gms, "")
    .matchAll(HEADING)) {
    const plain = text.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const slug = plain.replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, "").replaceAll(" ", "-");
    let anchor = slug;
    for (let n = 1; anchors.has(anchor); n++) anchor = `${slug}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}

function sorted(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort();
}
