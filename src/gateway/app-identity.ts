import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import type { AppConfig } from "../config/schema.ts";

/** No key, certificate or account file is larger. */
const MAX_FILE_BYTES = 1_048_576;

/**
 * Changes when anything changes that makes the app's pushkin: its options, what is in the files that they name, and
 * `surroundings` (the proxy and the like). Two equal ones need no new pushkin.
 */
export async function identityOf({ type, options }: AppConfig, surroundings: unknown): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify([type.types[0], options, surroundings]));
  for (const [option, value] of Object.entries(options)) {
    if (typeof value !== "string" || value.length > 4096 || value.includes("\n")) continue;
    // An option that names no file is told by the text that is in the hash already.
    hash.update(JSON.stringify([option, (await contentOf(value)) ?? null]));
  }
  return hash.digest("hex");
}

async function contentOf(path: string): Promise<string | undefined> {
  try {
    const stats = await stat(path);
    return stats.isFile() && stats.size <= MAX_FILE_BYTES ? await readFile(path, "base64") : undefined;
  } catch {
    return undefined;
  }
}
