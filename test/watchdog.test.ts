import { systemClock } from "../src/clock.ts";
import { silentLog, type LogFields } from "../src/log.ts";
import { startWatchdog } from "../src/watchdog.ts";

describe("startWatchdog", () => {
  it("tells when the loop was kept busy for more than a second, and not otherwise", async () => {
    const lines: LogFields[] = [];
    const stop = startWatchdog(systemClock, {
      ...silentLog,
      warn: (_message, fields) => lines.push(fields ?? {}),
    });
    try {
      await systemClock.sleep(600);
      expect(lines).toEqual([]);
      const end = performance.now() + 1_700;
      while (performance.now() < end);
      await systemClock.sleep(100);
      expect(lines).toHaveLength(1);
      expect(lines[0]?.duration_ms).toBeGreaterThan(1_000);
    } finally {
      stop();
    }
  });
});
