import { cleanFields, cut, jsonLine, textLine } from "../../src/log/line.ts";
import type { LogFields } from "../../src/log.ts";

const atMs = Date.UTC(2026, 10, 20, 12, 0, 0, 5);

describe("cleanFields", () => {
  it("lets only own fields of the allow-list pass, whatever a caller without types gives", () => {
    const fields = { app: "com.example.ios", pushkey: "secret", body: "secret", __proto__: { device: "x" } };
    expect(cleanFields(fields)).toEqual({ app: "com.example.ios" });
    expect(JSON.stringify(cleanFields(fields))).not.toContain("secret");
  });

  it.each([
    ["an object for a string", { app: { toString: () => "secret" } }],
    ["a string for a number", { status: "secret" }],
    ["a number that JSON cannot say", { duration_ms: Number.NaN }],
    ["nothing", undefined],
    ["null", null],
    ["text", "secret"],
  ])("drops %s", (_title, fields) => {
    expect(cleanFields(fields as unknown as LogFields)).toEqual({});
  });

  it("cuts a value at 200 characters without tearing a character apart", () => {
    const value = cleanFields({ reason: `${"a".repeat(198)}😀tail` }).reason;
    expect(value).toBe(`${"a".repeat(198)}…`);
    expect(cleanFields({ reason: "b".repeat(200) }).reason).toBe("b".repeat(200));
    expect(cut("abcdef", 4)).toBe("abc…");
  });

  it("keeps a stack's frames and not the message at its head", () => {
    const error = new SyntaxError('Unexpected token, "my secret text" is not valid JSON\nsecond secret line');
    const stack = String(cleanFields({ stack: error.stack ?? "" }).stack);
    expect(stack).not.toContain("secret");
    expect(stack).toMatch(/^at /);
    expect(stack).toContain(" | at ");
  });
});

describe("a line", () => {
  const nasty = "a\nb\r\u001b[31m\u0085\u2028\u202e\u007f\ud800z";

  it("is one line of JSON that reads back as it was", () => {
    const line = jsonLine(atMs, "warn", "something", { reason: nasty, status: 502 });
    expect(line).toMatch(/^[\x20-\x7e\ufffd]*$/);
    expect(JSON.parse(line)).toEqual({
      time: "2026-11-20T12:00:00.005Z",
      level: "warn",
      message: "something",
      reason: nasty.replaceAll("\ud800", "\ud800"),
      status: 502,
    });
  });

  it("is one line of text with quoted values, in which nothing can start a line or drive a terminal", () => {
    const line = textLine(atMs, "info", "a\nb", {
      app: "com.example",
      reason: nasty,
      error: 'say "x"=1',
      key: "",
    });
    expect(line).toBe(
      "2026-11-20T12:00:00.005Z INFO  a\\u000ab app=com.example " +
        'reason="a\\u000ab\\u000d\\u001b[31m\\u0085\\u2028\\u202e\\u007f\ufffdz" error="say \\"x\\"=1" key=""',
    );
  });
});
