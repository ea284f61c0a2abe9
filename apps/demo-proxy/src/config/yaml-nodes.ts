import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  Scalar,
  visit,
  type YAMLMap,
} from "yaml";

export type Path = readonly PropertyKey[];

/** The nodes of a document by path, through the aliases (`*name`) and merge keys (`<<`) on the way. */
export class YamlNodes {
  readonly #contents: unknown;
  /** What each alias stands for. The library's own look-up reads the whole document for each of them. */
  readonly #targets = new Map<Alias, Node>();
  readonly #problems: (readonly [offset: number, message: string])[] = [];

  constructor(document: Document) {
    this.#contents = document.contents;
    const anchors = new Map<string, Node>();
    visit(document, (_, node) => {
      if (isAlias(node)) this.#aim(node, anchors.get(node.source));
      else if (isNode(node) && node.anchor) anchors.set(node.anchor, node);
      if (isPair(node) && isCollection(node.key)) this.#problems.push([startOf(node.key) ?? 0, COLLECTION_AS_KEY]);
    });
    visit(document, {
      Pair: (_, pair) => {
        if (isMergeKey(pair.key) && this.#sources(pair) === undefined) {
          this.#problems.push([startOf(pair.key) ?? 0, NOTHING_TO_MERGE]);
        }
      },
    });
  }

  /** Aliases and merge keys that stand for nothing, and keys that are none, by their place in the text. */
  get problems(): readonly (readonly [offset: number, message: string])[] {
    return this.#problems;
  }

  /** Every text that is used, once, with the first path at which it is. What only `ignored` keys of the file hold is not. */
  *texts(ignored: (key: string) => boolean): Generator<readonly [Scalar<string>, Path]> {
    yield* this.#textsIn(this.#contents, [], ignored, new Set());
  }

  /** The text or other scalar that the value at `path` is in the end. */
  scalarAt(path: Path): Scalar | undefined {
    const node = this.#target(this.#at(path));
    return isScalar(node) ? node : undefined;
  }

  /** Where the value at `path` begins, or its key; of what is missing, where it belongs. */
  offsetOf(path: Path, part: "key" | "value"): number {
    const parent = this.#target(this.#at(path.slice(0, -1)));
    const pair = isMap(parent) ? this.#pair(parent, path.at(-1) ?? "") : undefined;
    const own = part === "key" ? startOf(pair?.key) : startOf(this.#at(path));
    const offset = own ?? startOf(pair?.key);
    if (offset !== undefined || path.length === 0) return offset ?? 0;
    return this.offsetOf(path.slice(0, -1), "value");
  }

  #at(path: Path): unknown {
    return path.reduce<unknown>((node, segment) => {
      const parent = this.#target(node);
      if (isSeq(parent)) return parent.items[Number(segment)];
      return isMap(parent) ? this.#pair(parent, segment)?.value : undefined;
    }, this.#contents);
  }

  #aim(alias: Alias, target: Node | undefined): void {
    if (target === undefined) this.#problems.push([startOf(alias) ?? 0, UNKNOWN_ALIAS]);
    else this.#targets.set(alias, target);
  }

  #target(node: unknown): unknown {
    return isAlias(node) ? this.#targets.get(node) : node;
  }

  /** A map's own keys come before those that it merges, earlier merges before later ones. */
  #pair(map: YAMLMap, key: PropertyKey): Pair | undefined {
    const own = map.items.find((pair) => !isMergeKey(pair.key) && keyText(pair.key) === String(key));
    if (own !== undefined) return own;
    for (const pair of map.items) {
      if (!isMergeKey(pair.key)) continue;
      for (const source of this.#sources(pair) ?? []) {
        const merged = this.#pair(source, key);
        if (merged !== undefined) return merged;
      }
    }
    return undefined;
  }

  /** The maps that a merge key stands for; undefined when it stands for anything else. */
  #sources({ value }: Pair): readonly YAMLMap[] | undefined {
    const target = this.#target(value);
    const sources = isSeq(target) ? target.items.map((item) => this.#target(item)) : [target];
    return sources.every((source) => isMap(source)) ? sources : undefined;
  }

  *#textsIn(
    node: unknown,
    path: Path,
    ignored: (key: string) => boolean,
    seen: Set<unknown>,
  ): Generator<readonly [Scalar<string>, Path]> {
    const target = this.#target(node);
    if (seen.has(target)) return;
    seen.add(target);
    if (isScalar<string>(target) && typeof target.value === "string") yield [target, path];
    else if (isSeq(target)) {
      for (const [index, item] of target.items.entries()) yield* this.#textsIn(item, [...path, index], ignored, seen);
    } else if (isMap(target)) {
      for (const pair of target.items) {
        if (isMergeKey(pair.key)) {
          for (const source of this.#sources(pair) ?? []) yield* this.#textsIn(source, path, ignored, seen);
        } else if (path.length > 0 || !ignored(keyText(pair.key))) {
          yield* this.#textsIn(pair.value, [...path, keyText(pair.key)], ignored, seen);
        }
      }
    }
  }
}

export const UNKNOWN_ALIAS = "an alias (*name) without its anchor (&name); put quotes around a text that begins with *";
const NOTHING_TO_MERGE = "a merge key (<<) stands for a map, such as *name, or a list of maps";
const COLLECTION_AS_KEY =
  "a map or list as key; put quotes around a text that begins with { or [. Nothing replaces {{ name }} here: write ${NAME}";

/** Quotes make it an ordinary key. */
function isMergeKey(key: unknown): boolean {
  return isScalar(key) && key.type === Scalar.PLAIN && key.source === "<<";
}

function keyText(key: unknown): string {
  return String(isScalar(key) ? key.value : key);
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? (node.range?.[0] ?? undefined) : undefined;
}
