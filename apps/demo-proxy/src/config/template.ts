/** A text in which `${NAME}`, `${NAME:-default}` and `${file:PATH}` stand for something else, taken apart. */
export type Template = readonly (string | Reference)[];

export type Reference =
  /** Of the environment. Without a fallback it must be there, and not be empty. */
  | { readonly variable: string; readonly fallback?: Template }
  /** A file by its path, which may have variables in it. */
  | { readonly file: Template };

/** Where values come from. Both throw a RangeError, without any value in it, when there is none. */
export interface Values {
  readonly variable: (name: string, isOptional: boolean) => string;
  /** `written` is the path as the template has it, with the names of variables in it. */
  readonly file: (path: string, written: string) => string;
}

const NAME = /^[A-Za-z_]\w*/;
const FORMS = `write \${NAME}, \${NAME:-default} or \${file:PATH}, and $\${ for the signs themselves`;

/**
 * Undefined for a text that stands for itself. In others `$$` is a `$`; a `$` before anything but `$` and `{` is itself.
 *
 * @throws RangeError when a reference is none.
 */
export function parseTemplate(text: string): Template | undefined {
  if (!/\$[${]/.test(text)) return undefined;
  return partsFrom(text, 0, false)[0];
}

/** The parts from `start` to the end of the text or, in a reference, to the `}` that ends it; and where that is. */
function partsFrom(text: string, start: number, isNested: boolean): readonly [parts: Template, end: number] {
  const parts: (string | Reference)[] = [];
  let literal = "";
  let at = start;
  while (at < text.length && !(isNested && text[at] === "}")) {
    if (text.startsWith("${", at)) {
      const [reference, end] = referenceFrom(text, at + 2);
      parts.push(literal, reference);
      literal = "";
      at = end;
    } else {
      literal += text[at];
      at += text.startsWith("$$", at) ? 2 : 1;
    }
  }
  return [[...parts, literal].filter((part) => part !== ""), at];
}

/** The reference whose inner text begins at `start`, and where the text after it begins. */
function referenceFrom(text: string, start: number): readonly [Reference, end: number] {
  const [name = ""] = NAME.exec(text.slice(start)) ?? [];
  const after = start + name.length;
  if (name !== "" && text[after] === "}") return [{ variable: name }, after + 1];
  const isFile = text.startsWith("file:", start);
  const isOptional = name !== "" && text.startsWith(":-", after);
  if (!isFile && !isOptional) throw new RangeError(`a \${ begins what is no reference; ${FORMS}`);
  const [inner, end] = partsFrom(text, after + (isOptional ? 2 : 1), true);
  if (text[end] !== "}") throw new RangeError(`a \${ has no } that ends it; ${FORMS}`);
  if (!isFile || isOptional) return [{ variable: name, fallback: inner }, end + 1];
  if (inner.length === 0) throw new RangeError(`a \${file:} names no file; ${FORMS}`);
  return [{ file: inner }, end + 1];
}

/**
 * The text with every value in its place. A value cannot change the structure of an address: in its user and password it is
 * percent-encoded.
 *
 * @throws RangeError of `values`
 */
export function fillTemplate(template: Template, values: Values): string {
  const filled = template.map((part, index) => {
    if (typeof part === "string") return part;
    const value = referenceValue(part, values);
    return isInLogin(template, index) ? encodeLogin(value, template, index) : value;
  });
  return filled.join("");
}

function referenceValue(reference: Reference, values: Values): string {
  if ("file" in reference) return values.file(fillTemplate(reference.file, values), written(reference.file));
  const { variable, fallback } = reference;
  const value = values.variable(variable, fallback !== undefined);
  return value === "" && fallback !== undefined ? fillTemplate(fallback, values) : value;
}

/** Whether a part stands before the `@` of an address. */
function isInLogin(template: Template, index: number): boolean {
  const before = /^[a-z][a-z0-9+.-]*:\/\/[^/?#@]*$/i.test(written(template.slice(0, index)));
  return before && /^[^/?#]*@/.test(written(template.slice(index + 1)));
}

/** One reference for all of it may stand for `user:password`. */
function encodeLogin(value: string, template: Template, index: number): string {
  const encoded = encodeURIComponent(value);
  const [before, after] = [template[index - 1], template[index + 1]];
  const isAll = String(before).endsWith("//") && String(after).startsWith("@");
  return isAll ? encoded.replaceAll("%3A", ":") : encoded;
}

/** A template with names in the place of values. Defaults, which may be secrets, are left out. */
function written(template: Template): string {
  return template.map((part) => (typeof part === "string" ? part : referenceText(part))).join("");
}

/** What a template takes from elsewhere, as messages name it: without values, defaults, and the text between. */
export function referencesOf(template: Template): readonly string[] {
  return template.flatMap((part) => (typeof part === "string" ? [] : referenceText(part)));
}

function referenceText(reference: Reference): string {
  return "file" in reference ? "${file}" : `\${${reference.variable}}`;
}
