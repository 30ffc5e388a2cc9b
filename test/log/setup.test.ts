import { loggerNames } from "../../src/log/loggers.ts";
import { logOptionsFrom } from "../../src/log/setup.ts";

const stream = { class: "logging.StreamHandler", stream: "ext://sys.stdout" };

describe("logOptionsFrom", () => {
  it("understands the usual set-up: a layout, a watched file, one logger for the program and one for access", () => {
    const { options, warnings } = logOptionsFrom({
      version: 1,
      formatters: { normal: { format: "%(asctime)s [%(process)d] %(levelname)-5s %(name)s %(message)s" } },
      handlers: {
        stderr: { class: "logging.StreamHandler", formatter: "normal", stream: "ext://sys.stderr" },
        file: { class: "logging.handlers.WatchedFileHandler", formatter: "normal", filename: "./sygnal.log" },
      },
      loggers: {
        "sygnal.access": { propagate: false, handlers: ["stderr"], level: "INFO" },
        sygnal: { propagate: false, handlers: ["stderr", "file"] },
        twisted: { level: "ERROR" },
      },
      root: { handlers: ["stderr"], level: "INFO" },
      disable_existing_loggers: false,
    });
    const format = { format: "%(asctime)s [%(process)d] %(levelname)-5s %(name)s %(message)s" };
    const loggers = loggerNames.filter((name) => name !== "sygnal.access");
    expect(options).toEqual({
      level: "info",
      destinations: [
        { to: "stderr", format },
        { to: { file: "./sygnal.log" }, format, loggers },
      ],
    });
    expect(warnings).toEqual([]);
  });

  it.each([
    ["the logger's own", { loggers: { sygnal: { level: "DEBUG" } }, root: { level: "ERROR" } }, "debug"],
    ["else root's", { loggers: { sygnal: {} }, root: { level: "ERROR" } }, "error"],
    ["NOTSET inherits", { loggers: { sygnal: { level: "NOTSET" } }, root: { level: "INFO" } }, "info"],
    [
      "else the most verbose below",
      { loggers: { "sygnal.http": { level: "INFO" }, "sygnal.access": { level: "DEBUG" } } },
      "debug",
    ],
    ["Python's default when nobody says", {}, "warn"],
    ["CRITICAL is our error", { root: { level: "CRITICAL" } }, "error"],
    ["a number", { root: { level: 10 } }, "debug"],
    ["a number between two levels", { root: { level: 25 } }, "warn"],
    ["a logger of another name counts for nothing", { loggers: { sygnalx: { level: "DEBUG" } } }, "warn"],
  ])("takes the level: %s", (_title, parts, level) => {
    expect(logOptionsFrom({ version: 1, ...parts }).options.level).toBe(level);
  });

  it("gives loggers below levels of their own", () => {
    const { options, warnings } = logOptionsFrom({
      version: 1,
      loggers: {
        sygnal: { level: "INFO" },
        "sygnal.apnspushkin": { level: "DEBUG" },
        "sygnal.access": { level: "WARNING" },
        "sygnal.sygnal": { level: "DEBUG" },
        aioapns: { level: "DEBUG" },
      },
    });
    expect(options).toMatchObject({
      level: "debug",
      levels: {
        sygnal: "info",
        "sygnal.http": "info",
        "sygnal.apnspushkin": "debug",
        "sygnal.gcmpushkin": "info",
        "sygnal.access": "warn",
      },
    });
    expect(warnings).toEqual([]);
  });

  it.each([
    [
      "a format and its dates",
      { format: "%(message)s", datefmt: "%H:%M" },
      { format: "%(message)s", dateFormat: "%H:%M" },
    ],
    [
      "JSON by the class's name",
      { "()": "pythonjsonlogger.jsonlogger.JsonFormatter", format: "%(message)s" },
      "json",
    ],
    ["JSON by word", { format: "json" }, "json"],
    ["the message alone without a format", {}, { format: "%(message)s" }],
  ])("lays lines out as the formatter says: %s", (_title, formatter, format) => {
    const handlers = { h: { ...stream, formatter: "f" } };
    const { options, warnings } = logOptionsFrom({
      version: 1,
      formatters: { f: formatter },
      handlers,
      root: { handlers: ["h"] },
    });
    expect(options.destinations).toEqual([{ to: "stdout", format }]);
    expect(warnings).toEqual([]);
  });

  it.each([
    ["standard output", stream, "stdout"],
    ["standard error when no stream is named", { class: "logging.StreamHandler" }, "stderr"],
    ["a file", { class: "logging.FileHandler", filename: "/tmp/a.log" }, { file: "/tmp/a.log" }],
    [
      "a watched file",
      { class: "logging.handlers.WatchedFileHandler", filename: "a.log" },
      { file: "a.log" },
    ],
  ])("writes to %s", (_title, handler, to) => {
    const { options, warnings } = logOptionsFrom({
      version: 1,
      handlers: { h: handler },
      root: { handlers: ["h"] },
    });
    expect(options.destinations).toEqual([{ to, format: { format: "%(message)s" } }]);
    expect(warnings).toEqual([]);
  });

  it("obeys propagate: root's handlers join unless the logger keeps its lines", () => {
    const handlers = { out: stream, err: { class: "logging.StreamHandler", level: "ERROR" } };
    const setup = (propagate: boolean): unknown => ({
      version: 1,
      handlers,
      loggers: { sygnal: { handlers: ["out"], propagate } },
      root: { handlers: ["out", "err"] },
    });
    expect(logOptionsFrom(setup(true)).options.destinations).toMatchObject([
      { to: "stdout" },
      { to: "stderr", level: "error" },
    ]);
    expect(logOptionsFrom(setup(false)).options.destinations).toMatchObject([{ to: "stdout" }]);
  });

  it("is silent for a NullHandler, and never because a handler is unknown", () => {
    const to = (kind: string): unknown =>
      logOptionsFrom({ version: 1, handlers: { h: { class: kind } }, root: { handlers: ["h"] } }).options
        .destinations;
    expect(to("logging.NullHandler")).toEqual([]);
    expect(to("logging.handlers.SysLogHandler")).toEqual([{ to: "stderr" }]);
    expect(logOptionsFrom({ version: 1 }).options.destinations).toEqual([{ to: "stderr" }]);
  });

  it.each([
    ["a setup that is no mapping", 5, "log.setup: not a mapping"],
    ["another version", { version: 2 }, "log.setup.version"],
    ["an unknown part", { version: 1, incremental: true }, "log.setup.incremental: not supported"],
    ["an unknown level", { version: 1, root: { level: "LOUD" } }, "log.setup.root.level: not one of DEBUG"],
    [
      "the level of a name that every object has",
      { version: 1, root: { level: "constructor" } },
      "root.level",
    ],
    [
      "a handler that is not there",
      { version: 1, root: { handlers: ["x"] } },
      "log.setup.handlers.x: a logger names it",
    ],
    [
      "handlers that are no list",
      { version: 1, root: { handlers: "x" } },
      "log.setup.root.handlers: not a list",
    ],
    ["handlers that are no mapping", { version: 1, handlers: [] }, "log.setup.handlers: not a mapping"],
    [
      "a logger that is no mapping",
      { version: 1, loggers: { sygnal: 1 } },
      "log.setup.loggers.sygnal: not a mapping",
    ],
    [
      "a file without a name",
      { version: 1, handlers: { f: { class: "logging.FileHandler" } }, root: { handlers: ["f"] } },
      "filename: missing",
    ],
    [
      "a class that is not known",
      { version: 1, handlers: { f: { class: { a: 1 } } }, root: { handlers: ["f"] } },
      "handlers.f.class: not supported",
    ],
    [
      "another stream",
      { version: 1, handlers: { f: { ...stream, stream: "x" } }, root: { handlers: ["f"] } },
      "handlers.f.stream",
    ],
    [
      "a formatter that is not there",
      { version: 1, handlers: { f: { ...stream, formatter: "x" } }, root: { handlers: ["f"] } },
      "formatter: no formatter",
    ],
    [
      "a format for what no line has",
      {
        version: 1,
        formatters: { x: { format: "%(lineno)d %(message)s" } },
        handlers: { f: { ...stream, formatter: "x" } },
        root: { handlers: ["f"] },
      },
      "formatters.x.format: %(lineno) has no counterpart",
    ],
    [
      "another style",
      {
        version: 1,
        formatters: { x: { format: "{message}", style: "{" } },
        handlers: { f: { ...stream, formatter: "x" } },
        root: { handlers: ["f"] },
      },
      "formatters.x.style",
    ],
    ["a logger of no line", { version: 1, loggers: { "sygnal.foo": {} } }, "loggers.sygnal.foo: no line"],
    [
      "a rotating file",
      {
        version: 1,
        handlers: { f: { class: "logging.handlers.RotatingFileHandler", filename: "a" } },
        root: { handlers: ["f"] },
      },
      "not rotated",
    ],
    ["a filter", { version: 1, loggers: { sygnal: { filters: ["x"] } } }, "log.setup.loggers.sygnal.filters"],
    ["a key that is no name", { version: 1, "x\ny": 1 }, "log.setup.(a key that is no name): not supported"],
  ])("warns of %s and goes on", (_title, setup, warning) => {
    const result = logOptionsFrom(setup);
    expect(result.warnings).toEqual([expect.stringContaining(warning)]);
  });

  // Everything that Sygnal writes under, or its libraries do (sygnal-compat 14).
  it.each([
    "sygnal",
    "sygnal.sygnal",
    "__main__",
    "sygnal.http",
    "sygnal.access",
    "sygnal.apnspushkin",
    "sygnal.gcmpushkin",
    "sygnal.webpushpushkin",
    "sygnal.helper.proxy.connectproxyclient_twisted",
    "aioapns",
    "twisted",
  ])("takes a level for the logger %s without a warning", (name) => {
    expect(logOptionsFrom({ version: 1, loggers: { [name]: { level: "DEBUG" } } }).warnings).toEqual([]);
  });

  it.each([
    ["utf8", []],
    ["UTF-8", []],
    ["ascii", []],
    [undefined, []],
    ["latin-1", ["log.setup.handlers.f.encoding: lines are written as UTF-8"]],
  ])("writes UTF-8 where the encoding is %s", (encoding, warnings) => {
    const handler = { class: "logging.FileHandler", filename: "a.log", encoding };
    const setup = { version: 1, handlers: { f: handler }, root: { handlers: ["f"] } };
    expect(logOptionsFrom(setup).warnings).toEqual(warnings);
  });

  it("has nothing to say about an absent setup", () => {
    expect(logOptionsFrom(undefined)).toEqual({ options: {}, warnings: [] });
    expect(logOptionsFrom(null)).toEqual({ options: {}, warnings: [] });
  });
});
