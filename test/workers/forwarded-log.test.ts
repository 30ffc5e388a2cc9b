import { countTaken, createForwardedLog, droppedOf, lineCounts } from "../../src/workers/forwarded-log.ts";
import type { LogLine } from "../../src/workers/messages.ts";

describe("a thread's log", () => {
  it("sends the lines of one turn together, their fields cleaned, and nothing below its level", async () => {
    const sent: (readonly LogLine[])[] = [];
    const log = createForwardedLog("info", lineCounts(), (lines) => sent.push(lines));
    log.info("one", { app: "a", count: 1, ...({ pushkey: "secret" } as object) });
    log.child({ pushkin: "apns" }).warn("two", { app: "b" });
    log.debug("three", { app: "c" });
    await Promise.resolve();
    expect(sent).toEqual([
      [
        ["info", "one", { app: "a", count: 1 }],
        ["warn", "two", { pushkin: "apns", app: "b" }],
      ],
    ]);
  });

  it("makes dear fields when the line is written, and only then", async () => {
    const sent: LogLine[] = [];
    const log = createForwardedLog("info", lineCounts(), (lines) => sent.push(...lines));
    let made = 0;
    const fields = (): { app: string } => {
      made += 1;
      return { app: "a" };
    };
    log.debug("unseen", fields);
    expect(made).toBe(0);
    log.setLevel("debug");
    log.debug("seen", fields);
    await Promise.resolve();
    expect(sent).toEqual([["debug", "seen", { app: "a" }]]);
    expect(made).toBe(1);
  });

  it("drops what the first thread does not take, counts it, and goes on when it takes again", async () => {
    const counts = lineCounts();
    const sent: LogLine[] = [];
    const log = createForwardedLog("info", counts, (lines) => sent.push(...lines));
    for (let i = 0; i < 10_050; i += 1) log.info("line");
    await Promise.resolve();
    expect(sent).toHaveLength(10_000);
    expect(droppedOf(counts)).toBe(50);
    log.info("too many still");
    expect(droppedOf(counts)).toBe(51);
    countTaken(counts, 10_000);
    log.info("taken");
    await log.close();
    expect(sent.at(-1)).toEqual(["info", "taken", {}]);
    expect(droppedOf(counts)).toBe(51);
  });
});
