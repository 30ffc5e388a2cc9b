import type { JavaScriptTypeBuilder } from "@sinclair/typebox";

/*
 * What this project uses of TypeBox, as the same JSON Schema with the same types: TypeBox itself would be 200 modules
 * at every start, for a dozen functions that put objects together.
 */

type Builder = Pick<
  JavaScriptTypeBuilder,
  | "Array"
  | "Boolean"
  | "Integer"
  | "Intersect"
  | "Literal"
  | "Null"
  | "Number"
  | "Object"
  | "Optional"
  | "Record"
  | "String"
  | "Union"
  | "Unknown"
  | "Unsafe"
>;

type Schema = Readonly<Record<string | symbol, unknown>>;
type Options = Readonly<Record<string, unknown>>;

/** On a property that its object need not have. */
const optional = Symbol("optional");

const simple =
  (own: Schema) =>
  (options?: Options): Schema => ({ ...options, ...own });

/** One alternative is itself. */
const several =
  (keyword: (schemas: readonly Schema[]) => Schema) =>
  (schemas: readonly Schema[], options?: Options): Schema => {
    const [first, ...others] = schemas;
    if (first === undefined) throw new RangeError("one schema at least");
    return { ...options, ...(others.length === 0 ? first : keyword(schemas)) };
  };

function object(properties: Readonly<Record<string, Schema>>, options?: Options): Schema {
  const required = Object.keys(properties).filter((key) => properties[key]?.[optional] !== true);
  return { ...options, type: "object", ...(required.length > 0 ? { required } : {}), properties };
}

function record(key: Schema, value: Schema, options?: Options): Schema {
  const { pattern = "^(.*)$" } = key;
  return { ...options, type: "object", patternProperties: { [String(pattern)]: value } };
}

const builder = {
  Array: (items: Schema, options?: Options): Schema => ({ ...options, type: "array", items }),
  Boolean: simple({ type: "boolean" }),
  Integer: simple({ type: "integer" }),
  Intersect: several((allOf) =>
    allOf.every(({ properties }) => properties !== undefined) ? { type: "object", allOf } : { allOf },
  ),
  Literal: (value: unknown, options?: Options): Schema => ({ ...options, const: value, type: typeof value }),
  Null: simple({ type: "null" }),
  Number: simple({ type: "number" }),
  Object: object,
  Optional: (schema: Schema): Schema => ({ ...schema, [optional]: true }),
  Record: record,
  String: simple({ type: "string" }),
  Union: several((anyOf) => ({ anyOf })),
  Unknown: simple({}),
  Unsafe: (options?: Options): Schema => ({ ...options }),
};

/**
 * Describes a value once, for `Static` of TypeBox (its type) and for Ajv, OpenAPI and editors (JSON Schema).
 * The functions are TypeBox's of these names; `Record` takes texts for keys only.
 */
export const Type = builder as unknown as Builder;
