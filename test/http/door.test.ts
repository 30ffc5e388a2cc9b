import { createFakeClock } from "../support/fake-clock.ts";
import {
  eventually,
  fakeDispatcher,
  notifyPath,
  notifyRequest,
  oneDevice,
  rawCaller,
  startListener,
} from "./listener.ts";

describe("a push door's waiting", () => {
  it("never lets the core have more than 24 s, whatever is configured", async () => {
    const clock = createFakeClock();
    const dispatcher = fakeDispatcher();
    const listener = await startListener({ clock, dispatcher, answerWithinMs: 60_000 });
    const caller = await rawCaller(listener.port);
    caller.socket.write(notifyRequest(oneDevice, ["Connection: close"]));
    await caller.closed();
    expect(dispatcher.calls[0]?.options.answerByMs).toBe(clock.monotonic() + 24_000);
    expect(dispatcher.calls[0]?.pushes[0]?.receivedAtMs).toBe(clock.now());
    await listener.server.stop(0);
  });

  it("ends 25 s after the request's last byte even when the core has a bug", async () => {
    const clock = createFakeClock();
    const dispatcher = fakeDispatcher();
    dispatcher.settle = () => new Promise(() => {});
    const listener = await startListener({ clock, dispatcher });
    const caller = await rawCaller(listener.port);
    caller.socket.write(notifyRequest(oneDevice, ["Connection: close"]));
    await eventually(() => dispatcher.calls.length === 1);
    await clock.advance(24_999);
    expect(caller.text()).toBe("");
    await clock.advance(1);
    expect(await caller.closed()).toMatch(/^HTTP\/1\.1 502 .*M_UNKNOWN/s);
    expect(listener.logLines).toMatchObject([{ level: "error" }]);
    expect(listener.heard.answers).toMatchObject([
      { door: "matrix", status: 502, dispatched: true, durationMs: 25_000 },
    ]);
    expect(listener.heard.inFlightNow).toBe(0);
    await listener.server.stop(0);
  });

  it("counts only what is under way", async () => {
    const listener = await startListener();
    let finish = (): void => {};
    listener.dispatcher.settle = () =>
      new Promise((resolve) => (finish = () => resolve({ kind: "delivered" })));
    const caller = await rawCaller(listener.port);
    caller.socket.write(notifyRequest(oneDevice));
    await eventually(() => listener.dispatcher.calls.length === 1);
    expect(listener.heard.inFlightNow).toBe(1);
    caller.socket.write(`GET ${notifyPath} HTTP/1.1\r\n\r\n`);
    finish();
    await caller.until((text) => text.includes("405"));
    expect(listener.heard.inFlightNow).toBe(0);
    expect(listener.heard.answers.map((answer) => answer.status)).toEqual([200]);
    await listener.server.stop(0);
  });
});
