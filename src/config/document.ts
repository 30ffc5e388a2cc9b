import { pointerOf } from "./pointer.ts";
import type { ConfigPath, Finding } from "./problem.ts";
import type { Position, YamlNode } from "./yaml.ts";

/** A mapping of the file as a plain object. */
export type RawMapping = Record<string, unknown>;

/** The file's content as plain values, each its own copy, and where each stands. */
export interface ConfigDocument {
  readonly value: RawMapping;
  /** Keys written twice: an app id as an error, any other as a warning (reliability C06). */
  readonly duplicateApps: readonly Finding[];
  readonly duplicateKeys: readonly Finding[];
  /** App ids that YAML does not read as text, such as a bare number. */
  readonly nonTextApps: readonly Finding[];
  /** The place of this path, else of the nearest thing around it. */
  place(path: ConfigPath): Position | undefined;
}

/** Plain values out of the syntax tree; undefined when the top level is no mapping. An empty file is an empty mapping. */
export function readDocument(root: YamlNode): ConfigDocument | undefined {
  const places = new Map<string, Position>();
  const duplicateApps: Finding[] = [];
  const duplicateKeys: Finding[] = [];
  const nonTextApps: Finding[] = [];

  const read = (node: YamlNode, path: ConfigPath): unknown => {
    if (node.kind === "scalar") return node.value;
    if (node.kind === "list") {
      return node.items.map((item, index) => {
        const at = [...path, String(index)];
        places.set(pointerOf(at), item.at);
        return read(item, at);
      });
    }
    const isApps = path.length === 1 && path[0] === "apps";
    for (const { name, lost, at } of node.duplicates) {
      const again = [...path, name];
      places.set(pointerOf(again), at);
      if (isApps) {
        duplicateApps.push({
          path: again,
          message: `is configured twice, in lines ${lost.line} and ${at.line}`,
        });
      } else {
        const message = `is written twice; line ${at.line} counts, line ${lost.line} is ignored`;
        duplicateKeys.push({ path: again, message });
      }
    }
    const mapping: RawMapping = {};
    for (const entry of node.entries) {
      const at = [...path, entry.name];
      places.set(pointerOf(at), entry.at);
      if (isApps && typeof entry.key !== "string") {
        nonTextApps.push({ path: at, message: "must be text; put the app id in quotes" });
      }
      mapping[entry.name] = read(entry.node, at);
    }
    return mapping;
  };

  const empty = root.kind === "scalar" && root.value === null;
  if (root.kind !== "map" && !empty) return undefined;
  const value = empty ? {} : (read(root, []) as RawMapping);
  return {
    value,
    duplicateApps,
    duplicateKeys,
    nonTextApps,
    place(path) {
      for (let length = path.length; length > 0; length -= 1) {
        const found = places.get(pointerOf(path.slice(0, length)));
        if (found !== undefined) return found;
      }
      return undefined;
    },
  };
}
