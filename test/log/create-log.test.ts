import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import type { LogLevel } from "../../src/log/line.ts";
import { loggerNames, type LoggerName } from "../../src/log/loggers.ts";
import { createLog, type ClosableLog } from "../../src/log/create-log.ts";
import type { LogFields } from "../../src/log.ts";
import { createFakeClock } from "../support/fake-clock.ts";

/** A stream that keeps what it is given. */
function collector(): {
  readonly stream: Writable;
  readonly lines: () => Record<string, unknown>[];
  text: () => string;
} {
  let text = "";
  const stream = new Writable({
    write(chunk, _encoding, callback) {
      text += String(chunk);
      callback();
    },
  });
  return {
    stream,
    text: () => text,
    lines: () =>
      text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line)),
  };
}

/** A stream whose reader never takes anything. */
const stuckStream = (): Writable => new Writable({ write() {}, highWaterMark: 16 });

describe("createLog", () => {
  it("writes JSON lines with the time, the level, the sentence and the fields", () => {
    const clock = createFakeClock(Date.UTC(2026, 0, 2));
    const out = collector();
    const log = createLog({ clock, destinations: [{ to: { stream: out.stream } }] });
    log.info("gateway started", { port: 5000 });
    log.debug("not written");
    expect(out.lines()).toEqual([
      { time: "2026-01-02T00:00:00.000Z", level: "info", message: "gateway started", port: 5000 },
    ]);
  });

  it.each([
    ["error", ["error"]],
    ["warn", ["error", "warn"]],
    ["info", ["error", "warn", "info"]],
    ["debug", ["error", "warn", "info", "debug"]],
  ] as const)("at level %s writes what is at least as urgent", (level, expected) => {
    const out = collector();
    const log = createLog({ level, destinations: [{ to: { stream: out.stream } }] });
    for (const each of ["error", "warn", "info", "debug"] as const) log[each]("line");
    expect(out.lines().map((line) => line["level"])).toEqual(expected);
  });

  it("writes to several destinations, each with its own level and format", () => {
    const everything = collector();
    const urgent = collector();
    const log = createLog({
      level: "debug",
      destinations: [
        { to: { stream: everything.stream } },
        { to: { stream: urgent.stream }, level: "warn", format: "text" },
      ],
    });
    log.debug("small");
    log.error("large", { app: "a" });
    expect(everything.lines().map((line) => line["message"])).toEqual(["small", "large"]);
    expect(urgent.text()).toMatch(/^\S+ ERROR large app=a\n$/);
  });

  it("gives a child's lines the child's fields, and only allowed ones", () => {
    const out = collector();
    const log = createLog({ destinations: [{ to: { stream: out.stream } }] });
    const unchecked = { request_id: "r1", password: "hunter2" } as LogFields;
    log.child(unchecked).child({ app: "a" }).warn("line", { app: "b" });
    log.warn("plain");
    expect(out.lines()[0]).toMatchObject({ request_id: "r1", app: "b" });
    expect(out.lines()[1]).not.toHaveProperty("request_id");
    expect(out.text()).not.toContain("hunter2");
  });

  // A canary run hears every line, so there each is asked for its fields.
  const itUnheard = process.env["SIGNALBOX_CANARIES"] === undefined ? it : it.skip;
  itUnheard("asks what a debug line's fields are only if it is written", () => {
    const out = collector();
    const log = createLog({ destinations: [{ to: { stream: out.stream } }] });
    let asked = 0;
    const fields = (): LogFields => ({ app: "a", count: (asked += 1) });
    log.debug("not written", fields);
    log.child({ pushkin: "apns" }).debug("not written", fields);
    expect(asked).toBe(0);
    log.setLevel("debug");
    log.child({ pushkin: "apns" }).debug("written", fields);
    log.debug("fails", () => {
      throw new Error("a bug");
    });
    expect(out.lines()).toEqual([expect.objectContaining({ app: "a", count: 1, pushkin: "apns" })]);
  });

  it("never lets an error of logging reach the caller", () => {
    const out = collector();
    const log = createLog({ destinations: [{ to: { stream: out.stream } }] });
    const trap = {
      get app(): string {
        throw new Error("trap");
      },
    };
    expect(() => log.info("trapped", trap)).not.toThrow();
    expect(() => log.child(trap).info("from the child")).not.toThrow();
    log.info("after");
    expect(out.lines().map((line) => line["message"])).toEqual(["from the child", "after"]);
  });

  it("keeps to the levels and destinations of Sygnal's loggers, also after a reload", () => {
    const [all, access] = [collector(), collector()];
    const levels = Object.fromEntries(loggerNames.map((name) => [name, "info"])) as Record<
      LoggerName,
      LogLevel
    >;
    const log = createLog({
      level: "debug",
      levels: { ...levels, "sygnal.apnspushkin": "debug" },
      destinations: [
        { to: { stream: all.stream }, format: { format: "%(name)s %(message)s" } },
        { to: { stream: access.stream }, loggers: ["sygnal.access"] },
      ],
    });
    const write = (): void => {
      log.debug("push delivered", { pushkin: "apns" });
      log.debug("push delivered", { pushkin: "gcm" });
      log.info("request handled", { status: 200 });
    };
    write();
    log.setLevel("info", { ...levels, "sygnal.access": "warn" });
    write();
    const ends = all.text().trim().split("\n");
    expect(ends).toHaveLength(2);
    expect(ends[0]).toBe("sygnal.apnspushkin push delivered pushkin=apns");
    expect(ends[1]).toMatch(/^sygnal\.access Handled request: /);
    expect(access.lines()).toMatchObject([{ message: "request handled", status: 200 }]);
  });

  it("drops and counts lines when the reader stopped, without waiting or growing (PR12)", async () => {
    const stream = stuckStream();
    const log = createLog({ destinations: [{ to: { stream } }] });
    const line = "x".repeat(900);
    for (let i = 0; i < 5000; i += 1) log.info(line);
    expect(stream.writableLength).toBeLessThanOrEqual(1024 * 1024);
    expect(stream.writableLength).toBeGreaterThan(900_000);
    expect(log.droppedLines()).toBeGreaterThan(3500);
    const before = Date.now();
    await log.close();
    expect(Date.now() - before).toBeLessThan(3000);
  });

  it("never blocks on standard output that nobody reads, and still ends (PR12)", async () => {
    const program = `
      import { createLog } from ${JSON.stringify(new URL("../../src/log/create-log.ts", import.meta.url).href)};
      const log = createLog({ destinations: [{ to: "stdout" }] });
      const startedMs = performance.now();
      for (let i = 0; i < 4000; i += 1) log.info("x".repeat(900));
      const loggedMs = performance.now() - startedMs;
      await log.close();
      process.send({ dropped: log.droppedLines(), loggedMs, closedMs: performance.now() - startedMs - loggedMs });
      process.exit();
    `;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit", "ipc"],
      env: {},
    });
    child.stdout?.pause();
    const exited = once(child, "exit");
    const [told] = await once(child, "message");
    expect(told.dropped).toBeGreaterThan(1000);
    expect(told.loggedMs).toBeLessThan(3000);
    expect(told.closedMs).toBeLessThan(3000);
    expect(await exited).toEqual([0, null]);
    child.stdout?.destroy();
  });

  it("survives a reader that went away", async () => {
    const stream = new Writable({ write: (_chunk, _encoding, callback) => callback(new Error("EPIPE")) });
    const log = createLog({ destinations: [{ to: { stream } }] });
    log.info("one");
    await new Promise((resolve) => setImmediate(resolve));
    log.info("two");
    expect(log.droppedLines()).toBe(1);
    await log.close();
  });

  it("writes nothing when there is no destination, and nothing after it was closed", async () => {
    const out = collector();
    const silent = createLog({ destinations: [] });
    expect(() => silent.error("nobody hears")).not.toThrow();
    const log = createLog({ destinations: [{ to: { stream: out.stream } }] });
    await log.close();
    await log.close();
    log.error("late");
    expect(out.text()).toBe("");
  });
});

describe("a log file", () => {
  let folder: string;
  let log: ClosableLog | undefined;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "signalbox-log-"));
  });

  afterEach(async () => {
    await log?.close();
    await rm(folder, { recursive: true });
  });

  const contains = async (file: string, text: string): Promise<boolean> =>
    (await readFile(file, "utf8").catch(() => "")).includes(text);
  const until = async (condition: () => Promise<boolean>): Promise<void> => {
    const endMs = performance.now() + 5000;
    while (performance.now() < endMs && !(await condition()))
      await new Promise((resolve) => setImmediate(resolve));
    expect(await condition()).toBe(true);
  };

  it("is appended to, and all of it is there after closing", async () => {
    const file = join(folder, "gateway.log");
    await writeFile(file, "before\n");
    log = createLog({ destinations: [{ to: { file } }] });
    for (let i = 0; i < 50; i += 1) log.info(`line ${i}`);
    await log.close();
    const lines = (await readFile(file, "utf8")).trimEnd().split("\n");
    expect(lines).toHaveLength(51);
    expect(lines[0]).toBe("before");
    expect(JSON.parse(lines[50] ?? "")).toMatchObject({ message: "line 49" });
    expect(log.droppedLines()).toBe(0);
  });

  it("is opened anew when logrotate moved it", async () => {
    const clock = createFakeClock();
    const file = join(folder, "gateway.log");
    log = createLog({ clock, destinations: [{ to: { file } }] });
    log.info("first");
    await until(() => contains(file, "first"));
    await rename(file, `${file}.1`);
    await clock.advance(1000);
    log.info("second");
    await until(() => contains(file, "second"));
    expect(await contains(`${file}.1`, "second")).toBe(false);
    expect(await contains(file, "first")).toBe(false);
  });

  it("that cannot be written costs lines, not the gateway, and is tried again later", async () => {
    const clock = createFakeClock();
    const file = join(folder, "missing", "gateway.log");
    log = createLog({ clock, destinations: [{ to: { file } }] });
    const current = log;
    current.info("lost");
    await until(async () => current.droppedLines() === 1);
    current.info("lost at once");
    expect(current.droppedLines()).toBe(2);
    await mkdir(join(folder, "missing"));
    await clock.advance(1000);
    current.info("kept");
    await until(() => contains(file, "kept"));
  });
});
