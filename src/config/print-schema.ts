import type { PushkinType } from "../core/pushkin.ts";
import { readers } from "./readers.ts";
import { RootConfig } from "./schema.ts";
import { shorthands } from "./shorthands.ts";

type Json = Record<string, unknown>;

/**
 * `config/schema.json`: the configuration as plain JSON Schema, for editors. What the loader understands beyond it
 * (durations, shorthands, secrets in files) is spelt out; unknown keys are marked everywhere, since an editor knows
 * no warnings.
 */
export function renderSchema(pushkinTypes: readonly PushkinType[]): string {
  const root = plain(RootConfig);
  const types = pushkinTypes.flatMap((type) => type.types);
  const app = {
    type: "object",
    required: ["type"],
    properties: { type: { enum: types } },
    allOf: pushkinTypes.map((type) => ({
      if: { properties: { type: { enum: type.types } } },
      then: plain({ ...type.config, unknown_keys: "warn" }),
    })),
  };
  const apps = {
    description: "What pushes are for: app id, or a pattern with * and ?, and the app's options.",
    type: "object",
    minProperties: 1,
    additionalProperties: app,
  };
  const schema = {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Signalbox's configuration (sygnal.yaml)",
    ...root,
    required: ["apps"],
    properties: { ...(root.properties as Json), apps, db: IGNORED, database: IGNORED },
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

const IGNORED = { description: "Ignored, as in Sygnal." };

/** A schema without the loader's annotations, and with what they stand for. Nothing is `required`: defaults fill in. */
function plain(annotated: unknown): Json {
  const { reads, secret, secret_file, synonyms, blank_is_absent, shorthand, unknown_keys, ...rest } =
    annotated as Json;
  const { also_known, verbatim, required, ...schema } = rest;
  void [secret_file, also_known, verbatim, required];
  const { description, default: fallback, ...form } = schema;
  let result: Json = form;
  if (typeof reads === "string") result = { ...form, ...readers.get(reads)?.schema };
  if (typeof form.properties === "object" && form.properties !== null) {
    const properties = Object.entries(form.properties).map(([key, value]) => [key, plain(value)] as const);
    result.properties = Object.fromEntries(properties);
    if (unknown_keys === "warn") result.additionalProperties = false;
  }
  if (form.items !== undefined) result.items = plain(form.items);
  if (Array.isArray(form.enum)) {
    const words: readonly unknown[] = form.enum;
    const others = typeof synonyms === "object" && synonyms !== null ? Object.keys(synonyms) : [];
    result.enum = [...words, ...others, ...(blank_is_absent === true ? [""] : [])];
  }
  if (typeof shorthand === "string") result = { anyOf: [result, shorthands.get(shorthand)?.schema] };
  if (secret === true) result = { anyOf: [result, FILE_REFERENCE] };
  // A section's default is made of its keys' defaults.
  const hasDefault = fallback !== undefined && form.properties === undefined;
  return {
    ...(description === undefined ? {} : { description }),
    ...result,
    ...(hasDefault ? { default: fallback } : {}),
  };
}

const FILE_REFERENCE = {
  type: "object",
  required: ["file"],
  properties: {
    file: { type: "string", description: "Path of a file that holds the secret and nothing else." },
  },
  additionalProperties: false,
};
