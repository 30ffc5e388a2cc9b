import type { ConfigPath, Finding } from "./problem.ts";
import { readSmallFile } from "./read-file.ts";

/** The environment that the process was started with. */
export type Environment = Readonly<Record<string, string | undefined>>;

const REFERENCE = /\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}/g;

/**
 * Replaces `${NAME}` in a text by the environment's value. Only this exact form, so a `$` in a path stays; `$${NAME}`
 * is the text `${NAME}` itself. A variable that is missing or empty is a problem that names it: an empty secret is
 * never what was meant (reliability C08).
 */
export function expandVariables(
  text: string,
  env: Environment,
): { readonly text: string; readonly missing: string[] } {
  const missing: string[] = [];
  const expanded = text.replace(REFERENCE, (whole: string, escape: string, name: string) => {
    if (escape !== "") return whole.slice(1);
    const value = env[name];
    if (value === undefined || value === "") missing.push(name);
    return value ?? "";
  });
  return { text: expanded, missing };
}

/** `{file: PATH}`, the form in which any secret may be written. */
export function isFileReference(value: unknown): value is { readonly file: string } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return "file" in value && typeof value.file === "string" && Object.keys(value).length === 1;
}

/** The text of a secret's file without the line break at its end, or why there is none. */
export async function readSecretFile(
  path: ConfigPath,
  file: string,
): Promise<{ readonly text: string } | { readonly problem: Finding }> {
  const read = await readSmallFile(file);
  if ("problem" in read) return { problem: { path: [...path, "file"], message: read.problem } };
  const text = read.text.replace(/\r?\n$/, "");
  return text === "" ? { problem: { path: [...path, "file"], message: "the file is empty" } } : { text };
}
