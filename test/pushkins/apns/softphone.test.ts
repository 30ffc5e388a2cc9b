import type { Push, SoftphoneContent } from "../../../src/core/push.ts";
import { renderSoftphone } from "../../../src/pushkins/apns/softphone.ts";
import { softphoneContent } from "../../support/builders.ts";
import { openApns, PUSHKEY, TOKEN, TOPIC, type ApnsRig, type ApnsRigOptions } from "./rig.ts";

const opened: ApnsRig[] = [];
async function open(setUp: ApnsRigOptions = {}): Promise<ApnsRig> {
  const rig = await openApns(setUp);
  opened.push(rig);
  return rig;
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((rig) => rig.stop()));
});

const least = (overrides: Partial<SoftphoneContent> = {}): SoftphoneContent => ({
  kind: "softphone",
  action: "message",
  isSilent: true,
  ...overrides,
});
const payloadOf = (content: SoftphoneContent, maxBytes = 4096): unknown =>
  JSON.parse(renderSoftphone(content, maxBytes) ?? "null");

describe("a softphone's push as a payload for APNs", () => {
  const own = {
    verb: "NotifyTextMessage",
    Selector: "12869E0E6E553673C54F29105A0647204C416A2A:7C3A0D14",
    Id: "sms-17",
    UserName: "sip:major@quay.example",
    UserDisplayName: "Major Tom",
    ContentType: "text/plain",
    ThreadId: "thread-3",
    Message: "hello",
    Badge: 4,
  };
  const rows: readonly [string, SoftphoneContent, unknown][] = [
    [
      "a text message with everything",
      softphoneContent(),
      {
        aps: {
          alert: { title: "Major Tom", body: "hello" },
          badge: 4,
          sound: "default",
          "thread-id": "thread-3",
          "content-available": 1,
          "mutable-content": 1,
        },
        ...own,
      },
    ],
    [
      "a text message with a preview alone",
      least({ isSilent: false, text: "hello" }),
      {
        aps: { alert: { body: "hello" }, "content-available": 1, "mutable-content": 1 },
        verb: "NotifyTextMessage",
        Message: "hello",
      },
    ],
    [
      "a sender without a display name",
      least({ isSilent: false, text: "hello", userName: "alice", sound: "" }),
      {
        aps: { alert: { title: "alice", body: "hello" }, "content-available": 1, "mutable-content": 1 },
        verb: "NotifyTextMessage",
        UserName: "alice",
        Message: "hello",
      },
    ],
    [
      "a silent text message",
      least({ selector: "S:1" }),
      { aps: { "content-available": 1 }, verb: "NotifyTextMessage", Selector: "S:1" },
    ],
    [
      "a silent text message with a badge",
      least({ badge: 0, sound: "default" }),
      { aps: { "content-available": 1, badge: 0 }, verb: "NotifyTextMessage", Badge: 0 },
    ],
    [
      "a message of a silent type keeps its text for the app alone",
      least({ text: "<imdn/>", contentType: "message/imdn+xml" }),
      {
        aps: { "content-available": 1 },
        verb: "NotifyTextMessage",
        ContentType: "message/imdn+xml",
        Message: "<imdn/>",
      },
    ],
    [
      "a notice",
      least({ action: "notice", isSilent: false, text: "Some message", sound: "s1.caf", badge: 3 }),
      {
        aps: { alert: { body: "Some message" }, sound: "s1.caf" },
        verb: "NotifyGenericTextMessage",
        Message: "Some message",
        Badge: 3,
      },
    ],
    [
      "a reprovisioning",
      least({ action: "reprovision", selector: "S:1" }),
      { aps: { "content-available": 1 }, verb: "NotifyReprovision", Selector: "S:1" },
    ],
  ];
  it.each(rows)("%s", (_what, content, payload) => {
    expect(payloadOf(content)).toEqual(payload);
  });

  it.each(["海", "👨‍👩‍👧‍👦", '\\"\n', "é", "x"])(
    "text of %j is cut within the limit, both copies alike",
    (piece) => {
      for (let shift = 0; shift < 4; shift += 1) {
        const content = softphoneContent({ text: "x".repeat(shift) + piece.repeat(4_000) });
        const body = renderSoftphone(content, 4096) ?? "";
        expect(Buffer.byteLength(body)).toBeLessThanOrEqual(4096);
        expect(Buffer.byteLength(body)).toBeGreaterThan(3900);
        const { aps, Message } = JSON.parse(body) as { aps: { alert: { body: string } }; Message: string };
        expect(aps.alert.body).toBe(Message);
        expect(Message.endsWith("…")).toBe(true);
        expect(content.text?.startsWith(Message.slice(0, -1))).toBe(true);
        expect(Message.isWellFormed()).toBe(true);
      }
    },
  );

  it("that does not fit without its text either is none", () => {
    expect(renderSoftphone(softphoneContent({ threadId: "t".repeat(3_000) }), 4096)).toBeUndefined();
    expect(renderSoftphone(least({ userName: "t".repeat(5_000) }), 4096)).toBeUndefined();
  });
});

describe("the request to APNs for a softphone", () => {
  const voip = { push_type: "voip", topic: `${TOPIC}.voip` };
  const badged = least({ badge: 2 });
  const rows: readonly [string, SoftphoneContent, object, string, string, string | undefined][] = [
    ["a text message", softphoneContent(), {}, "alert", "10", "sms-17"],
    ["a silent one", least(), {}, "background", "5", undefined],
    ["a silent one with a badge", badged, {}, "alert", "5", undefined],
    ["a notice", least({ action: "notice", isSilent: false, text: "x" }), {}, "alert", "10", undefined],
    ["a reprovisioning", least({ action: "reprovision" }), {}, "background", "5", undefined],
    ["a text message to a VoIP app", softphoneContent(), voip, "voip", "10", "sms-17"],
    ["a reprovisioning to a VoIP app", least({ action: "reprovision" }), voip, "voip", "10", undefined],
    [
      "one to an app whose topic alone says VoIP",
      least(),
      { topic: `${TOPIC}.voip` },
      "voip",
      "10",
      undefined,
    ],
    ["an id of 64 bytes", least({ messageId: "i".repeat(64) }), {}, "background", "5", "i".repeat(64)],
    ["an id of 65 bytes", least({ messageId: "i".repeat(65) }), {}, "background", "5", undefined],
    ["an id that no header carries", least({ messageId: "ä" }), {}, "background", "5", undefined],
  ];
  it.each(rows)("%s", async (_what, content, options, pushType, priority, collapseId) => {
    const rig = await open({ options: { ...options } });
    expect((await rig.send({ content, pushkey: TOKEN })).outcome.kind).toBe("delivered");
    const [request] = rig.arrived();
    expect(request?.path).toBe(`/3/device/${TOKEN}`);
    expect(request?.headers).toMatchObject({ "apns-push-type": pushType, "apns-priority": priority });
    expect(request?.headers["apns-collapse-id"]).toBe(collapseId);
    const expiration = Number(request?.headers["apns-expiration"]);
    expect(expiration === 0).toBe(pushType === "voip");
  });

  it("takes a token in hex as it stands, however the app's Matrix pushkeys are written", async () => {
    const rig = await open({ options: { token_encoding: "base64" } });
    const push: Partial<Push> = { content: softphoneContent(), pushkey: TOKEN };
    expect((await rig.send(push)).outcome.kind).toBe("delivered");
    expect(rig.arrived()[0]?.path).toBe(`/3/device/${TOKEN}`);
  });

  it("a VoIP app is known to take calls", async () => {
    const rig = await open();
    expect(rig.pushkin.takesCalls).toBeUndefined();
    expect((await rig.another(voip)).takesCalls).toBe(true);
  });
});

describe("a token as a softphone reports it", () => {
  const bytes = Buffer.from("f".repeat(62) + "fb", "hex");
  const rows: readonly [string, string, string | undefined][] = [
    ["base64", PUSHKEY, TOKEN],
    ["base64 without padding", PUSHKEY.replace(/=+$/, ""), TOKEN],
    ["base64 with + and /", bytes.toString("base64"), bytes.toString("hex")],
    ["base64url", bytes.toString("base64url"), bytes.toString("hex")],
    ["base64url with padding", `${bytes.toString("base64url")}=`, bytes.toString("hex")],
    ["hex", TOKEN, TOKEN],
    ["hex in capitals", TOKEN.toUpperCase(), TOKEN],
    ["longer hex", `${TOKEN}00ff`, `${TOKEN}00ff`],
    ["a token of 80 bytes", Buffer.alloc(80, 7).toString("base64"), "07".repeat(80)],
    [
      "of the reporter's example",
      "Udl99X2JFP1bWwS5gR/wGeLE1hmAB2CMpr1Ej0wxkrY=",
      "51d97df57d8914fd5b5b04b98" + "11ff019e2c4d61980076" + "08ca6bd448f4c3192b6",
    ],
    ["nothing", "", undefined],
    ["white space", " ", undefined],
    ["base64 with white space in it", `${PUSHKEY.slice(0, 10)} ${PUSHKEY.slice(10)}`, undefined],
    ["a control character", `${PUSHKEY}\n`, undefined],
    ["a single digit too many", `${TOKEN}a`, undefined],
    ["punctuation", "not!a*token", undefined],
  ];
  it.each(rows)("%s", async (_what, text, hex) => {
    const rig = await open();
    expect(rig.pushkin.readToken?.(text)).toBe(hex);
  });
});
