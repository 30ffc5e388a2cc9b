import { readAnswer } from "../../src/load/answer-reader.ts";

const answer = (status: number, body: string, closes = false) => ({ status, body, closes });
const head = (...lines: readonly string[]): string => `${lines.join("\r\n")}\r\n\r\n`;

const whole: readonly (readonly [string, string, ReturnType<typeof answer>])[] = [
  ["with a length", `${head("HTTP/1.1 200 OK", "Content-Length: 2")}{}`, answer(200, "{}")],
  ["lower-case fields, no space", `${head("HTTP/1.1 200 OK", "content-length:2")}{}`, answer(200, "{}")],
  ["without a reason", `${head("HTTP/1.1 502", "Content-Length: 0")}`, answer(502, "")],
  [
    "that ends the connection",
    `${head("HTTP/1.1 200 OK", "Connection: close", "Content-Length: 0")}`,
    answer(200, "", true),
  ],
  ["of HTTP/1.0", `${head("HTTP/1.0 200 OK", "Content-Length: 0")}`, answer(200, "", true)],
  [
    "of HTTP/1.0 that keeps it",
    `${head("HTTP/1.0 200 OK", "Connection: keep-alive", "Content-Length: 0")}`,
    answer(200, ""),
  ],
  [
    "after an interim one",
    `${head("HTTP/1.1 100 Continue")}${head("HTTP/1.1 200 OK", "Content-Length: 1")}x`,
    answer(200, "x"),
  ],
  ["without a body", head("HTTP/1.1 204 No Content"), answer(204, "")],
  [
    "in chunks",
    `${head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")}3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n`,
    answer(200, "abc0123456789"),
  ],
  [
    "in chunks with trailers",
    `${head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")}1\r\na\r\n0\r\nX: y\r\n\r\n`,
    answer(200, "a"),
  ],
];

describe("readAnswer", () => {
  it.each(whole)("reads an answer %s", (_what, text, expected) => {
    expect(readAnswer(`${text}NEXT`, false)).toEqual({ kind: "answer", answer: expected, end: text.length });
  });

  it.each(whole)("waits for more of an answer %s, wherever it is cut", (_what, text) => {
    for (let length = 0; length < text.length; length += 1) {
      expect(readAnswer(text.slice(0, length), false).kind).toBe("incomplete");
      expect(readAnswer(text.slice(0, length), true).kind).toBe("broken");
    }
  });

  it("takes a body without a length up to the connection's end", () => {
    const text = `${head("HTTP/1.1 200 OK")}all of it`;
    expect(readAnswer(text, false).kind).toBe("incomplete");
    expect(readAnswer(text, true)).toMatchObject({ answer: answer(200, "all of it", true) });
  });

  it.each([
    ["no HTTP", head("SSH-2.0-OpenSSH")],
    ["a status of two digits", head("HTTP/1.1 20 OK")],
    ["a length that is none", head("HTTP/1.1 200 OK", "Content-Length: -1")],
    ["a chunk size that is none", `${head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")}zz\r\n`],
    ["a head without an end", "x".repeat(70_000)],
  ])("says that %s is no answer", (_what, text) => {
    expect(readAnswer(text, false).kind).toBe("broken");
  });
});
