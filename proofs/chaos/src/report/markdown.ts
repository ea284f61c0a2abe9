import { machineText } from "@usage/test-servers";

export interface ReportParts {
  readonly title: string;
  readonly intro: string;
  readonly servers: readonly string[];
  /** Facts of the run, one line each. */
  readonly facts: readonly string[];
  readonly sections: readonly (readonly [title: string, text: string])[];
  readonly problems: readonly string[];
}

const MOST_PROBLEMS = 200;

export function reportText({ title, intro, servers, facts, sections, problems }: ReportParts): string {
  const verdict =
    problems.length === 0
      ? "**Everything held.**"
      : [`**${problems.length} problems:**`, ...problems.slice(0, MOST_PROBLEMS).map((problem) => `- ${problem}`)].join(
          "\n",
        );
  const setup = [...facts.map((fact) => `- ${fact}`), `- Servers: ${servers.join(", ")}`, machineText()].join("\n");
  const all = [`# ${title}`, intro, verdict, setup, ...sections.map(([name, text]) => `## ${name}\n\n${text}`)];
  return `${all.join("\n\n")}\n`;
}

export function tableText(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const lines = [head, ...rows].map((row) => row.map(cell));
  const widths = head.map((_, column) => Math.max(3, ...lines.map((line) => line[column]?.length ?? 0)));
  const text = (line: readonly string[]): string =>
    `| ${widths.map((width, column) => (line[column] ?? "").padEnd(width)).join(" | ")} |`;
  const [first = "", ...others] = lines.map(text);
  return [first, `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`, ...others].join("\n");
}

function cell(value: string | number): string {
  return typeof value === "number" ? value.toLocaleString("en-US") : value;
}
