import type { SettledEvent } from "../src/core/observer.ts";
import type { Push } from "../src/core/push.ts";
import { createAccessLogObserver, createLogObserver } from "../src/log-observer.ts";
import type { Log, LogFields } from "../src/log.ts";
import { createFakeClock } from "./support/fake-clock.ts";

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields | undefined;
}

function recordingLog(): { readonly log: Log; readonly lines: Line[] } {
  const lines: Line[] = [];
  const at = (level: string) => (message: string, fields?: LogFields | (() => LogFields)) =>
    void lines.push({ level, message, fields: typeof fields === "function" ? fields() : fields });
  const log: Log = {
    error: at("error"),
    warn: at("warn"),
    info: at("info"),
    debug: at("debug"),
    child: () => log,
  };
  return { log, lines };
}

const push: Push = {
  id: "00000000-0000-4000-8000-000000000001",
  appId: "com.example.unknown",
  pushkey: "secret-pushkey",
  content: {
    kind: "matrix",
    form: "event",
    eventId: "$secret",
    senderDisplayName: "Secret",
    data: {},
    defaultPayload: {},
  },
  priority: "high",
  urgency: "message",
  receivedAtMs: 0,
  expiresAtMs: 1,
};
const settled: SettledEvent = {
  app: "com.example.ios",
  pushkin: "apns",
  push,
  device: "0123456789abcdef".repeat(4),
  settled: { kind: "delivered" },
  durationMs: 12.7,
  attempts: 2,
};

describe("the log of pushes", () => {
  it.each<[SettledEvent["settled"], string, string]>([
    [{ kind: "delivered" }, "debug", "push delivered"],
    [{ kind: "accepted" }, "debug", "push accepted"],
    [{ kind: "retryable", reason: "timeout" }, "debug", "push retryable"],
    [{ kind: "dropped", reason: "expired" }, "debug", "push dropped"],
    [{ kind: "rejected", reason: "unregistered", answer: { status: 410 } }, "info", "push rejected"],
    [{ kind: "rejected", reason: "unknown-app" }, "warn", "push rejected"],
  ])("tells of %j at %s", (outcome, level, message) => {
    const { log, lines } = recordingLog();
    createLogObserver(log, createFakeClock()).settled({ ...settled, settled: outcome });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      level,
      message,
      fields: {
        app: "com.example.ios",
        pushkin: "apns",
        device: "01234567",
        attempt: 2,
        duration_ms: 13,
        outcome: outcome.kind,
      },
    });
  });

  it("holds no pushkey, no content and nothing a sender wrote", () => {
    const { log, lines } = recordingLog();
    const { app: _app, pushkin: _pushkin, ...withoutApp } = settled;
    const observer = createLogObserver(log, createFakeClock());
    observer.settled({ ...withoutApp, device: "", settled: { kind: "rejected", reason: "unknown-app" } });
    observer.settled(settled);
    const text = JSON.stringify(lines);
    expect(lines[0]?.fields).toEqual({
      outcome: "rejected",
      reason: "unknown-app",
      attempt: 2,
      duration_ms: 13,
    });
    for (const secret of ["ecret", "com.example.unknown", settled.device]) expect(text).not.toContain(secret);
  });
});

describe("the log of alarms", () => {
  const alarm = { app: "a", alarm: "credentials", message: "the key is refused" };

  it("tells at once, then the same alarm of the same app once a minute with the number left out", async () => {
    const clock = createFakeClock();
    const { log, lines } = recordingLog();
    const observer = createLogObserver(log, clock);
    for (let i = 0; i < 5; i += 1) observer.alarm(alarm);
    expect(lines).toEqual([
      { level: "error", message: "the key is refused", fields: { app: "a", reason: "credentials" } },
    ]);
    await clock.advance(59_999);
    observer.alarm(alarm);
    expect(lines).toHaveLength(1);
    await clock.advance(1);
    observer.alarm(alarm);
    expect(lines).toHaveLength(2);
    expect(lines[1]?.fields).toEqual({ app: "a", reason: "credentials", count: 5 });
    await clock.advance(60_000);
    observer.alarm(alarm);
    expect(lines[2]?.fields).toEqual({ app: "a", reason: "credentials" });
  });

  it("keeps apps, alarms and the gateway's own apart", () => {
    const { log, lines } = recordingLog();
    const observer = createLogObserver(log, createFakeClock());
    observer.alarm(alarm);
    observer.alarm({ ...alarm, app: "b" });
    observer.alarm({ ...alarm, alarm: "too-large" });
    observer.alarm({ alarm: "store", message: "the store is full" });
    expect(lines.map(({ fields }) => [fields?.app, fields?.reason])).toEqual([
      ["a", "credentials"],
      ["b", "credentials"],
      ["a", "too-large"],
      [undefined, "store"],
    ]);
  });
});

describe("the access log", () => {
  const event = {
    requestId: "r1",
    remote: "192.0.2.7",
    method: "POST",
    httpVersion: "1.1",
    status: 200,
    bytes: 2,
    durationMs: 3.2,
  };

  it("tells of requests at info, and of health checks at debug", () => {
    const { log, lines } = recordingLog();
    const observer = createAccessLogObserver(log);
    observer.accessed({ ...event, path: "/_matrix/push/v1/notify" });
    observer.accessed({ ...event, method: "GET", path: "/health" });
    observer.accessed({ ...event, status: 404 });
    expect(lines.map(({ level, fields }) => [level, fields?.path, fields?.status])).toEqual([
      ["info", "/_matrix/push/v1/notify", 200],
      ["debug", "/health", 200],
      ["info", undefined, 404],
    ]);
    expect(lines[0]?.fields).toMatchObject({
      request_id: "r1",
      remote: "192.0.2.7",
      method: "POST",
      duration_ms: 3,
    });
  });
});
