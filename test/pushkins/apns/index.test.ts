import { createHash } from "node:crypto";
import type { MatrixContent, Push } from "../../../src/core/push.ts";
import { pushkinContract } from "../../contract/pushkin.contract.ts";
import { countsContent, matrixContent, minimalContent, NOON } from "../../support/builders.ts";
import { messageFor, openApns, sendWith, TOKEN, TOPIC, type ApnsRig, type ApnsRigOptions } from "./rig.ts";

pushkinContract("apns", () => openApns());
pushkinContract("apns (certificate)", () => openApns({ certificate: { topics: [TOPIC] } }));

const opened: ApnsRig[] = [];
async function open(setUp: ApnsRigOptions = {}): Promise<ApnsRig> {
  const rig = await openApns(setUp);
  opened.push(rig);
  return rig;
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((rig) => rig.stop()));
});

const encrypted = (overrides: Partial<MatrixContent> = {}): MatrixContent => ({
  kind: "matrix",
  form: "encrypted",
  ciphertext: "q1N8",
  data: {},
  defaultPayload: {},
  ...overrides,
});
const silent = minimalContent({}, { aps: { "content-available": 1 } });
const sha256 = (text: string): string => createHash("sha256").update(text).digest("base64url");

describe("the request to APNs", () => {
  it("is what apns.md 2 asks for, and nothing more", async () => {
    const rig = await open();
    const id = "0b0b0b0b-0000-4000-8000-00000000c0de";
    expect((await rig.send({ id })).outcome).toMatchObject({ kind: "delivered", upstreamId: id });
    const [request] = rig.arrived();
    expect(request).toMatchObject({
      method: "POST",
      path: `/3/device/${TOKEN}`,
      topic: TOPIC,
      accepted: true,
    });
    const plain = Object.entries(request?.headers ?? {}).filter(([name]) => !name.startsWith(":"));
    expect(Object.fromEntries(plain)).toEqual({
      "apns-id": id,
      "apns-topic": TOPIC,
      "apns-push-type": "alert",
      "apns-priority": "10",
      "apns-expiration": String(NOON / 1_000 + 86_400),
      authorization: expect.stringMatching(/^bearer [\w-]+\.[\w-]+\.[\w-]{86}$/),
    });
  });

  it("carries the same apns-id at every attempt (UA22)", async () => {
    const rig = await open();
    rig.answerWith({ kind: "reset", code: 2 });
    await sendWith(rig.pushkin, rig.push);
    rig.answerWith(undefined);
    await sendWith(rig.pushkin, rig.push);
    expect(rig.arrived().map(({ headers }) => headers["apns-id"])).toEqual([rig.push.id, rig.push.id]);
  });

  const derived: readonly [string, Partial<Push>, Readonly<Record<string, unknown>>, string, string][] = [
    ["a message", {}, {}, "alert", "10"],
    ["a message of low priority", { priority: "low" }, {}, "alert", "5"],
    ["a payload without aps", { content: minimalContent() }, {}, "alert", "10"],
    ["a payload without aps, low", { content: minimalContent(), priority: "low" }, {}, "alert", "5"],
    ["a badge", { content: countsContent() }, {}, "alert", "10"],
    ["content-available alone (G-22)", { content: silent }, {}, "background", "5"],
    ["an encrypted push", { content: encrypted() }, {}, "alert", "10"],
    [
      "an encrypted push with counts only",
      { content: encrypted({ isCountsOnly: true }) },
      {},
      "background",
      "5",
    ],
    ["push_type: background", {}, { push_type: "background" }, "background", "5"],
    ["push_type: alert", { content: silent }, { push_type: "alert" }, "alert", "10"],
    [
      "push_type: voip, low",
      { priority: "low" },
      { push_type: "voip", topic: `${TOPIC}.voip` },
      "voip",
      "10",
    ],
    [
      "push_type: pushtotalk, low",
      { priority: "low" },
      { push_type: "pushtotalk", topic: `${TOPIC}.voip-ptt` },
      "pushtotalk",
      "10",
    ],
    [
      "push_type: complication, low",
      { priority: "low" },
      { push_type: "complication", topic: `${TOPIC}.complication` },
      "complication",
      "5",
    ],
  ];
  it.each(derived)(
    "%s has its push type and priority",
    async (_what, overrides, options, pushType, priority) => {
      const rig = await open({ options });
      expect((await rig.send(overrides)).outcome.kind).toBe("delivered");
      const [request] = rig.arrived();
      expect([request?.headers["apns-push-type"], request?.headers["apns-priority"]]).toEqual([
        pushType,
        priority,
      ]);
    },
  );

  it("expires when the push does, in whole seconds, whenever it is sent", async () => {
    const rig = await open();
    await rig.send({ expiresAtMs: NOON + 30_999 });
    await rig.clock.advance(20_000);
    await rig.send({ expiresAtMs: NOON + 30_999 });
    expect(rig.arrived().map(({ headers }) => headers["apns-expiration"])).toEqual([
      String(NOON / 1_000 + 30),
      String(NOON / 1_000 + 30),
    ]);
  });
});

describe("what a push replaces on the device", () => {
  const room = "!r:e";
  const rows: readonly [string, string, Partial<Push>, string | undefined][] = [
    ["nothing", "none", { dedupeOn: "x" }, undefined],
    ["one of its room", "room", {}, sha256(room)],
    ["nothing when no room is known", "room", { content: encrypted() }, undefined],
    ["one of its event", "event", { dedupeOn: '["$e",{}]' }, sha256('["$e",{}]')],
    ["nothing when no event is known", "event", {}, undefined],
    ["a badge by a badge", "none", { content: countsContent() }, "badge"],
    [
      "a badge by a badge, also with collapse: room",
      "room",
      { content: countsContent({ roomId: room }) },
      "badge",
    ],
  ];
  for (const [what, collapse, overrides, expected] of rows) {
    it(`collapse: ${collapse}: ${what}`, async () => {
      const rig = await open({ options: { collapse } });
      expect((await rig.send(overrides)).outcome.kind).toBe("delivered");
      expect(rig.arrived()[0]?.headers["apns-collapse-id"]).toBe(expected);
    });
  }

  it("has an id within Apple's 64 bytes, whatever the room is called (H20)", async () => {
    const rig = await open({ options: { collapse: "room" } });
    const roomId = `!${"🦊\r\nx: y".repeat(50)}`;
    expect((await rig.send({ content: matrixContent({ roomId }) })).outcome.kind).toBe("delivered");
    expect(rig.arrived()[0]?.headers["apns-collapse-id"]).toMatch(/^[\w-]{43}$/);
  });
});

describe("a VoIP entry (apns.md 8)", () => {
  const voip = { options: { push_type: "voip", topic: `${TOPIC}.voip` } };

  it("sends up to 5120 bytes", async () => {
    const rig = await open(voip);
    const content = matrixContent({ content: { msgtype: "m.text", body: "x".repeat(9_000) } });
    expect((await rig.send({ content })).outcome.kind).toBe("delivered");
    expect(Buffer.byteLength(rig.arrived()[0]?.body ?? "")).toBe(5120);
  });

  it("expires after half a minute, or sooner with the push (G-22)", async () => {
    const rig = await open(voip);
    await rig.send();
    await rig.send({ expiresAtMs: NOON + 12_000 });
    expect(rig.arrived().map(({ headers }) => Number(headers["apns-expiration"]) - NOON / 1_000)).toEqual([
      30, 12,
    ]);
  });

  it("rings for no badge", async () => {
    const rig = await open(voip);
    const push = { ...rig.push, content: countsContent() };
    expect(rig.pushkin.render(push)).toEqual({ kind: "dropped", reason: "not-wanted" });
  });

  it("a push to talk is tried once and not kept: expiration 0 (apns.md 2)", async () => {
    const rig = await open({ options: { push_type: "pushtotalk", topic: `${TOPIC}.voip-ptt` } });
    expect((await rig.send()).outcome.kind).toBe("delivered");
    expect(rig.arrived()[0]?.headers["apns-expiration"]).toBe("0");
  });
});

describe("the pushkey", () => {
  it.each(["", "AA==", "not a token", "../..", "x".repeat(10_241), "https://push.example.net/UP"])(
    "%j is rejected without asking APNs (B19)",
    async (pushkey) => {
      const rig = await open();
      expect(rig.pushkin.render({ ...rig.push, pushkey })).toEqual({
        kind: "rejected",
        reason: "invalid-pushkey",
      });
      expect(rig.simulator.connections.total).toBe(0);
    },
  );

  it.each([
    [
      "convert_device_token_to_hex: false takes hex alone",
      { convert_device_token_to_hex: false },
      "00FF",
      "00ff",
    ],
    ["token_encoding: base64 takes hex digits for base64", { token_encoding: "base64" }, "abcd", "69b71d"],
    ["token_encoding: hex", { token_encoding: "hex" }, "ABCD", "abcd"],
    ["auto", {}, TOKEN.toUpperCase(), TOKEN],
  ])("%s", async (_what, options, pushkey, to) => {
    const rig = await open({ options });
    expect(messageFor(rig.pushkin, { ...rig.push, pushkey })).toMatchObject({ to });
  });

  it("convert_device_token_to_hex: false rejects what is not hex", async () => {
    const rig = await open({ options: { convert_device_token_to_hex: false } });
    expect(rig.pushkin.render(rig.push)).toMatchObject({ kind: "rejected" });
  });
});

describe("Apple's two environments", () => {
  const at = (rig: ApnsRig): readonly number[] => [
    rig.simulator.recorder.counts.accepted,
    rig.sandbox?.recorder.counts.accepted ?? 0,
  ];

  it("the app's platform chooses, and the device's own word wins", async () => {
    const production = await open({ sandbox: true });
    await production.send();
    expect(at(production)).toEqual([1, 0]);
    await production.send({ environment: "sandbox" });
    await production.send({ environment: "production" });
    expect(at(production)).toEqual([2, 1]);

    const sandbox = await open({ sandbox: true, options: { platform: "sandbox" } });
    await sandbox.send();
    expect(at(sandbox)).toEqual([0, 1]);
    await sandbox.send({ environment: "production" });
    expect(at(sandbox)).toEqual([1, 1]);
  });

  it("endpoint stands for both when there is no sandbox_endpoint (design, Settled points)", async () => {
    const rig = await open({ options: { platform: "sandbox" } });
    expect((await rig.send()).outcome.kind).toBe("delivered");
  });

  it("a token of the other environment is a rejection for the guard to judge", async () => {
    const rig = await open({ sandbox: true });
    rig.simulator.setDevice(TOKEN, { environment: "sandbox" });
    expect((await rig.send()).outcome).toMatchObject({
      kind: "rejected",
      reason: "bad-token",
      guarded: true,
    });
    expect((await rig.send({ environment: "sandbox" })).outcome.kind).toBe("delivered");
  });

  it("closing closes the connections to both", async () => {
    const rig = await open({ sandbox: true });
    await rig.send();
    await rig.send({ environment: "sandbox" });
    await rig.pushkin.close(AbortSignal.abort());
    expect((await rig.send()).outcome).toEqual({ kind: "retryable", reason: "shutting-down" });
    expect([rig.simulator.connections.total, rig.sandbox?.connections.total]).toEqual([1, 1]);
  });
});

describe("authentication by certificate", () => {
  it("sends no provider token, and the certificate's UID as topic, whatever the topic option says", async () => {
    const rig = await open({ certificate: { topics: ["com.example.cert"] }, options: { topic: "ignored" } });
    expect((await rig.send()).outcome.kind).toBe("delivered");
    const [request] = rig.arrived();
    expect(request?.headers).not.toHaveProperty("authorization");
    expect(request?.topic).toBe("com.example.cert");
  });

  it("tells when the certificate ends, a key does not", async () => {
    const { pushkin } = await open({ certificate: { topics: [TOPIC] } });
    expect(pushkin.certificateExpiresAtMs).toBeGreaterThan(Date.now());
    expect((await open()).pushkin.certificateExpiresAtMs).toBeUndefined();
  });

  it("of another topic is an alarm and rejects nothing (UA03)", async () => {
    const rig = await open({
      certificate: { topics: [TOPIC] },
      simulator: { topics: ["com.example.other"] },
    });
    expect((await rig.send()).outcome).toMatchObject({
      kind: "retryable",
      reason: "credentials",
      alarm: true,
      answer: { status: 400, reason: "TopicDisallowed" },
    });
  });
});

describe("the fingerprint (D8)", () => {
  it("changes with topic, environment and credentials, and with nothing else", async () => {
    const rig = await open({ sandbox: true });
    const of = async (options: Readonly<Record<string, unknown>>): Promise<string> =>
      (await rig.another(options)).fingerprint;
    const own = rig.pushkin.fingerprint;
    expect(await of({})).toBe(own);
    expect(await of({ collapse: "room", push_type: "alert", send_badge_counts: false })).toBe(own);
    const others = [
      await of({ topic: "x" }),
      await of({ platform: "sandbox" }),
      await of({ key_id: "x" }),
      await of({ team_id: "x" }),
    ];
    expect(new Set([own, ...others]).size).toBe(5);
  });
});

describe("a push that is dropped or rejected at rendering", () => {
  it.each([
    ["nothing in it", matrixContent({ form: "nothing" }), { kind: "dropped", reason: "nothing-to-send" }],
    [
      "a default payload of another type",
      matrixContent({ defaultPayloadInvalid: true }),
      { kind: "rejected", reason: "invalid-pushkey" },
    ],
    [
      "ids beyond any payload",
      minimalContent({ roomId: "x".repeat(5_000) }),
      { kind: "dropped", reason: "too-large" },
    ],
  ])("%s", async (_what, content, expected) => {
    const rig = await open();
    expect(rig.pushkin.render({ ...rig.push, content })).toEqual(expected);
  });
});
