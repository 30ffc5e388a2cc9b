import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import type { ErrorCode, ParsedNode, YAMLMap } from "yaml";
import { resolvePlain, resolveTagged } from "./yaml-scalar.ts";
import type { YamlScalar } from "./yaml-scalar.ts";

/** Where something stands in the file; both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A key and its value. `key` keeps its type, `name` is its spelling as an object's key. */
export interface YamlEntry {
  readonly key: YamlScalar;
  readonly name: string;
  readonly at: Position;
  readonly node: YamlNode;
}

/** A value of the file with its place. Aliases and merges are resolved; a node may occur several times. */
export type YamlNode =
  | { readonly kind: "scalar"; readonly value: YamlScalar; readonly at: Position; readonly size: number }
  | {
      readonly kind: "list";
      readonly items: readonly YamlNode[];
      readonly at: Position;
      readonly size: number;
    }
  | {
      readonly kind: "map";
      /** In file order, merged keys first, every name once: the last one wins. */
      readonly entries: readonly YamlEntry[];
      /** Keys that were written more than once: the place of the one that lost and of the one that counts. */
      readonly duplicates: readonly {
        readonly name: string;
        readonly lost: Position;
        readonly at: Position;
      }[];
      readonly at: Position;
      readonly size: number;
    };

/** Why the text is no YAML that we take. */
export interface YamlProblem {
  readonly at: Position;
  readonly message: string;
}

/** Nodes that a file may come to once its aliases are written out ("billion laughs"). */
const MAX_NODES = 100_000;
const MAX_DEPTH = 64;
// What PyYAML refuses: control characters, lone surrogates, U+FFFE and U+FFFF.
const NOT_PRINTABLE = /(?![\t\n\r\x85])[\p{Cc}\p{Cs}\ufffe\uffff]/u;

/** One sentence for each code of the parser's, since its own messages may repeat what the file says. */
const SYNTAX: Partial<Record<ErrorCode, string>> = {
  BAD_INDENT: "wrong indentation",
  BLOCK_AS_IMPLICIT_KEY: "a mapping cannot start here (a second `: ` on the line? put the value in quotes)",
  TAB_AS_INDENT: "a tab is used for indentation; use spaces",
  MISSING_CHAR: "something is missing here: a closing quote or bracket, a comma or a `:`",
  UNEXPECTED_TOKEN: "this does not belong here",
  MULTIPLE_DOCS: "the file holds several documents (`---`); only one is read",
  BAD_SCALAR_START: "a value cannot start with this character; put it in quotes",
  BAD_DQ_ESCAPE: "unknown escape in a double-quoted text",
};

/**
 * YAML 1.1 as PyYAML's safe loader reads it (sygnal-compat 2.1): one document, `null` for an empty one. Never throws.
 */
export function parseYaml(text: string): { readonly root: YamlNode } | { readonly problem: YamlProblem } {
  const lines = new LineCounter();
  const position = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const body = text.startsWith("\ufeff") ? text.slice(1) : text;
  const special = NOT_PRINTABLE.exec(body);
  if (special !== null) {
    const before = body.slice(0, special.index).split("\n");
    const at = { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
    return { problem: { at, message: "a control character cannot stand in the file" } };
  }
  try {
    const document = parseDocument(body, {
      version: "1.1",
      schema: "failsafe",
      merge: false,
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: "error",
      lineCounter: lines,
    });
    // Only the first: what follows a syntax error is mostly its echo.
    const [first] = document.errors;
    if (first !== undefined) {
      const message =
        SYNTAX[first.code] ?? `not readable as YAML (${first.code.toLowerCase().replaceAll("_", " ")})`;
      return { problem: { at: position(first.pos[0]), message } };
    }
    return { root: new Constructor(position).construct(document.contents, { line: 1, column: 1 }, 0) };
  } catch (error) {
    if (error instanceof YamlError) return { problem: { at: error.at, message: error.message } };
    if (error instanceof RangeError)
      return { problem: { at: { line: 1, column: 1 }, message: "nested too deeply" } };
    throw error;
  }
}

/** Leaves the recursion; never leaves this file. */
class YamlError extends Error {
  readonly at: Position;

  constructor(at: Position, message: string) {
    super(message);
    this.at = at;
  }
}

class Constructor {
  readonly #position: (offset: number) => Position;
  readonly #anchors = new Map<string, YamlNode | "open">();
  #nodes = 0;

  constructor(position: (offset: number) => Position) {
    this.#position = position;
  }

  construct(node: ParsedNode | null, fallback: Position, depth: number): YamlNode {
    const at = node === null ? fallback : this.#position(node.range[0]);
    if (depth > MAX_DEPTH) throw new YamlError(at, "nested too deeply");
    if (node === null) return this.#counted({ kind: "scalar", value: null, at, size: 1 });
    if (isAlias(node)) return this.#alias(node.source, at);
    const anchor = "anchor" in node ? node.anchor : undefined;
    if (anchor !== undefined) {
      if (this.#anchors.has(anchor)) throw new YamlError(at, `the anchor &${anchor} is defined twice`);
      this.#anchors.set(anchor, "open");
    }
    const made = this.#make(node, at, depth);
    if (anchor !== undefined) this.#anchors.set(anchor, made);
    return made;
  }

  #make(node: ParsedNode, at: Position, depth: number): YamlNode {
    if (isScalar(node)) return this.#counted({ kind: "scalar", value: this.#scalar(node, at), at, size: 1 });
    if (isSeq(node)) {
      this.#checkTag(node.tag, "tag:yaml.org,2002:seq", at);
      const items = node.items.map((item) => this.construct(item as ParsedNode | null, at, depth + 1));
      return this.#counted({ kind: "list", items, at, size: 1 + total(items) });
    }
    if (isMap(node)) return this.#map(node, at, depth);
    throw new YamlError(at, "this does not belong here");
  }

  #map(node: YAMLMap.Parsed, at: Position, depth: number): YamlNode {
    this.#checkTag(node.tag, "tag:yaml.org,2002:map", at);
    const merged: YamlEntry[] = [];
    const own: YamlEntry[] = [];
    for (const pair of node.items) {
      const keyAt = pair.key === null ? at : this.#position(pair.key.range[0]);
      const value = (): YamlNode => this.construct(pair.value, keyAt, depth + 1);
      if (
        isScalar(pair.key) &&
        pair.key.type === "PLAIN" &&
        pair.key.tag === undefined &&
        pair.key.source === "<<"
      ) {
        merged.push(...this.#merge(value()));
      } else {
        const key = this.#key(pair.key, keyAt, depth);
        own.push({ key, name: keyName(key), at: keyAt, node: value() });
      }
    }
    const entries = new Map<string, YamlEntry>();
    for (const entry of merged) entries.set(entry.name, entry);
    const duplicates: { name: string; lost: Position; at: Position }[] = [];
    const seen = new Map<string, YamlEntry>();
    for (const entry of own) {
      const earlier = seen.get(entry.name);
      if (earlier !== undefined) duplicates.push({ name: entry.name, lost: earlier.at, at: entry.at });
      seen.set(entry.name, entry);
      entries.set(entry.name, entry);
    }
    const list = [...entries.values()];
    const size = 1 + list.length + total(list.map((entry) => entry.node));
    return this.#counted({ kind: "map", entries: list, duplicates, at, size });
  }

  #key(node: ParsedNode | null, at: Position, depth: number): YamlScalar {
    // `=` means "the default value" where a value stands; as a key it is only itself.
    if (isScalar(node) && node.source === "=" && node.tag === undefined) return "=";
    const made = this.construct(node, at, depth + 1);
    if (made.kind !== "scalar") throw new YamlError(at, "a list or mapping cannot be a key");
    if (made.value === "__proto__") throw new YamlError(at, "this name cannot be a key");
    return made.value;
  }

  /** What `<<:` adds: of a list the earlier mapping wins, so it comes last. */
  #merge(node: YamlNode): readonly YamlEntry[] {
    const maps = node.kind === "list" ? node.items.toReversed() : [node];
    return maps.flatMap((map) => {
      if (map.kind !== "map") throw new YamlError(node.at, "`<<` takes a mapping or a list of mappings");
      this.#spend(map.size, node.at);
      return map.entries;
    });
  }

  #alias(name: string, at: Position): YamlNode {
    const target = this.#anchors.get(name);
    if (target === undefined) throw new YamlError(at, `there is no anchor &${name} before this`);
    if (target === "open") throw new YamlError(at, `*${name} stands inside what it names`);
    this.#spend(target.size, at);
    return { ...target, at };
  }

  #scalar(node: ParsedNode & { value: unknown }, at: Position): YamlScalar {
    const text = typeof node.value === "string" ? node.value : "";
    const plain = "type" in node && node.type === "PLAIN";
    const source = "source" in node && typeof node.source === "string" ? node.source : text;
    const tag = node.tag === "!" || node.tag === "" ? undefined : node.tag;
    if (tag === undefined && !plain) return text;
    const read = tag === undefined ? resolvePlain(source) : resolveTagged(tag, plain ? source : text);
    if ("problem" in read) throw new YamlError(at, read.problem);
    return read.value;
  }

  #checkTag(tag: string | undefined, expected: string, at: Position): void {
    if (tag !== undefined && tag !== "" && tag !== "!" && tag !== expected) {
      throw new YamlError(at, "this tag is not supported");
    }
  }

  #counted(node: YamlNode): YamlNode {
    this.#spend(1, node.at);
    return node;
  }

  #spend(nodes: number, at: Position): void {
    this.#nodes += nodes;
    if (this.#nodes > MAX_NODES)
      throw new YamlError(at, `more than ${MAX_NODES} values once aliases are written out`);
  }
}

function total(nodes: readonly YamlNode[]): number {
  return nodes.reduce((sum, node) => sum + node.size, 0);
}

function keyName(key: YamlScalar): string {
  return key instanceof Date ? key.toISOString().slice(0, 10) : String(key);
}
