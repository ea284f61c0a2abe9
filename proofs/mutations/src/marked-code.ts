import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Edit } from "./edits.ts";
import type { Mutation } from "./mutation.ts";

const CODE = "{packages,apps,proofs}/*/{src,lua}/**/*.{ts,js,lua}";
const MARKER = /^ *(?:\/\/|--) fault: (.+)$/;
const COMMENT = /^ *(\/\/|--|\/\*|\* |\*\/)/;

/** A line that says which mutation breaks the statement below it. */
export interface Marker {
  readonly name: string;
  /** Relative to the root. */
  readonly file: string;
  /** From 0. */
  readonly line: number;
}

/** Code with a fault in it. */
export interface BrokenFile {
  /** Relative to the root. */
  readonly file: string;
  readonly source: string;
}

/** All markers in the code of a tree. */
export function markersIn(root: string): readonly Marker[] {
  return globSync(CODE, { cwd: root, exclude: ["**/node_modules"] }).flatMap((file) =>
    readFileSync(join(root, file), "utf8")
      .split("\n")
      .flatMap((text, line) => {
        const name = MARKER.exec(text)?.[1];
        return name === undefined ? [] : [{ name, file, line }];
      }),
  );
}

/** What is wrong with the markers: none or several of a mutation, or one of no mutation. */
export function markerProblems(markers: readonly Marker[], mutations: readonly Pick<Mutation, "name">[]): string[] {
  const names = new Set(mutations.map(({ name }) => name));
  const strays = markers.filter(({ name }) => !names.has(name));
  return [
    ...strays.map((marker) => `${placeOf(marker)} marks a fault that no mutation makes: ${marker.name}`),
    ...mutations.flatMap(({ name }) => {
      const own = markers.filter((marker) => marker.name === name);
      if (own.length === 1) return [];
      if (own.length === 0) return [`no code is marked with "fault: ${name}"`];
      return [`"fault: ${name}" marks several statements: ${own.map(placeOf).join(", ")}`];
    }),
  ];
}

/**
 * The code with the fault in it.
 *
 * @throws Error that names mutation and place, unless exactly one statement is marked, and the edit changes it without
 * naming a private field that the file does not have.
 */
export function mutated(root: string, markers: readonly Marker[], { name, edit }: Mutation): BrokenFile {
  const own = markers.filter((marker) => marker.name === name);
  const [problem] = markerProblems(own, [{ name }]);
  const [marker] = own;
  if (problem !== undefined || marker === undefined) throw new Error(problem);
  const source = readFileSync(join(root, marker.file), "utf8");
  try {
    return { file: marker.file, source: withFault(source, marker.line, edit) };
  } catch (cause) {
    throw new Error(`the mutation "${name}" does not fit ${placeOf(marker)}: ${(cause as Error).message}`, { cause });
  }
}

function withFault(source: string, marker: number, edit: Edit): string {
  const lines = source.split("\n");
  const [start, end] = statementBelow(lines, marker);
  const indentation = indentationOf(lines[start] ?? "");
  const statement = lines.slice(start, end).join("\n").slice(indentation);
  const broken = edit(statement);
  if (broken === statement) throw new Error(`it changes nothing of:\n${statement}`);
  const unknown = broken.match(/#\w+/g)?.find((field) => !source.includes(field));
  if (unknown !== undefined) throw new Error(`it names ${unknown}, which is not there`);
  return lines.toSpliced(start, end - start, " ".repeat(indentation) + broken).join("\n");
}

/**
 * The lines of the first statement after a marker, by their indentation, as the formatter leaves it: deeper lines belong to
 * it, and those that close it.
 */
function statementBelow(lines: readonly string[], marker: number): readonly [start: number, end: number] {
  let start = marker + 1;
  while (COMMENT.test(lines[start] ?? "")) start += 1;
  const indentation = indentationOf(lines[start] ?? "");
  let end = start + 1;
  for (let next = end; next < lines.length; next += 1) {
    const line = lines[next] ?? "";
    if (line === "") continue;
    const belongs =
      indentationOf(line) > indentation ||
      (indentationOf(line) === indentation && /^([)\]}]|end\b|else)/.test(line.trimStart()));
    if (!belongs) break;
    end = next + 1;
  }
  return [start, end];
}

function indentationOf(line: string): number {
  return line.length - line.trimStart().length;
}

function placeOf({ file, line }: Marker): string {
  return `${file}:${line + 1}`;
}
