/** What docs/reliability.md says of one failure. */
export interface PageRow {
  readonly failure: string;
  readonly tests: readonly PageTest[];
}

export interface PageTest {
  readonly title: string;
  /** Relative to the page. */
  readonly link: string;
  /** The names of the mutations that it fails with. */
  readonly mutations: readonly string[];
}

/** The failures of the page's table, as it names them. */
export function tableOf(page: string): readonly string[] {
  return Array.from(page.matchAll(/^\| \[(.+?)\]\(#.+?\)/gm), ([, failure = ""]) => failure);
}

/** What the page tells below its table: a heading for each failure, its tests, and below each of those the mutations. */
export function rowsOf(page: string): readonly PageRow[] {
  const [, ...sections] = page.split("\n## ", 3)[1]?.split("\n### ") ?? [];
  return sections.map((section) => {
    const [failure = "", ...lines] = section.split("\n");
    const [, ...items] = lines.join("\n").split("\n- ");
    return { failure, tests: items.map(testOf) };
  });
}

function testOf(item: string): PageTest {
  const [first = "", ...below] = item.trimEnd().split("\n");
  const [, title = "", link = ""] = /^\[(.+?)\]\((.+?)\)/.exec(first) ?? [];
  return { title, link, mutations: below.map((line) => line.replace(/^ {2}- /, "")) };
}
