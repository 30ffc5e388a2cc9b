import {
  ANDROID,
  IOS,
  iosPushkey,
  message,
  startGateway,
  type RunningGateway,
} from "../support/with-gateway.ts";

/** With a store that keeps nothing, what is open is answered 502 (design D6); the outbox has its own tests. */
const memory = { url: "memory:" };

/** matrix-push.md section 10.2 and 10.4: what pushkins and core decide, over a whole gateway. */
describe("the Matrix door with its upstreams", () => {
  let gateway: RunningGateway;
  beforeAll(async () => {
    gateway = await startGateway({
      simulators: { tokenPrefixes: true },
      config: { delivery: { answer_within: "3s" }, store: memory },
    });
    // Both apps have sent something before: the guard knows that their settings are right.
    const warm = [
      { app_id: IOS, pushkey: iosPushkey("aa00") },
      { app_id: ANDROID, pushkey: "warm-up" },
    ];
    expect((await gateway.notify(message(warm))).body).toEqual({ rejected: [] });
  });
  afterAll(() => gateway.stop());
  beforeEach(() => gateway.simulators.script.clear());

  let made = 0;
  const freshIos = (prefix = "ab00"): string =>
    iosPushkey(`${prefix}${(made += 1).toString(16).padStart(6, "0")}`);
  const freshAndroid = (prefix = "token-"): string => `${prefix}${(made += 1)}`;
  const send = (devices: readonly object[], overrides: Record<string, unknown> = {}) =>
    gateway.notify(message(devices, overrides));
  const lastPayload = (): unknown => gateway.simulators.recorder.accepted.at(-1)?.payload;

  it("case 36: an APNs token in hex is recognised", async () => {
    const hex = "c0ffee".padEnd(64, "0");
    expect(await send([{ app_id: IOS, pushkey: hex }])).toMatchObject({
      status: 200,
      body: { rejected: [] },
    });
    expect(gateway.simulators.recorder.accepted.at(-1)?.token).toBe(hex);
  });

  it.each(["not a token!", "YWJj*", "a", "abcde", "/3/device/../x", "\r\nx: y", "%00"])(
    "case 37: %j is no APNs token and is rejected unasked",
    async (pushkey) => {
      const asked = gateway.asked();
      expect(await send([{ app_id: IOS, pushkey }])).toMatchObject({
        status: 200,
        body: { rejected: [pushkey] },
      });
      expect(gateway.asked()).toBe(asked);
    },
  );

  it("case 26: one device fails for now: 502, and the repeat reaches only that one", async () => {
    const good = freshIos();
    const bad = freshAndroid();
    gateway.simulators.script.add({
      upstream: "fcm",
      token: bad,
      times: 1,
      answer: { kind: "error", reason: "UNAVAILABLE" },
    });
    const notification = message([
      { app_id: IOS, pushkey: good },
      { app_id: ANDROID, pushkey: bad },
    ]);
    const first = await gateway.notify(notification);
    expect(first).toMatchObject({ status: 502, body: { errcode: "M_UNKNOWN" } });
    expect(Number(first.headers["retry-after"])).toBeGreaterThanOrEqual(10);
    const asked = gateway.asked();
    expect(await gateway.notify(notification)).toMatchObject({ status: 200, body: { rejected: [] } });
    expect(gateway.asked()).toBe(asked + 1);
    expect(gateway.simulators.recorder.accepted.at(-1)?.token).toBe(bad);
  });

  it.each([
    ["54: gone", () => freshIos("dead"), IOS],
    ["54: gone", () => freshAndroid("dead-"), ANDROID],
    ["54: unknown", () => freshIos("bad0"), IOS],
    ["56: another app's", () => freshIos("f0e0"), IOS],
    ["56: another project's", () => freshAndroid("foreign-"), ANDROID],
  ])("case %s token (%#): rejected, and again without asking (case 66)", async (_case, make, app) => {
    const pushkey = make();
    expect((await send([{ app_id: app, pushkey }])).body).toEqual({ rejected: [pushkey] });
    const asked = gateway.asked();
    expect((await send([{ app_id: app, pushkey }])).body).toEqual({ rejected: [pushkey] });
    expect(gateway.asked()).toBe(asked);
  });

  it("case 55: gone since before it was registered: not rejected, not delivered", async () => {
    const pushkey = freshIos();
    const goneAtMs = Date.now() - 3_600_000;
    gateway.simulators.script.add({
      upstream: "apns",
      answer: { kind: "error", reason: "Unregistered", timestamp: goneAtMs },
    });
    const registered = Math.floor(goneAtMs / 1_000) + 60;
    expect((await send([{ app_id: IOS, pushkey, pushkey_ts: registered }])).body).toEqual({ rejected: [] });
    expect((await send([{ app_id: IOS, pushkey, pushkey_ts: registered - 120 }])).body).toEqual({
      rejected: [pushkey],
    });
  });

  it("case 57: the payload is refused: 200, nothing rejected, counted", async () => {
    gateway.simulators.script.add({ upstream: "apns", answer: { kind: "error", reason: "BadCollapseId" } });
    expect(await send([{ app_id: IOS, pushkey: freshIos() }])).toMatchObject({
      status: 200,
      body: { rejected: [] },
    });
    expect(
      await gateway.metric(
        `signalbox_outcomes_total{app="${IOS}",kind="dropped",reason="refused-by-upstream"}`,
      ),
    ).toBe(1);
  });

  it.each([
    ["503", IOS, { kind: "error", reason: "ServiceUnavailable" }],
    ["500", IOS, { kind: "error", reason: "InternalServerError" }],
    ["a reset", IOS, { kind: "reset", code: 8 }],
    ["a cut connection", IOS, { kind: "close" }],
    ["an HTML 502", IOS, { kind: "raw", status: 502 }],
  ] as const)("case 59: after %s the push is tried again within the window", async (_what, app, answer) => {
    gateway.simulators.script.add({ times: 1, answer });
    expect(await send([{ app_id: app, pushkey: freshIos() }])).toMatchObject({
      status: 200,
      body: { rejected: [] },
    });
  });

  it.each([
    ["429 with Retry-After", { kind: "error", reason: "QUOTA_EXCEEDED", retryAfter: "90" }, "90"],
    ["429 without it", { kind: "error", reason: "QUOTA_EXCEEDED" }, "60"],
    ["503", { kind: "error", reason: "UNAVAILABLE" }, "10"],
  ] as const)("case 59: FCM's %s is answered 502 at once, with the wait", async (_what, answer, seconds) => {
    gateway.simulators.script.add({ upstream: "fcm", answer });
    const answered = await send([{ app_id: ANDROID, pushkey: freshAndroid() }]);
    expect(answered).toMatchObject({ status: 502, body: { errcode: "M_UNKNOWN" } });
    expect(answered.headers["retry-after"]).toBe(seconds);
  });

  it("cases 62 and 64: the same event again is not sent again; with other pusher data it is", async () => {
    const device = { app_id: IOS, pushkey: freshIos(), data: { client_name: "account-a" } };
    const notification = message([device]);
    const other = { ...notification, devices: [{ ...device, data: { client_name: "account-b" } }] };
    const asked = gateway.asked();
    for (const each of [notification, notification, other, other]) {
      expect((await gateway.notify(each)).body).toEqual({ rejected: [] });
    }
    expect(gateway.asked()).toBe(asked + 2);
  });

  it("case 63: fifty at once are one push", async () => {
    gateway.simulators.script.add({ upstream: "apns", delay: 200 });
    const notification = message([{ app_id: IOS, pushkey: freshIos() }]);
    const asked = gateway.asked();
    const answers = await Promise.all(Array.from({ length: 50 }, () => gateway.notify(notification)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(gateway.asked()).toBe(asked + 1);
  });

  it("case 65: the same event after a 502 is delivered", async () => {
    gateway.simulators.script.add({
      upstream: "fcm",
      times: 1,
      answer: { kind: "error", reason: "UNAVAILABLE" },
    });
    const notification = message([{ app_id: ANDROID, pushkey: freshAndroid() }]);
    expect((await gateway.notify(notification)).status).toBe(502);
    expect((await gateway.notify(notification)).status).toBe(200);
  });

  it("case 67: a dead token that was registered again is asked about", async () => {
    const pushkey = freshIos();
    gateway.simulators.script.add({
      upstream: "apns",
      times: 1,
      answer: { kind: "error", reason: "Unregistered" },
    });
    const nowSeconds = Math.floor(Date.now() / 1_000);
    const device = { app_id: IOS, pushkey, pushkey_ts: nowSeconds - 1_000 };
    expect((await send([device])).body).toEqual({ rejected: [pushkey] });
    expect((await send([device])).body).toEqual({ rejected: [pushkey] });
    expect((await send([{ ...device, pushkey_ts: nowSeconds + 5 }])).body).toEqual({ rejected: [] });
    expect((await send([device])).body).toEqual({ rejected: [] });
  });

  it("case 43: a badge update to zero reaches both kinds of phone", async () => {
    const counts = { id: "", type: null, sender: "", counts: { unread: 0 } };
    await gateway.notify({ ...counts, devices: [{ app_id: IOS, pushkey: freshIos() }] });
    expect(lastPayload()).toEqual({ aps: { badge: 0 } });
    await gateway.notify({ ...counts, devices: [{ app_id: ANDROID, pushkey: freshAndroid() }] });
    expect(lastPayload()).toMatchObject({ message: { data: { unread: "0" } } });
  });

  it("matrix-push 9.13: very long bodies are answered 200 and reach the phone within the provider's limit", async () => {
    const bodies = ["海".repeat(20_000), "<b>&</b>".repeat(7_000), "👨‍👩‍👧‍👦".repeat(2_000)];
    for (const body of bodies) {
      const devices = [
        { app_id: IOS, pushkey: freshIos(), data: { default_payload: { aps: { "mutable-content": 1 } } } },
        { app_id: ANDROID, pushkey: freshAndroid() },
      ];
      const notification = message(devices, { content: { msgtype: "m.text", body } });
      expect(await gateway.notify(notification)).toMatchObject({ status: 200, body: { rejected: [] } });
      for (const request of gateway.simulators.recorder.accepted.slice(-2)) {
        if (request.upstream === "apns") {
          expect(Buffer.byteLength(request.body)).toBeLessThanOrEqual(4096);
          expect(request.payload).toMatchObject({
            room_id: "!room:example.org",
            aps: { badge: 2, "mutable-content": 1 },
          });
        }
        expect(request.body).toContain("…");
        expect(request.body).not.toContain("\ufffd");
      }
    }
  });

  it("no pushkey, token, name, text or room gets into a log or a metric", async () => {
    const canary = "cafebabe";
    const pushkey = iosPushkey(canary, "77");
    await send([{ app_id: IOS, pushkey }], { room_id: "!canary-room:e", sender_display_name: "Canary Name" });
    await send([{ app_id: IOS, pushkey: iosPushkey(`dead${canary}`, "77") }]);
    await send([{ app_id: "org.canary.unknown", pushkey: "canary-pushkey" }]);
    await gateway.notify("canary-body");
    const told = gateway.logLines.join("\n") + (await gateway.metrics());
    for (const secret of [pushkey, canary, "canary", "Canary", "hello", "Major", "bearer", "eyJ"]) {
      expect(told).not.toContain(secret);
    }
    expect(gateway.logLines.length).toBeGreaterThan(10);
  });
});

describe("an upstream whose circuit opens", () => {
  // A gateway of its own for each: the app's pushes wait for some seconds afterwards.
  let gateway: RunningGateway;
  beforeEach(async () => {
    gateway = await startGateway({ config: { delivery: { answer_within: "1s" }, store: memory } });
  });
  afterEach(() => gateway.stop());
  const send = (devices: readonly object[]) => gateway.notify(message(devices));

  it("case 58: our credentials are refused: 502 for that app, the other is untouched", async () => {
    gateway.simulators.script.add({
      upstream: "apns",
      answer: { kind: "error", reason: "InvalidProviderToken" },
    });
    expect((await send([{ app_id: IOS, pushkey: iosPushkey("ab01") }])).status).toBe(502);
    expect((await send([{ app_id: ANDROID, pushkey: "token" }])).status).toBe(200);
    expect(await gateway.metric(`signalbox_alarms_total{app="${IOS}",alarm="credentials"}`)).toBeGreaterThan(
      0,
    );
  });

  it("case 59: an upstream that never answers: 502 when the window ends", async () => {
    gateway.simulators.script.add({ upstream: "apns", answer: { kind: "hang" } });
    const startedMs = performance.now();
    expect((await send([{ app_id: IOS, pushkey: iosPushkey("ab01") }])).status).toBe(502);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  it.each([
    ["a wrong project", { kind: "error", reason: "NOT_FOUND", status: 404 }],
    ["an HTML page", { kind: "raw", status: 404 }],
  ] as const)(
    "case 60: FCM 404 without UNREGISTERED (%s): 502 and an alarm, never rejected",
    async (_what, answer) => {
      gateway.simulators.script.add({ upstream: "fcm", answer });
      const before = await gateway.metric(`signalbox_alarms_total{app="${ANDROID}",alarm="credentials"}`);
      expect((await send([{ app_id: ANDROID, pushkey: "token" }])).status).toBe(502);
      expect(await gateway.metric(`signalbox_alarms_total{app="${ANDROID}",alarm="credentials"}`)).toBe(
        before + 1,
      );
    },
  );
});

describe("wrong settings from the first push on", () => {
  it.each([
    ["a token of the other environment", "BadDeviceToken", "rejections-held-unproven"],
    ["a wrong topic", "DeviceTokenNotForTopic", "rejections-held-unproven"],
    ["a topic that the key may not use", "TopicDisallowed", "credentials"],
    ["a wrong key", "InvalidProviderToken", "credentials"],
  ])("%s: no pushkey is rejected, and an alarm is raised", async (_what, reason, alarm) => {
    const gateway = await startGateway({ config: { store: memory } });
    try {
      gateway.simulators.script.add({ upstream: "apns", answer: { kind: "error", reason } });
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, i) =>
          gateway.notify(
            message([{ app_id: IOS, pushkey: iosPushkey(`ab${i.toString(16).padStart(4, "0")}`) }]),
          ),
        ),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([502]));
      expect(await gateway.metric(`signalbox_alarms_total{app="${IOS}",alarm="${alarm}"}`)).toBeGreaterThan(
        0,
      );
      expect(gateway.logLines.some((line) => line.includes('"level":"error"'))).toBe(true);
    } finally {
      await gateway.stop();
    }
  });

  it.each([
    ["an iOS app's type", IOS, {}, (i: number) => `fXk2Qw9eTsu:APA91b${i}`],
    [
      "another way of writing tokens",
      IOS,
      { token_encoding: "hex" },
      (i: number) => iosPushkey(`ab${i + 100}`),
    ],
  ])(
    "%s for devices of another kind: few are rejected, and a success ends it",
    async (_what, appId, ios, pushkey) => {
      const gateway = await startGateway({ config: { store: memory }, ios });
      try {
        let rejected = 0;
        for (let i = 0; i < 100; i += 1) {
          const { status, body } = await gateway.notify(message([{ app_id: appId, pushkey: pushkey(i) }]));
          if (status === 200) rejected += (body as { rejected: string[] }).rejected.length;
          else expect(status).toBe(502);
        }
        expect(rejected).toBeLessThan(20);
        expect(gateway.asked()).toBe(0);
        const alarm = `signalbox_alarms_total{app="${appId}",alarm="rejections-held-malformed"}`;
        expect(await gateway.metric(alarm)).toBe(100 - rejected);
        expect((await gateway.notify(message([{ app_id: appId, pushkey: "ab".repeat(32) }]))).status).toBe(
          200,
        );
        const { body } = await gateway.notify(message([{ app_id: appId, pushkey: "no token!" }]));
        expect(body).toEqual({ rejected: ["no token!"] });
      } finally {
        await gateway.stop();
      }
    },
  );

  it("case 68: all tokens bad after success: fewer than 50 are rejected, and a success ends it", async () => {
    const gateway = await startGateway({ config: { store: memory } });
    try {
      const push = (n: number) =>
        gateway.notify(
          message([{ app_id: IOS, pushkey: iosPushkey(`ab${n.toString(16).padStart(4, "0")}`) }]),
        );
      for (let i = 0; i < 60; i += 1) expect((await push(i)).status).toBe(200);
      const [rule] = gateway.simulators.script.add({
        upstream: "apns",
        answer: { kind: "error", reason: "BadDeviceToken" },
      });
      let rejected = 0;
      for (let i = 100; i < 250; i += 1) {
        const { status, body } = await push(i);
        if (status === 200) rejected += (body as { rejected: string[] }).rejected.length;
        else expect(status).toBe(502);
      }
      expect(rejected).toBeGreaterThan(0);
      expect(rejected).toBeLessThan(50);
      gateway.simulators.script.remove(rule ?? 0);
      expect(await push(300)).toMatchObject({ status: 200, body: { rejected: [] } });
    } finally {
      await gateway.stop();
    }
  });
});

describe("a peer that is no APNs", () => {
  it("is never sent anything when its certificate is not ours to trust", async () => {
    const stranger = await startGateway();
    const other = await startGateway({
      ios: { endpoint: stranger.simulators.apns.url },
      config: { delivery: { answer_within: "500ms" }, store: memory },
    });
    try {
      expect((await other.notify(message([{ app_id: IOS, pushkey: iosPushkey("ab") }]))).status).toBe(502);
      expect(stranger.asked()).toBe(0);
      expect(await other.metric(`signalbox_alarms_total{app="${IOS}",alarm="connect"}`)).toBeGreaterThan(0);
    } finally {
      await Promise.all([other.stop(), stranger.stop()]);
    }
  });
});
