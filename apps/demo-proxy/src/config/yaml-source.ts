import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
  type YAMLError,
} from "yaml";
import type { Complaint } from "./config-error.ts";

export type Path = readonly PropertyKey[];

/** A parsed YAML file that still knows where everything stood. */
export interface YamlSource {
  readonly value: unknown;
  /** Complaints about the YAML itself; when there are any, `value` is undefined. */
  readonly complaints: readonly Complaint[];
  /** Where the value at `path` begins, or the key itself; of what is missing, where it belongs. */
  position(path: Path, part: "key" | "value"): { line: number; column: number };
}

export function parseYaml(text: string): YamlSource {
  const lines = new LineCounter();
  // Without prettyErrors no message quotes the line that it is about, which may hold a token or a password.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const complaints = [...document.errors, ...document.warnings].map(
    (error): Complaint => ({ position: at(error.pos[0]), path: "", message: explain(error) }),
  );
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) !== undefined) return;
      complaints.push({ position: at(alias.range?.[0] ?? 0), path: "", message: UNKNOWN_ALIAS });
    },
  });
  return {
    value: complaints.length === 0 ? plainValue(document, complaints) : undefined,
    complaints,
    position: (path, part) => at(offsetOf(document, path, part)),
  };
}

function plainValue(document: Document, complaints: Complaint[]): unknown {
  try {
    return document.toJS();
  } catch {
    // The parser gives up on aliases of aliases that would fill the memory.
    complaints.push({ path: "", message: "its aliases (*name) repeat too much; write out what they stand for" });
    return undefined;
  }
}

const UNKNOWN_ALIAS = "an alias (*name) without its anchor (&name); put quotes around a text that begins with *";

/** Our words where the parser's own could quote the file. */
const WORDS: Partial<Record<YAMLError["code"], string>> = {
  BAD_ALIAS: UNKNOWN_ALIAS,
  BAD_DQ_ESCAPE: "an unknown escape in double quotes; write \\\\ for a backslash, or use single quotes",
  DUPLICATE_KEY: "this key stands here twice; remove one of the two",
  MULTIPLE_DOCS: "a second document begins here; a configuration is one document",
  TAG_RESOLVE_FAILED: "an unknown tag; put quotes around a text that begins with !",
  UNEXPECTED_TOKEN: "this does not belong here; check quotes, brackets and indentation",
};

function explain({ code, message }: YAMLError): string {
  return WORDS[code] ?? `not valid YAML: ${message}`;
}

function offsetOf(document: Document, path: Path, part: "key" | "value"): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [depth, segment] of path.entries()) {
    const parent: unknown = isAlias(node) ? node.resolve(document) : node;
    if (isSeq(parent)) {
      node = parent.items[Number(segment)];
    } else if (isMap(parent)) {
      const pair = parent.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(segment));
      const wanted = part === "key" && depth === path.length - 1 ? pair?.key : pair?.value;
      node = startOf(wanted) === undefined ? pair?.key : wanted;
    } else {
      return offset;
    }
    offset = startOf(node) ?? offset;
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

function isNode(value: unknown): value is Node {
  return isAlias(value) || isMap(value) || isScalar(value) || isSeq(value);
}
