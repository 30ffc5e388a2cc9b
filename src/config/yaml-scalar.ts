/** What one scalar of the file can be. Dates only where nobody quoted one. */
export type YamlScalar = string | number | boolean | null | Date;

/** The sentence for a scalar that has a type's form and no value of it, such as month 13. */
export interface ScalarProblem {
  readonly problem: string;
}

const BOOLEANS = new Map(
  [
    ...["yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"].map((word) => [word, true] as const),
    ...["no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"].map(
      (word) => [word, false] as const,
    ),
  ].map((entry) => entry),
);
const NULLS = new Set(["", "~", "null", "Null", "NULL"]);

const INTEGER =
  /^(?:[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$/;
// An exponent needs a dot before it and a sign in it: 1e5 and Apple's key ids such as 12345E6789 are strings.
const FLOAT =
  /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const DATE = /^\d{4}-\d\d-\d\d$/;
const TIMESTAMP =
  /^(\d{4})-(\d\d?)-(\d\d?)(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.(\d*))?(?:[ \t]*(?:(Z)|([-+])(\d\d?)(?::(\d\d))?))?$/;

/** An unquoted scalar as YAML 1.1 with PyYAML's number rules reads it (sygnal-compat 2.1). */
export function resolvePlain(source: string): { readonly value: YamlScalar } | ScalarProblem {
  const bool = BOOLEANS.get(source);
  if (bool !== undefined) return { value: bool };
  if (NULLS.has(source)) return { value: null };
  if (INTEGER.test(source)) return readInteger(source);
  if (FLOAT.test(source)) return { value: readFloat(source) };
  if (DATE.test(source) || TIMESTAMP.test(source)) return readTimestamp(source);
  if (source === "=" || source === "<<")
    return { problem: `a lone ${source} has a meaning in YAML; put it in quotes` };
  return { value: source };
}

/** A scalar with an explicit `!!tag`; the six that a configuration can hold. */
export function resolveTagged(tag: string, text: string): { readonly value: YamlScalar } | ScalarProblem {
  switch (tag) {
    case "tag:yaml.org,2002:str":
      return { value: text };
    case "tag:yaml.org,2002:null":
      return { value: null };
    case "tag:yaml.org,2002:bool": {
      const bool = BOOLEANS.get(text);
      return bool === undefined ? { problem: "is no boolean" } : { value: bool };
    }
    case "tag:yaml.org,2002:int":
      return INTEGER.test(text) ? readInteger(text) : { problem: "is no integer" };
    case "tag:yaml.org,2002:float":
      return FLOAT.test(text) || INTEGER.test(text)
        ? { value: readFloat(text) }
        : { problem: "is no number" };
    case "tag:yaml.org,2002:timestamp":
      return DATE.test(text) || TIMESTAMP.test(text) ? readTimestamp(text) : { problem: "is no date" };
    default:
      return {
        problem: "tags other than !!str, !!int, !!float, !!bool, !!null and !!timestamp are not supported",
      };
  }
}

function readInteger(source: string): { readonly value: number } | ScalarProblem {
  const digits = source.replaceAll("_", "");
  const negative = digits.startsWith("-");
  const bare = digits.replace(/^[-+]/, "");
  const magnitude = unsignedInteger(bare);
  if (Number.isNaN(magnitude)) return { problem: "is no integer" };
  // Adding 0 turns -0 into 0, which is what an integer has.
  return { value: (negative ? -magnitude : magnitude) + 0 };
}

function unsignedInteger(bare: string): number {
  if (bare.startsWith("0b")) return Number.parseInt(bare.slice(2), 2);
  if (bare.startsWith("0x")) return Number.parseInt(bare.slice(2), 16);
  if (bare.includes(":")) return sexagesimal(bare);
  return bare.startsWith("0") ? Number.parseInt(bare, 8) : Number(bare);
}

function readFloat(source: string): number {
  const text = source.replaceAll("_", "").toLowerCase();
  const negative = text.startsWith("-");
  const bare = text.replace(/^[-+]/, "");
  const magnitude =
    bare === ".inf"
      ? Infinity
      : bare === ".nan"
        ? NaN
        : bare.includes(":")
          ? sexagesimal(bare)
          : Number(bare);
  return negative ? -magnitude : magnitude;
}

/** `1:30` is ninety: YAML 1.1 counts in sixties. */
function sexagesimal(text: string): number {
  return text.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}

function readTimestamp(source: string): { readonly value: Date } | ScalarProblem {
  const problem = { problem: "is no date that exists; put it in quotes if it is text" };
  const match = TIMESTAMP.exec(DATE.test(source) ? `${source}T00:00:00` : source);
  if (match === null) return problem;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  const lastDay = new Date(Date.UTC(year, month, 0)).getUTCDate();
  if (month < 1 || month > 12 || day < 1 || day > lastDay || hour > 23 || minute > 59 || second > 59)
    return problem;
  const milliseconds = Number((match[7] ?? "").padEnd(3, "0").slice(0, 3));
  const offset = (match[9] === "-" ? -1 : 1) * (Number(match[10] ?? 0) * 60 + Number(match[11] ?? 0));
  return {
    value: new Date(Date.UTC(year, month - 1, day, hour, minute, second, milliseconds) - offset * 60_000),
  };
}
