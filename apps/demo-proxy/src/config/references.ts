import { readFile, stat } from "node:fs/promises";
import type { Scalar } from "yaml";
import { absolutePath, type Place } from "./paths.ts";
import { fillTemplate, parseTemplate, referencesOf, type Values } from "./template.ts";
import type { Path } from "./yaml-nodes.ts";
import type { YamlSource } from "./yaml-source.ts";

/** What the files that a configuration names hold, by absolute path; for one that cannot be used, why. */
export type FileTexts = ReadonlyMap<string, FileResult>;
type FileResult = { readonly text: string } | { readonly problem: string };

/** The values in a configuration that came from elsewhere. */
export class Filled {
  readonly problems: (readonly [path: Path, message: string])[] = [];
  readonly #references = new Map<Scalar, readonly string[]>();
  readonly #unfilled = new Set<Scalar>();
  readonly #source: YamlSource;

  /** Puts the values of all references in their places, as far as there are any. */
  constructor(source: YamlSource, place: Place, files: FileTexts) {
    this.#source = source;
    const values = valuesOf(place, (absolute, shown) => {
      const file = files.get(absolute) ?? { problem: "is named by what another file holds; name it by variables" };
      if ("problem" in file) throw new RangeError(`the file ${shown} ${file.problem}`);
      return file.text;
    });
    for (const [scalar, path] of source.texts()) {
      try {
        const template = parseTemplate(scalar.value);
        if (template === undefined) continue;
        this.#references.set(scalar, referencesOf(template));
        // fault: takes a reference for a text
        scalar.value = fillTemplate(template, values);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        this.#unfilled.add(scalar);
        this.problems.push([path, error.message]);
      }
    }
  }

  /** Whether the value at `path` is missing, so that nothing else can be said of it. */
  isUnfilled(path: Path): boolean {
    const scalar = this.#source.scalarAt(path);
    return scalar !== undefined && this.#unfilled.has(scalar);
  }

  /** What made the value at `path`, as it stands there: `${NAME}`. */
  referencesAt(path: Path): readonly string[] {
    const scalar = this.#source.scalarAt(path);
    return (scalar && this.#references.get(scalar)) ?? [];
  }
}

/** Reads the files that a configuration names. */
export async function readFiles(source: YamlSource, place: Place): Promise<FileTexts> {
  const paths = new Set<string>();
  const values = valuesOf(place, (path) => {
    paths.add(path);
    return "";
  });
  for (const [{ value }] of source.texts()) {
    try {
      fillTemplate(parseTemplate(value) ?? [], values);
    } catch (error) {
      // It is told once the values are put in their places.
      if (!(error instanceof RangeError)) throw error;
    }
  }
  return new Map(await Promise.all(Array.from(paths, async (path) => [path, await readText(path)] as const)));
}

type FileText = (absolute: string, shown: string) => string;

function valuesOf(place: Place, fileText: FileText): Values {
  return {
    variable(name, isOptional) {
      // What every object has by inheritance is no variable.
      const given = Object.hasOwn(place.env, name) ? place.env[name] : undefined;
      const value = given ?? "";
      // fault: takes a variable that is not set for an empty one
      if (value !== "" || isOptional) return value;
      const state = given === undefined ? "is not set" : "is empty";
      throw new RangeError(`the environment variable ${name} ${state}; set it, or write \${${name}:-default}`);
    },
    file(path, written) {
      const absolute = absolutePath(path, place);
      return fileText(absolute, written === path ? absolute : written);
    },
  };
}

const MOST_BYTES = 65_536;

async function readText(path: string): Promise<FileResult> {
  try {
    const about = await stat(path);
    // A pipe or a device might never end.
    if (!about.isFile()) return { problem: "is no file that can be read again and again" };
    if (about.size > MOST_BYTES) return { problem: `has more than ${MOST_BYTES} bytes` };
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path)).replace(/[\r\n]+$/, "");
    return text === "" ? { problem: "is empty" } : { text };
  } catch (error) {
    if (error instanceof TypeError) return { problem: "is not text in UTF-8" };
    return { problem: `cannot be read (${error instanceof Error && "code" in error ? error.code : "unknown error"})` };
  }
}
