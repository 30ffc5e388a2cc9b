import type { TSchema } from "@sinclair/typebox";
import type { ConfigPath, Finding } from "./problem.ts";
import { expandVariables, isFileReference, readSecretFile } from "./secrets.ts";
import type { Environment } from "./secrets.ts";
import { shorthands } from "./shorthands.ts";
import { didYouMean } from "./suggest.ts";
import { kindOf } from "./validate.ts";

/** What was found on the way. */
export interface Preparation {
  readonly env: Environment;
  /** Sygnal's rule for an app's options: null is a value, of the wrong type (sygnal-compat 4.0). */
  readonly nullIsAValue: boolean;
  readonly problems: Finding[];
  readonly warnings: Finding[];
  /** Paths of files that hold secrets, by the option that names them. */
  readonly secretFiles: { readonly path: ConfigPath; readonly file: string }[];
}

/**
 * A raw value made ready for its schema: variables expanded, shorthands written out, secrets read from their files,
 * Sygnal's rules for null sections (sygnal-compat 2.2) and unknown keys applied. Returns undefined for what counts as
 * absent. What is left wrong is for the validation.
 */
export async function prepare(
  schema: TSchema,
  raw: unknown,
  path: ConfigPath,
  preparation: Preparation,
): Promise<unknown> {
  if (schema.verbatim === true) return raw;
  let value = typeof raw === "string" ? expand(raw, path, preparation) : raw;
  if (schema.blank_is_absent === true && value === "") return undefined;
  if (typeof value === "string" && isTextMap(schema.synonyms) && Object.hasOwn(schema.synonyms, value)) {
    value = schema.synonyms[value];
  }
  if (typeof schema.shorthand === "string") value = shorthands.get(schema.shorthand)?.expand(value) ?? value;
  if (schema.secret === true && isFileReference(value))
    value = await readReference(value.file, path, preparation);
  if (schema.secret_file === true && typeof value === "string")
    preparation.secretFiles.push({ path, file: value });
  if (Array.isArray(value)) return prepareList(schema, value, path, preparation);
  if (isMapping(value)) return prepareMapping(schema, value, path, preparation);
  if (schema === ANYTHING && !isJsonScalar(value)) {
    preparation.problems.push({
      path,
      message: `must not be ${kindOf(value)}; put it in quotes if it is text`,
    });
  }
  return value;
}

/** In an open mapping, such as `fcm_options`, YAML's dates and infinities have nowhere to go. */
function isJsonScalar(value: unknown): boolean {
  return typeof value === "number" ? Number.isFinite(value) : !(value instanceof Date);
}

async function prepareList(
  schema: TSchema,
  list: readonly unknown[],
  path: ConfigPath,
  preparation: Preparation,
): Promise<readonly unknown[]> {
  const items = isSchema(schema.items) ? schema.items : ANYTHING;
  const prepared: unknown[] = [];
  for (const [index, item] of list.entries()) {
    prepared.push(await prepare(items, item, [...path, String(index)], preparation));
  }
  return prepared;
}

async function prepareMapping(
  schema: TSchema,
  mapping: Readonly<Record<string, unknown>>,
  path: ConfigPath,
  preparation: Preparation,
): Promise<Record<string, unknown>> {
  const properties = propertiesOf(schema);
  const names = [
    ...Object.keys(properties),
    ...(typeof schema.also_known === "string" ? [schema.also_known] : []),
  ];
  const prepared: Record<string, unknown> = {};
  for (const [key, raw] of Object.entries(mapping)) {
    const at = [...path, key];
    const property = Object.hasOwn(properties, key) ? properties[key] : undefined;
    if (property === undefined && schema.unknown_keys === "warn") {
      preparation.warnings.push({ path: at, message: `unknown key${didYouMean(key, names)}` });
    } else if (property === undefined || preparation.nullIsAValue || !isAbsent(property, raw)) {
      const value = await prepare(property ?? ANYTHING, raw, at, preparation);
      if (value !== undefined) prepared[key] = value;
    }
  }
  return prepared;
}

/** Null means absent for a section and for what has no default; elsewhere it is a wrong value, as in Sygnal. */
function isAbsent(property: TSchema, raw: unknown): boolean {
  return raw === null && (property.type === "object" || property.default === undefined);
}

function expand(text: string, path: ConfigPath, preparation: Preparation): string {
  const expanded = expandVariables(text, preparation.env);
  for (const name of new Set(expanded.missing)) {
    preparation.problems.push({ path, message: `the environment variable ${name} is not set, or empty` });
  }
  return expanded.text;
}

/** An unreadable file is told once: the option then counts as absent. */
async function readReference(file: string, path: ConfigPath, preparation: Preparation): Promise<unknown> {
  const name = expand(file, path, preparation);
  preparation.secretFiles.push({ path, file: name });
  const read = await readSecretFile(path, name);
  if ("text" in read) return read.text;
  preparation.problems.push(read.problem);
  return undefined;
}

const ANYTHING = {} as TSchema;

/** The properties of an object schema; none for anything else. */
export function propertiesOf(schema: TSchema): Readonly<Record<string, TSchema>> {
  return isMapping(schema.properties) ? (schema.properties as Readonly<Record<string, TSchema>>) : {};
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function isSchema(value: unknown): value is TSchema {
  return isMapping(value);
}

function isTextMap(value: unknown): value is Readonly<Record<string, string>> {
  return isMapping(value);
}
