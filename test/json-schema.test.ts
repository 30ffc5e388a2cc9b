import { Type as TypeBox } from "@sinclair/typebox";
import { Type } from "../src/json-schema.ts";

/** The same schema made by either; their types are the same, so one of them stands for both. */
type Make = (type: typeof Type) => unknown;

const rows: readonly (readonly [what: string, make: Make])[] = [
  ["simple values", (t) => [t.Boolean(), t.Integer(), t.Null(), t.Number(), t.String(), t.Unknown()]],
  ["options, before what the kind says", (t) => t.Integer({ default: 1, minimum: 0, description: "One." })],
  ["an option of the kind's own name", (t) => t.String({ type: "number" })],
  ["literals", (t) => [t.Literal("a"), t.Literal(1, { description: "One." }), t.Literal(true)]],
  ["a list", (t) => t.Array(t.String({ minLength: 1 }), { maxItems: 3, default: [] })],
  ["an object without properties", (t) => t.Object({})],
  ["an object that needs nothing", (t) => t.Object({ a: t.Optional(t.String()) }, { default: {} })],
  [
    "an object that needs some",
    (t) =>
      t.Object(
        { a: t.String(), b: t.Optional(t.Integer({ minimum: 1 })), c: t.Unsafe<number>({ reads: "port" }) },
        { additionalProperties: false },
      ),
  ],
  [
    "one schema, optional here and needed there",
    (t) => {
      const text = t.String();
      return [t.Object({ text: t.Optional(text) }), t.Object({ text })];
    },
  ],
  ["an object within an optional one", (t) => t.Object({ a: t.Optional(t.Object({ b: t.Null() })) })],
  ["a record", (t) => t.Record(t.String(), t.Integer())],
  ["a record with a pattern", (t) => t.Record(t.String({ pattern: "^a" }), t.Null(), { maxProperties: 5 })],
  ["alternatives", (t) => t.Union([t.String(), t.Null()], { description: "A text or none." })],
  ["one alternative", (t) => t.Union([t.String({ maxLength: 2 })], { description: "A text." })],
  ["objects in one", (t) => t.Intersect([t.Object({ a: t.String() }), t.Object({})])],
  ["an object and alternatives in one", (t) => t.Intersect([t.Object({}), t.Union([t.Null(), t.String()])])],
  ["unsafe, with and without options", (t) => [t.Unsafe({ type: "string", enum: ["a"] }), t.Unsafe()]],
];

it.each(rows)("makes the same of %s as TypeBox", (_what, make) => {
  // As text: the order of the keys is that of the printed schemas.
  expect(JSON.stringify(make(Type))).toBe(JSON.stringify(make(TypeBox as typeof Type)));
});

it("takes no empty list of alternatives, which nothing would fit", () => {
  expect(() => Type.Union([])).toThrow(RangeError);
});
