import { Ajv } from "ajv";
import type { AnySchema, ErrorObject, SchemaValidateFunction } from "ajv";
import { pathOf } from "./pointer.ts";
import type { ConfigPath, Finding } from "./problem.ts";
import { readers } from "./readers.ts";
import { didYouMean, suggest } from "./suggest.ts";

/** The annotations of fields.ts that Ajv has nothing to do with. */
const ANNOTATIONS = [
  "secret",
  "secret_file",
  "synonyms",
  "blank_is_absent",
  "shorthand",
  "unknown_keys",
  "also_known",
  "verbatim",
];

/** Runs a reader of readers.ts and puts what it made of the value in its place. */
const read: SchemaValidateFunction = (name: string, value: unknown, _schema, at) => {
  const reading = readers.get(name)?.read(value) ?? { problem: "is read by nobody" };
  if ("problem" in reading) {
    read.errors = [{ keyword: "reads", message: reading.problem, params: {} }];
    return false;
  }
  if (at !== undefined) (at.parentData as Record<string, unknown>)[at.parentDataProperty] = reading.value;
  return true;
};

const ajv = new Ajv({
  allErrors: true,
  useDefaults: true,
  verbose: true,
  allowUnionTypes: true,
  strictRequired: false,
  // Our own schema needs no check against the schema of schemas at every start: a test does that.
  meta: false,
  validateSchema: false,
});
ajv.addVocabulary(ANNOTATIONS);
ajv.addKeyword({ keyword: "reads", schemaType: "string", modifying: true, errors: true, validate: read });

/**
 * Validates `value` in place: defaults are filled in, and what a reader reads is replaced by what it made of it.
 * Every problem at once, in plain sentences without the values.
 */
export function validate(schema: AnySchema, value: unknown, root: ConfigPath = []): readonly Finding[] {
  const check = ajv.compile(schema);
  if (check(value) === true) return [];
  // One sentence for each place: what is of the wrong type is also not one of the words, and too short.
  const byPlace = new Map<string, Finding>();
  for (const error of check.errors ?? []) {
    const finding = toFinding(error, root);
    const place = finding.path.join("\n");
    if (!byPlace.has(place)) byPlace.set(place, finding);
  }
  return [...byPlace.values()];
}

function toFinding(error: ErrorObject, root: ConfigPath): Finding {
  const path = [...root, ...pathOf(error.instancePath)];
  const params = error.params as Readonly<Record<string, unknown>>;
  switch (error.keyword) {
    case "required":
      return { path: [...path, String(params.missingProperty)], message: "is missing" };
    case "additionalProperties": {
      const key = String(params.additionalProperty);
      const properties = (error.parentSchema as { properties?: object } | undefined)?.properties ?? {};
      return { path: [...path, key], message: `unknown key${didYouMean(key, Object.keys(properties))}` };
    }
    default:
      return { path, message: sentence(error, params) };
  }
}

function sentence(error: ErrorObject, params: Readonly<Record<string, unknown>>): string {
  switch (error.keyword) {
    case "type":
      return `must be ${typeNames(params.type)}, is ${kindOf(error.data, params.type)}`;
    case "enum": {
      const words = (params.allowedValues as readonly unknown[]).map(String);
      const near = typeof error.data === "string" ? suggest(error.data, words) : undefined;
      return `must be one of ${words.join(", ")}${near === undefined ? "" : ` (did you mean \`${near}\`?)`}`;
    }
    case "const":
      return `must be ${String(params.allowedValue)}`;
    case "minimum":
      return `must be at least ${String(params.limit)}`;
    case "maximum":
      return `must be at most ${String(params.limit)}`;
    case "exclusiveMinimum":
      return `must be greater than ${String(params.limit)}`;
    case "exclusiveMaximum":
      return `must be less than ${String(params.limit)}`;
    case "minLength":
      return params.limit === 1
        ? "must not be empty"
        : `must have at least ${String(params.limit)} characters`;
    case "maxLength":
      return `must have at most ${String(params.limit)} characters`;
    case "minItems":
      return params.limit === 1
        ? "must have at least one entry"
        : `must have at least ${String(params.limit)} entries`;
    case "uniqueItems":
      return "has the same entry twice";
    default:
      return error.message ?? "is not valid";
  }
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  integer: "a whole number",
  boolean: "true or false",
  object: "a mapping",
  array: "a list",
  null: "null",
};

function typeNames(type: unknown): string {
  const types: readonly unknown[] = Array.isArray(type) ? type : [type];
  return types.map((name) => TYPE_NAMES[String(name)] ?? String(name)).join(" or ");
}

/** What a value is, in a word or two, without the value; with the way out where a text was read as something else. */
export function kindOf(value: unknown, wanted?: unknown): string {
  const quotes = wanted === "string" ? " (put it in quotes if it is text)" : "";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (value instanceof Date) return `a date${quotes}`;
  if (typeof value === "number" && !Number.isFinite(value)) return "an infinite number or none";
  if (typeof value === "number") return `a number${quotes}`;
  if (typeof value === "boolean") return `a boolean${quotes}`;
  return typeof value === "string" ? "a string" : "a mapping";
}
