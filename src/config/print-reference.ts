import type { PushkinType } from "../core/pushkin.ts";
import { renderSchema } from "./print-schema.ts";

type Json = Readonly<Record<string, unknown>>;

/** One key as the reference shows it. */
interface Row {
  readonly key: string;
  readonly value: string;
  readonly fallback: string;
  readonly description: string;
}

/** The page `docs/configuration.md`, printed from the same schema that editors get. */
export function configurationPage(pushkinTypes: readonly PushkinType[]): string {
  const { properties } = JSON.parse(renderSchema(pushkinTypes)) as {
    readonly properties: Record<string, Json>;
  };
  const { apps = {}, db: _db, database: _database, ...sections } = properties;
  const nested = Object.entries(sections).filter(([, schema]) => propertiesOf(schema) !== undefined);
  const plain = Object.entries(sections).filter(([, schema]) => propertiesOf(schema) === undefined);
  const types = ((apps["additionalProperties"] as Json)["allOf"] ?? []) as readonly {
    if: Json;
    then: Json;
  }[];
  return [
    "# Configuration",
    "",
    "<!-- Printed from the schema by src/config/print-reference.ts. Do not edit. -->",
    "",
    "The file is a `sygnal.yaml`, read as Sygnal reads it (YAML 1.1), with sections of our own. Only `apps` is required.",
    "[sygnal.example.yaml](../sygnal.example.yaml) has every key with its default; `signalbox check` tells every problem",
    "with its line, `signalbox doctor` whether it works.",
    "",
    "- Durations: `500ms`, `5s`, `10m`, `24h`, `30d`, or a number of seconds. Rates: `50/s`, `600/m`, `5000/h`, or `off`.",
    "- `${NAME}` in a value is the environment variable NAME, which must not be empty; `$${NAME}` stands for itself.",
    "- A secret may also be written as `{file: PATH}`. Paths are relative to the working directory.",
    "- Misspelt keys: in Sygnal's sections a warning, in the others the start is refused.",
    "- Reloaded by SIGHUP: apps, keys, certificates, limits, levels. Listeners' addresses, the store, logs' destinations and",
    "  tracing change at the next start; the reload says so.",
    "",
    ...nested.flatMap(([name, schema]) => section(`## \`${name}\``, schema)),
    "## Keys at the top",
    "",
    ...table(plain.flatMap(([name, schema]) => rowsOf(name, schema))),
    "",
    "## `apps`",
    "",
    "Each key is an app id as pushers have it, or a pattern with `*` and `?`: the exact id wins, then the most specific",
    "pattern. What an entry may hold depends on its `type`.",
    "",
    ...types.flatMap(({ if: condition, then }) =>
      section(`### \`type: ${typesOf(condition).join("` or `")}\``, then),
    ),
  ].join("\n");
}

function section(heading: string, schema: Json): readonly string[] {
  const rows = Object.entries(propertiesOf(schema) ?? {}).flatMap(([name, property]) =>
    rowsOf(name, property),
  );
  return [
    heading,
    "",
    text(schema["description"]),
    "",
    ...table(rows.filter(({ key }) => key !== "type")),
    "",
  ];
}

function typesOf(condition: Json): readonly string[] {
  const { type } = condition["properties"] as { readonly type: { readonly enum: readonly string[] } };
  return type.enum;
}

/** A key, and those below it. */
function rowsOf(key: string, schema: Json): readonly Row[] {
  const properties = propertiesOf(schema);
  if (properties !== undefined) {
    const below = Object.entries(properties).flatMap(([name, property]) =>
      rowsOf(`${key}.${name}`, property),
    );
    const own = text(schema["description"]);
    return [
      { key, value: isShort(schema) ? "section, or short" : "section", fallback: "", description: own },
      ...below,
    ];
  }
  const fallback = schema["default"] === undefined ? "" : `\`${JSON.stringify(schema["default"])}\``;
  return [{ key, value: valueOf(schema), fallback, description: text(schema["description"]) }];
}

/** Of a mapping, its keys; a secret that may be a file's is no mapping. */
function propertiesOf(schema: Json): Record<string, Json> | undefined {
  const own = schema["properties"];
  if (own !== undefined && !isFileReference(schema)) return own as Record<string, Json>;
  const [first] = (schema["anyOf"] ?? []) as readonly Json[];
  return first?.["properties"] === undefined || isFileReference(first)
    ? undefined
    : (first["properties"] as Record<string, Json>);
}

function isShort(schema: Json): boolean {
  return Array.isArray(schema["anyOf"]);
}

function isFileReference({ properties }: Json): boolean {
  const keys = Object.keys(properties ?? {});
  return keys.length === 1 && keys[0] === "file";
}

function valueOf(schema: Json): string {
  const alternatives = schema["anyOf"] as readonly Json[] | undefined;
  if (alternatives !== undefined) {
    const secret = alternatives.some(isFileReference) ? "secret " : "";
    const [first = {}] = alternatives.filter((each) => !isFileReference(each));
    return `${secret}${valueOf(first)}`;
  }
  if (Array.isArray(schema["enum"])) {
    const words = (schema["enum"] as readonly unknown[]).filter((word) => word !== "");
    return words.map((word) => `\`${String(word)}\``).join(", ");
  }
  if (text(schema["pattern"]).includes("ms|s|m|h|d")) return "duration";
  const { items, type } = schema;
  if (type === "array") return `list of ${valueOf((items ?? {}) as Json)}`;
  if (Array.isArray(type)) return type.join(" or ");
  return typeof type === "string" ? type : "any";
}

function table(rows: readonly Row[]): readonly string[] {
  return [
    "| Key | Value | Default | |",
    "| --- | --- | --- | --- |",
    ...rows.map(
      ({ key, value, fallback, description }) =>
        `| \`${key}\` | ${[value, fallback, description].map(cell).join(" | ")} |`,
    ),
  ];
}

function cell(content: string): string {
  return content.replaceAll("|", "\\|").replaceAll("\n", " ");
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
