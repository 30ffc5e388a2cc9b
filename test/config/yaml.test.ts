import { readFileSync } from "node:fs";
import { parseYaml } from "../../src/config/yaml.ts";
import type { YamlScalar } from "../../src/config/yaml-scalar.ts";
import type { YamlNode } from "../../src/config/yaml.ts";

/** What PyYAML 6.0.3's safe loader was seen to give for each text. */
const vectors = JSON.parse(
  readFileSync(new URL("pyyaml-vectors.json", import.meta.url), "utf8"),
) as readonly (readonly [string, string])[];

/** Where the parser below us differs, in corners that no configuration was seen to use. */
const DIFFERENT = new Set([
  ...["[-]", "[::]", "[::1]", "[:a]", "[?a]", ": 1"],
  ...["\u0085", "k: \u0085", "- \u0085", "[\u0085]"], // a line break in YAML 1.1
  ...["a: !!binary YQ==", "a: !!set {a, b}", "a: !!omap [a: 1]"], // refused: no option takes one
  "key: {a: 1\n, b: 2}", // refused: continued at the key's own indentation
  "'1': a\n1: b", // a text and a number as keys are one key here
  "a: |2\n   x", // the line break that the file's last line lacks is added
]);

describe("YAML as PyYAML's safe loader reads it", () => {
  it.each(vectors.filter(([text]) => !DIFFERENT.has(text)))("%j gives %s", (text, expected) => {
    expect(normalise(show(text))).toBe(normalise(expected));
  });

  it("has more than 500 observed vectors, and knows each that differs", () => {
    expect(vectors.length).toBeGreaterThan(500);
    const differing = vectors.filter(([text, expected]) => normalise(show(text)) !== normalise(expected));
    expect(new Set(differing.map(([text]) => text))).toEqual(DIFFERENT);
  });

  // sygnal-compat 2.1, row by row.
  it.each([
    ["yes", true],
    ["no", false],
    ["on", true],
    ["off", false],
    ["Yes", true],
    ["OFF", false],
    ["y", "y"],
    ["n", "n"],
    ["12345E6789", "12345E6789"],
    ["1e5", "1e5"],
    ["1.5e3", "1.5e3"],
    ["0123456789", "0123456789"],
    ["01234567", 342391],
    ["1234567890", 1234567890],
    ["1:30", 90],
    ["1_000", 1000],
    ["0x1F", 31],
    ["0b11", 3],
    ["+1", 1],
    ["0o17", "0o17"],
    ["2024-01-01", new Date(Date.UTC(2024, 0, 1))],
    ["~", null],
    ["null", null],
    ["", null],
  ])("`key: %s` is %p", (text, expected) => {
    expect(valueOf(`key: ${text}`)).toEqual({ key: expected });
  });

  it.each(["key: ::", "key: =", "key: <<"])("`%s` is an error", (text) => {
    expect(parseYaml(text)).toHaveProperty("problem");
  });

  it("takes the last of two equal keys and tells both places", () => {
    const parsed = parseYaml("a: 1\nb: 2\na: 3\n");
    expect(valueOf("a: 1\nb: 2\na: 3\n")).toEqual({ a: 3, b: 2 });
    expect(parsed).toMatchObject({
      root: { duplicates: [{ name: "a", lost: { line: 1, column: 1 }, at: { line: 3, column: 1 } }] },
    });
  });

  it("merges mappings: own keys win, then the earlier of a list", () => {
    const text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  c: 3\n  <<: [*x, *y]\n";
    expect(valueOf(text)).toMatchObject({ z: { a: 1, b: 1, c: 3 } });
  });
});

describe("a text that is no configuration", () => {
  it("names the line and column of a syntax error", () => {
    expect(parseYaml("a: 1\nb: x: y\n")).toMatchObject({ problem: { at: { line: 2, column: 4 } } });
  });

  it("repeats nothing of the text", () => {
    const parsed = parseYaml('token: \'very-secret\nother: "\\q very-secret"\n');
    expect(parsed).toHaveProperty("problem");
    expect(JSON.stringify(parsed)).not.toContain("very-secret");
  });

  it.each([
    ["a billion laughs", laughs(), "more than 100000 values"],
    ["a mapping that holds itself", "a: &a\n  b: *a\n", "stands inside what it names"],
    ["flow nesting without end", "[".repeat(200_000), ""],
    ["nesting of 70 levels", `${"[".repeat(70)}${"]".repeat(70)}`, "nested too deeply"],
    ["a control character", "a: \u0007", "control character"],
    ["two documents", "a: 1\n---\nb: 2\n", "several documents"],
    ["an alias to nothing", "a: *b", "no anchor &b"],
    ["an anchor twice", "a: &x 1\nb: &x 2", "defined twice"],
    ["a Python object", "a: !!python/object:os.system x", "not supported"],
    ["__proto__ as a key", "__proto__: {a: 1}", "cannot be a key"],
    ["a date that does not exist", "a: 2024-02-30", "no date"],
  ])("refuses %s", (_what, text, message) => {
    const parsed = parseYaml(text);
    if (!("problem" in parsed)) throw new Error("it was taken");
    expect(parsed.problem.message).toContain(message);
  });
});

function laughs(): string {
  const lines = ["l0: &l0 [a, a, a, a, a, a, a, a, a, a]"];
  for (let i = 1; i < 9; i += 1)
    lines.push(
      `l${i}: &l${i} [${Array(10)
        .fill(`*l${i - 1}`)
        .join(", ")}]`,
    );
  return lines.join("\n");
}

function valueOf(text: string): unknown {
  const parsed = parseYaml(text);
  if ("problem" in parsed) throw new Error(JSON.stringify(parsed.problem));
  const plain = (node: YamlNode): unknown => {
    if (node.kind === "scalar") return node.value;
    if (node.kind === "list") return node.items.map(plain);
    return Object.fromEntries(node.entries.map((entry) => [entry.name, plain(entry.node)]));
  };
  return plain(parsed.root);
}

function show(text: string): string {
  const parsed = parseYaml(text);
  return "problem" in parsed ? "error" : showNode(parsed.root);
}

function showNode(node: YamlNode): string {
  if (node.kind === "scalar") return showScalar(node.value);
  if (node.kind === "list") return `[${node.items.map(showNode).join(", ")}]`;
  return `{${node.entries.map((entry) => `${showScalar(entry.key)}=${showNode(entry.node)}`).join(", ")}}`;
}

function showScalar(value: YamlScalar): string {
  if (value === null) return "null";
  if (typeof value === "boolean") return `bool:${value}`;
  if (typeof value === "number") return `number:${value}`;
  return value instanceof Date ? `date:${value.toISOString()}` : `str:${value}`;
}

/** One spelling for Python's and our numbers and dates. */
function normalise(shown: string): string {
  return shown
    .replace(
      /(?:int|float|number):(-?)(\d[\d.e+-]*|inf|nan|Infinity|NaN)/g,
      (_whole, sign: string, digits: string) => {
        const value = /^inf/i.test(digits) ? Infinity : Number(digits);
        return `number:${sign === "-" && value !== 0 ? "-" : ""}${value}`;
      },
    )
    .replace(/date:(\d{4}-\d\d-\d\d)[^\],}]*/g, "date");
}
