import type { TSchema, TUnsafe } from "@sinclair/typebox";
import { Type } from "../json-schema.ts";
import type { Rate } from "./readers.ts";

// Annotations that this project's loader understands beside JSON Schema (see prepare.ts and validate.ts):
//   reads: NAME          the value is read by a reader of readers.ts
//   secret: true         may be written as {file: PATH}
//   secret_file: true    a path whose file others must not be able to read
//   synonyms: {a: b}     `a` is written for `b`
//   blank_is_absent      "" means that the key is not there
//   shorthand: NAME      another, shorter form of a mapping, from shorthands.ts
//   unknown_keys: "warn" a section of Sygnal's, where unknown keys never stop the start
//   also_known: KEY      a key that is read elsewhere and may be meant by a misspelt one
//   verbatim: true       no ${NAME} in it is expanded

/** What a field says of itself; `default` is written as in the file. */
export interface FieldOptions<T> {
  readonly description: string;
  readonly default?: T;
}

/** A time, `5s` or a number of seconds in the file; in milliseconds afterwards. */
export function duration(options: FieldOptions<string>): TUnsafe<number> {
  return Type.Unsafe<number>({ reads: "duration", ...options });
}

/** A TCP port, as a number or as text. */
export function port(options: FieldOptions<number>): TUnsafe<number> {
  return Type.Unsafe<number>({ reads: "port", ...options });
}

/** An address to listen on. */
export function bindAddress(options: FieldOptions<string>): TUnsafe<string> {
  return Type.Unsafe<string>({ reads: "bind_address", ...options });
}

/** `50/s`, `600/m`, `5000/h`, or `off`, which becomes null. */
export function rate(options: FieldOptions<string>): TUnsafe<Rate | null> {
  return Type.Unsafe<Rate | null>({ reads: "rate", ...options });
}

/** Blocks of addresses, each `address/prefix` afterwards. */
export function cidrs(options: { readonly description: string }): TUnsafe<string[]> {
  return Type.Unsafe<string[]>(
    Type.Array(Type.Unsafe<string>({ reads: "cidr" }), { default: [], ...options }),
  );
}

/** The base URL of an upstream, without a slash at its end afterwards. */
export function baseUrl(options: { readonly description: string }): TUnsafe<string> {
  return Type.Unsafe<string>({ reads: "base_url", ...options });
}

/** A text that nobody may read, written as it is, as `${NAME}` or as `{file: PATH}`. */
export function secret(options: { readonly description: string; readonly reads?: string }): TUnsafe<string> {
  return Type.Unsafe<string>({ type: "string", minLength: 1, secret: true, ...options });
}

/** A path to a file that holds a secret. */
export function secretFile(options: { readonly description: string }): TUnsafe<string> {
  return Type.Unsafe<string>({ type: "string", minLength: 1, secret_file: true, ...options });
}

/** One of a few words. */
export function oneOf<const Word extends string>(
  words: readonly Word[],
  options: FieldOptions<Word> & {
    readonly synonyms?: Readonly<Record<string, Word>>;
    readonly blank_is_absent?: true;
  },
): TUnsafe<Word> {
  return Type.Unsafe<Word>({ type: "string", enum: [...words], ...options });
}

/** A mapping of ours: there with its defaults when the file has none, and unknown keys are errors. */
export function section<Properties extends Record<string, TSchema>>(
  properties: Properties,
  options: { readonly description: string; readonly shorthand?: string },
) {
  return Type.Object(properties, { additionalProperties: false, default: {}, ...options });
}

/** A mapping that Sygnal has: unknown keys warn. */
export function sygnalSection<Properties extends Record<string, TSchema>>(
  properties: Properties,
  options: { readonly description: string },
) {
  return Type.Object(properties, { unknown_keys: "warn", default: {}, ...options });
}

/** Keys that open a door, 16 characters or more each; none: it stays closed. */
export function doorKeys(options: { readonly description: string }): TUnsafe<string[]> {
  return Type.Unsafe<string[]>(
    Type.Array(secret({ reads: "door_key", description: "A key." }), { default: [], ...options }),
  );
}

/** A path that a door is served at, without a slash at its end. */
export function doorPath(options: FieldOptions<string>): TUnsafe<string> {
  return Type.Unsafe<string>({ reads: "door_path", ...options });
}
