import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";

/** Configuration, keys, certificates: none is larger. */
export const MAX_FILE_BYTES = 1_048_576;

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  EACCES: "permission denied",
  EPERM: "permission denied",
  ERR_ACCESS_DENIED: "permission denied (Node's permission model)",
  EISDIR: "it is a directory",
  ENOTDIR: "a part of its path is no directory",
  ELOOP: "too many symbolic links",
  EMFILE: "too many open files",
  ENFILE: "too many open files",
  ERR_ENCODING_INVALID_ENCODED_DATA: "it is not UTF-8 text",
};

/**
 * A whole regular file of at most 1 MiB as UTF-8 text, with its permissions, or why not: the rest of a sentence that
 * begins with the path. Pipes and devices are refused, so a path can neither block nor run on for ever.
 */
export async function readSmallFile(
  path: string,
): Promise<{ readonly text: string; readonly mode: number } | { readonly problem: string }> {
  let file: FileHandle | undefined;
  try {
    // Without O_NONBLOCK opening a pipe would wait for its writer.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = await file.stat();
    if (!stats.isFile()) return { problem: "cannot be read: it is no regular file" };
    if (stats.size > MAX_FILE_BYTES) return { problem: "cannot be read: it is larger than 1 MiB" };
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await file.readFile());
    return { text, mode: stats.mode };
  } catch (error) {
    const isCoded =
      typeof error === "object" && error !== null && "code" in error && typeof error.code === "string";
    const code = isCoded ? String(error.code) : "unknown error";
    return { problem: `cannot be read: ${REASONS[code] ?? code}` };
  } finally {
    await file?.close();
  }
}
