import type { ConfigPath } from "./problem.ts";

/** A path as a JSON pointer (RFC 6901). */
export function pointerOf(path: ConfigPath): string {
  return path.map((key) => `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/** The path of a JSON pointer. */
export function pathOf(pointer: string): ConfigPath {
  const parts = pointer.split("/").slice(1);
  return parts.map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}
