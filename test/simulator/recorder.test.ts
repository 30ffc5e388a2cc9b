import { Recorder } from "../../src/simulator/recorder.ts";
import type { RecordMode, RecordedAnswer } from "../../src/simulator/recorder.ts";

const ok: RecordedAnswer = { kind: "reply", status: 200 };

function add(recorder: Recorder, token: string, accepted = true, answer = ok): void {
  recorder.add("apns", answer, accepted, () => ({
    atMs: 1,
    connection: 1,
    method: "POST",
    path: `/3/device/${token}`,
    headers: {},
    body: "{}",
    token,
  }));
}

describe("Recorder", () => {
  it("keeps accepted pushes apart from all requests, and counts by answer", () => {
    const recorder = new Recorder();
    add(recorder, "01");
    add(recorder, "02", false, { kind: "reply", status: 410, reason: "Unregistered" });
    add(recorder, "03", false, { kind: "reset", code: 7 });
    add(recorder, "04", true, { kind: "hang" });
    expect(recorder.requests.map((one) => one.token)).toEqual(["01", "02", "03", "04"]);
    expect(recorder.accepted.map((one) => one.token)).toEqual(["01", "04"]);
    expect(recorder.counts).toEqual({
      requests: 4,
      accepted: 2,
      answers: { "apns 200": 1, "apns 410 Unregistered": 1, "apns reset 7": 1, "apns hang": 1 },
    });
    recorder.clear();
    expect(recorder.counts).toEqual({ requests: 0, accepted: 0, answers: {} });
    add(recorder, "05");
    expect(recorder.requests.map((one) => one.sequence)).toEqual([5]);
  });

  it.each<[RecordMode, string[]]>([
    ["all", ["07", "08", "09"]],
    ["last", ["09"]],
    ["count", []],
  ])("mode %s keeps what it says, and counts everything", (mode, kept) => {
    const recorder = new Recorder({ mode, capacity: 3 });
    for (let i = 0; i < 10; i += 1) add(recorder, `0${i}`);
    expect(recorder.requests.map((one) => one.token)).toEqual(kept);
    expect(recorder.accepted.map((one) => one.token)).toEqual(kept);
    expect(recorder.counts.accepted).toBe(10);
  });

  it("waitFor resolves with the accepted pushes once there are enough", async () => {
    const recorder = new Recorder();
    const waiting = recorder.waitFor(2);
    add(recorder, "01");
    add(recorder, "02", false);
    let done = false;
    void waiting.then(() => (done = true));
    await Promise.resolve();
    expect(done).toBe(false);
    add(recorder, "03");
    expect((await waiting).map((one) => one.token)).toEqual(["01", "03"]);
    expect(await recorder.waitFor(1)).toHaveLength(2);
  });

  it("waitUntil rejects in time with what there was", async () => {
    const recorder = new Recorder();
    add(recorder, "01", false, { kind: "hang" });
    await expect(recorder.waitUntil(() => false, 5)).rejects.toThrow(/not seen within 5 ms.*"apns hang":1/);
  });

  it("listeners hear every request until they leave, in every mode", () => {
    const recorder = new Recorder({ mode: "count" });
    const heard: (string | undefined)[] = [];
    const leave = recorder.listen((one) => heard.push(one.token));
    add(recorder, "01");
    add(recorder, "02", false);
    leave();
    add(recorder, "03");
    expect(heard).toEqual(["01", "02"]);
  });
});
