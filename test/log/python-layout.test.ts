import type { CleanFields, LogLevel } from "../../src/log/line.ts";
import { loggerOf } from "../../src/log/loggers.ts";
import { layOut, type PythonLayout } from "../../src/log/python-layout.ts";

const atMs = Date.UTC(2026, 10, 20, 15, 32, 53, 42);
/** How the local time zone says that instant; this file knows no zone of its own. */
const local = new Date(atMs - new Date(atMs).getTimezoneOffset() * 60_000).toISOString();

function print(
  layout: PythonLayout,
  message = "push rejected",
  fields: CleanFields = {},
  level: LogLevel = "info",
): string {
  return layOut(layout, { timeMs: atMs, level, message, fields });
}

describe("a Python formatter's layout", () => {
  it("is that of Sygnal's sample", () => {
    const format = "%(asctime)s [%(process)d] %(levelname)-5s %(name)s %(message)s";
    const stamp = local.replace("T", " ").replace(".", ",").replace("Z", "");
    expect(
      print({ format }, "push rejected", { request_id: "r-1", app: "com.example.ios", pushkin: "apns" }),
    ).toBe(
      `${stamp} [${process.pid}] INFO  sygnal.apnspushkin [r-1] push rejected app=com.example.ios pushkin=apns`,
    );
  });

  it.each([
    ["levels by Python's names", "%(levelname)s", "WARNING", "warn"],
    ["and numbers", "%(levelno)s", "40", "error"],
    ["padding to the left", "%(levelname)8s|", "    INFO|", "info"],
    ["padding to the right", "%(levelname)-8s|", "INFO    |", "info"],
    ["cutting", "%(levelname).1s", "I", "info"],
    ["zeros", "%(msecs)03d", "042", "info"],
    ["a per cent sign", "100%% %(name)s", "100% sygnal", "info"],
    ["what has no counterpart", "%(lineno)d", "-", "info"],
    ["a name that every object has", "%(constructor)s", "-", "info"],
    ["what is no placeholder", "50 % of it", "50 % of it", "info"],
    ["a width that would fill a disk", "%(name)9999999s", "sygnal".padStart(1000), "info"],
  ] as const)("knows %s", (_title, format, expected, level) => {
    expect(print({ format }, "x", {}, level)).toBe(expected);
  });

  it.each([
    ["%Y-%m-%d", local.slice(0, 10)],
    ["%H:%M:%S", local.slice(11, 19)],
    ["%F %T", local.slice(0, 19).replace("T", " ")],
    ["%d/%b/%Y", `${local.slice(8, 10)}/Nov/2026`],
    ["%j %%", `${local.slice(8, 10) === "20" ? 324 : Number(local.slice(8, 10)) + 304} %`],
    ["%Q", "%Q"],
  ])("prints dates by %s", (dateFormat, expected) => {
    expect(print({ format: "%(asctime)s", dateFormat })).toBe(expected);
  });

  it("prints a request's end as Sygnal's access log does, without what the caller says of himself", () => {
    const fields = {
      request_id: "r-1",
      remote: "127.0.0.1",
      method: "POST",
      path: "/_matrix/push/v1/notify",
      http_version: "1.1",
      status: 200,
      bytes: 19,
      duration_ms: 3,
    };
    expect(print({ format: "%(name)s: %(message)s" }, "request handled", fields)).toBe(
      'sygnal.access: Handled request: "127.0.0.1" - - [20/Nov/2026:15:32:53 +0000] "POST /_matrix/push/v1/notify HTTP/1.1" 200 19 "-" "-"',
    );
    const { path: _path, ...unknown } = fields;
    expect(print({ format: "%(message)s" }, "request handled", { ...unknown, bytes: 0 })).toContain(
      '"POST - HTTP/1.1" 200 - "-" "-"',
    );
  });

  it("begins what is about one request with its id, as Sygnal does", () => {
    expect(
      print({ format: "%(name)s: %(message)s" }, "request refused", { request_id: "r-1", status: 400 }),
    ).toBe("sygnal.http: [r-1] request refused status=400");
  });

  it("keeps a line one line, whatever a value holds", () => {
    expect(print({ format: "%(message)s" }, "a\nb", { file: "c\r\nd" })).toBe(
      'a\\u000ab file="c\\u000d\\u000ad"',
    );
  });
});

it.each([
  ["request handled", { pushkin: "apns" }, "sygnal.access"],
  ["push delivered", { pushkin: "gcm" }, "sygnal.gcmpushkin"],
  ["push delivered", { pushkin: "webpush" }, "sygnal.webpushpushkin"],
  ["push delivered", { pushkin: "unifiedpush" }, "sygnal.unifiedpushpushkin"],
  ["push delivered", { pushkin: "constructor" }, "sygnal"],
  ["request refused", { request_id: "r" }, "sygnal.http"],
  ["listening", {}, "sygnal"],
])("%s with %j is a line of one of Sygnal's loggers", (message, fields, name) => {
  expect(loggerOf(message, fields)).toBe(name);
});
