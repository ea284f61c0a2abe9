import { type Document, LineCounter, parseDocument, type Scalar, type YAMLError } from "yaml";
import type { Complaint } from "./config-error.ts";
import { type Path, UNKNOWN_ALIAS, YamlNodes } from "./yaml-nodes.ts";

/** A parsed YAML file that still knows where everything stood. */
export interface YamlSource {
  /** Complaints about the YAML itself; when there are any, it stands for nothing. */
  readonly complaints: readonly Complaint[];
  /** Every text in it that is used, once, with the first path at which it is; what top-level keys with `x-` hold is not. */
  texts(): Iterable<readonly [text: Scalar<string>, path: Path]>;
  /** What stands at `path`, where that is no map or list. */
  scalarAt(path: Path): Scalar | undefined;
  /**
   * What it stands for, without top-level keys that begin with `x-`.
   *
   * @throws RangeError when that would fill the memory.
   */
  value(): unknown;
  /** Where the value at `path` begins, or the key itself; of what is missing, where it belongs. */
  position(path: Path, part: "key" | "value"): { line: number; column: number };
}

/** For anchors, and whatever else others read there. */
const isIgnored = (key: string): boolean => key.startsWith("x-");

export function parseYaml(text: string): YamlSource {
  const lines = new LineCounter();
  // Without prettyErrors no message quotes the line that it is about, which may hold a token or a password; what the library
  // warns of by itself does.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: "error", merge: true });
  const at = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const nodes = new YamlNodes(document);
  const complaints = [...syntaxProblems(document, text), ...nodes.problems].map(
    ([offset, message]): Complaint => ({ position: at(offset), path: "", message }),
  );
  return {
    complaints,
    texts: () => nodes.texts(isIgnored),
    scalarAt: (path) => nodes.scalarAt(path),
    value: () => plainValue(document),
    position: (path, part) => at(nodes.offsetOf(path, part)),
  };
}

/** How often an anchor may be used, times the aliases in it: enough for thousands of backends, and far from filling the memory. */
const MAX_ALIASES = 6_000;

function plainValue(document: Document): unknown {
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch {
    throw new RangeError("its aliases (*name) repeat too much; write out what they stand for");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => !isIgnored(key)));
}

/** Our words where the parser's own could quote the file. */
const WORDS: Partial<Record<YAMLError["code"], string>> = {
  BAD_ALIAS: UNKNOWN_ALIAS,
  BAD_DQ_ESCAPE: "an unknown escape in double quotes; write \\\\ for a backslash, or use single quotes",
  DUPLICATE_KEY: "this key stands here twice; remove one of the two",
  MULTIPLE_DOCS: "a second document begins here; a configuration is one document",
  TAG_RESOLVE_FAILED:
    "an unknown tag; put quotes around a text that begins with !, and write ${NAME} or ${file:PATH} for what is elsewhere",
  UNEXPECTED_TOKEN: "this does not belong here; check quotes, brackets and indentation",
};
const UNQUOTED_REFERENCE = "between { } and [ ], put quotes around a text with ${...}";

function syntaxProblems(document: Document, text: string): readonly (readonly [offset: number, message: string])[] {
  const errors = [...document.errors, ...document.warnings];
  const isReference = ({ pos: [offset] }: YAMLError): boolean => text.startsWith("${", offset - 1);
  const first = errors.find(isReference);
  // What follows is only what comes of it.
  if (first !== undefined) return [[first.pos[0] - 1, UNQUOTED_REFERENCE]];
  return errors.map(({ pos, code, message }) => [pos[0], WORDS[code] ?? `not valid YAML: ${message}`]);
}
