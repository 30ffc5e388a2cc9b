import { systemClock } from "../../src/clock.ts";
import { createLog } from "../../src/log/create-log.ts";
import { createSentry } from "../../src/log/sentry.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { startCollector, type Collector } from "../support/collector.ts";

let collector: Collector;
beforeEach(async () => {
  collector = await startCollector();
});
afterEach(() => collector.close());

const sentry = (path = "/42", clock = systemClock) =>
  createSentry({ dsn: `http://public@127.0.0.1:${collector.port}${path}`, release: "1.2.3", clock });

describe("errors to Sentry", () => {
  it("are the log's error lines, with their allowed fields alone", async () => {
    const reporter = sentry();
    if (reporter === undefined) throw new Error("no reporter");
    const log = createLog({ destinations: [], reporter });
    const fields = { app: "ios", reason: "credentials", status: 403, pushkey: "canary", token: "canary" };
    log.child({ pushkin: "apns" }).error("the upstream refuses", fields);
    log.warn("a warning stays here");
    await collector.untilRequests(1);
    await log.close();
    expect(collector.requests).toHaveLength(1);
    const [request] = collector.requests;
    expect(request?.path).toBe("/api/42/envelope/");
    expect(request?.headers["x-sentry-auth"]).toContain("sentry_key=public");
    const [header, item, event] = (request?.body ?? "")
      .split("\n")
      .map((line) => (line === "" ? {} : JSON.parse(line))) as Record<string, unknown>[];
    expect(item).toEqual({ type: "event" });
    expect(header?.["event_id"]).toBe(event?.["event_id"]);
    expect(event).toMatchObject({
      level: "error",
      release: "signalbox@1.2.3",
      message: { formatted: "the upstream refuses" },
      tags: { app: "ios", pushkin: "apns", reason: "credentials", status: "403" },
    });
    expect(request?.body).not.toContain("canary");
  });

  it("go to a server under a path", async () => {
    const reporter = sentry("/sentry/7");
    reporter?.report("x", {});
    await collector.untilRequests(1);
    await reporter?.close();
    expect(collector.requests[0]?.path).toBe("/sentry/api/7/envelope/");
  });

  it("rest when Sentry asks for it, and are bounded", async () => {
    const clock = createFakeClock();
    const reporter = sentry("/42", clock);
    collector.answer = { status: 429, headers: { "retry-after": "30" } };
    reporter?.report("first", {});
    await collector.untilRequests(1);
    await reporter?.close();
    reporter?.report("too soon", {});
    await clock.advance(30_001);
    collector.answer = { status: 200 };
    for (let i = 0; i < 50; i += 1) reporter?.report(`later ${i}`, {});
    await reporter?.close();
    expect(collector.requests.filter(({ body }) => body.includes("too soon"))).toEqual([]);
    expect(collector.requests.filter(({ body }) => body.includes("later"))).toHaveLength(10);
  });

  it("never reach the caller when nobody listens", async () => {
    const reporter = sentry();
    await collector.close();
    expect(() => reporter?.report("x", {})).not.toThrow();
    await reporter?.close();
    collector = await startCollector();
  });

  it.each(["", "public", "https://host/1", "ftp://key@host/1", "https://key@host", "https://key@host/"])(
    "take no DSN like %j",
    (dsn) => {
      expect(createSentry({ dsn, release: "1", clock: systemClock })).toBeUndefined();
    },
  );
});
