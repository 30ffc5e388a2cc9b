import { pushkinContract } from "../../contract/pushkin.contract.ts";
import { push } from "../../support/builders.ts";
import { patient, startFcm, type FcmRig, type FcmRigOptions } from "./fcm-fixture.ts";

pushkinContract(
  "fcm",
  async () => {
    const rig = await startFcm();
    return {
      pushkin: rig.pushkin,
      push: push({ receivedAtMs: rig.clock.now(), expiresAtMs: rig.clock.now() + 24 * 60 * 60 * 1000 }),
      clock: rig.clock,
      passTime: (ms) => rig.clock.advance(ms),
      answerWith: (answer) => rig.answerWith(answer),
      requests: () => rig.requests(),
      stopUpstream: () => rig.simulator.stop(),
      stop: () => rig.stop(),
    };
  },
  // A 404 that does not say UNREGISTERED is a wrong project or address: the operator's to cure (G-04).
  { retryableStatuses: [404] },
);

const rigs: FcmRig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.stop();
});

async function start(options: FcmRigOptions = {}): Promise<FcmRig> {
  const rig = await startFcm(options);
  rigs.push(rig);
  return rig;
}

describe("an attempt whose access token is refused", () => {
  it("renews it once and sends again at once", async () => {
    const rig = await start();
    await rig.send();
    rig.simulator.oauth.revokeAll();
    expect((await rig.outcome()).kind).toBe("delivered");
    expect(rig.simulator.oauth.requests).toBe(2);
    expect(rig.simulator.recorder.counts.answers).toEqual({
      "oauth 200": 2,
      "fcm 200": 2,
      "fcm 401 ACCESS_TOKEN_EXPIRED": 1,
    });
  });

  it("shares the renewal with all others that were refused", async () => {
    const rig = await start();
    await rig.send();
    rig.simulator.oauth.revokeAll();
    const results = await Promise.all(Array.from({ length: 90 }, () => rig.outcome()));
    expect(results.every(({ kind }) => kind === "delivered")).toBe(true);
    expect(rig.simulator.oauth.requests).toBe(2);
  });

  it("does not fetch a token per push when every one is refused", async () => {
    const rig = await start();
    rig.answerWith({ kind: "error", reason: "ACCESS_TOKEN_TYPE_UNSUPPORTED" });
    for (let i = 0; i < 20; i += 1)
      expect(await rig.outcome()).toMatchObject({ kind: "retryable", reason: "credentials", alarm: true });
    // The first went twice; with the same token again the answer would be the same.
    expect([rig.simulator.oauth.requests, rig.requests()]).toEqual([2, 21]);
    await rig.clock.advance(10_000);
    rig.answerWith({ kind: "error", reason: "ACCESS_TOKEN_TYPE_UNSUPPORTED" });
    await rig.outcome();
    expect(rig.simulator.oauth.requests).toBe(3);
  });

  it("sends nothing more when its time is up meanwhile", async () => {
    const rig = await start();
    await rig.send();
    rig.simulator.oauth.revokeAll();
    rig.simulator.script.add({ upstream: "oauth", answer: { kind: "hang" } });
    const abort = new AbortController();
    const sending = rig.send(undefined, abort.signal);
    await rig.simulator.recorder.waitUntil(({ counts }) => counts.answers["oauth hang"] === 1);
    abort.abort();
    expect((await sending).outcome).toMatchObject({ kind: "retryable", reason: "timeout" });
    expect(rig.requests()).toBe(2);
  });
});

describe("the pushkin", () => {
  it("has a fingerprint that changes with project and address alone, and holds no secret", async () => {
    const rig = await start();
    const { fingerprint } = rig.pushkin;
    expect((await rig.another({ send_badge_counts: false })).fingerprint).toBe(fingerprint);
    expect((await rig.another({ project_id: "other" })).fingerprint).not.toBe(fingerprint);
    expect((await rig.another({ endpoint: "https://127.0.0.1:1" })).fingerprint).not.toBe(fingerprint);
    expect(fingerprint).not.toContain("PRIVATE");
    expect(rig.pushkin).toMatchObject({ name: "com.example.app", type: "gcm" });
  });

  it("of a project that is not the account's alarms and rejects nobody (G-04, UF02)", async () => {
    const rig = await start({ config: { project_id: "typo" } });
    expect(await rig.outcome()).toMatchObject({ kind: "retryable", reason: "credentials", alarm: true });
  });

  it("sends more at once than FCM has streams, without one being refused", async () => {
    const rig = await start();
    await rig.send();
    rig.simulator.latency = 5;
    const sending = Promise.all(Array.from({ length: 350 }, () => rig.send()));
    let open = true;
    void sending.finally(() => (open = false));
    while (open) await rig.clock.advance(5);
    expect((await sending).every(({ outcome }) => outcome.kind === "delivered")).toBe(true);
    expect(rig.simulator.recorder.counts.accepted).toBe(351);
  });

  it("shares the access token with the gateway's other apps of the same account", async () => {
    const rig = await start();
    await rig.send();
    const other = await rig.another({ payload_layout: "hedwig" });
    const each = push({ expiresAtMs: rig.clock.now() + 60_000 });
    const message = other.render(each);
    if (!("body" in message)) throw new Error("not rendered");
    expect((await other.attempt(message, { push: each, signal: patient })).outcome.kind).toBe("delivered");
    expect(rig.simulator.oauth.requests).toBe(1);
  });
});
