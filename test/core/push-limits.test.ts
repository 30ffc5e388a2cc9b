import { PushLimits } from "../../src/core/push-limits.ts";
import { createFakeClock } from "../support/fake-clock.ts";

describe("PushLimits", () => {
  it("keep back what comes too soon for its device or its app, and count it for nothing", async () => {
    const clock = createFakeClock();
    const limits = new PushLimits(clock, {
      perApp: { count: 3, window: 3000 },
      perDevice: { count: 1, window: 1000 },
    });
    expect(limits.take("app", "a")).toBeUndefined();
    expect(limits.take("app", "a")).toEqual({ by: "device", waitMs: 1000 });
    expect(limits.take("app", "b")).toBeUndefined();
    expect(limits.take("app", "c")).toBeUndefined();
    expect(limits.take("app", "d")).toEqual({ by: "app", waitMs: 1000 });
    expect(limits.take("other", "d")).toBeUndefined();
    await clock.advance(1000);
    expect(limits.take("app", "a")).toBeUndefined();
  });

  it("are none where none are set, and follow a reload without forgetting what stays", () => {
    const perApp = { count: 1, window: 60_000 };
    const limits = new PushLimits(createFakeClock(), { perApp, perDevice: null });
    for (let i = 0; i < 5; i += 1) expect(limits.take(`app ${i}`, "a")).toBeUndefined();
    limits.rates = { perApp: { ...perApp }, perDevice: { count: 1, window: 1000 } };
    expect(limits.take("app 1", "a")).toMatchObject({ by: "app" });
    expect(limits.take("app 9", "a")).toBeUndefined();
    expect(limits.take("app 8", "a")).toMatchObject({ by: "device" });
    limits.rates = { perApp: null, perDevice: null };
    expect(limits.take("app 1", "a")).toBeUndefined();
  });
});
