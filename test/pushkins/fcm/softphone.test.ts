import type { SoftphoneContent } from "../../../src/core/push.ts";
import type { JsonObject } from "../../../src/json.ts";
import { dataBytes } from "../../../src/pushkins/fcm/data.ts";
import { readRegistrationToken } from "../../../src/pushkins/fcm/registration-token.ts";
import { renderSoftphone } from "../../../src/pushkins/fcm/softphone.ts";
import { push, softphoneContent } from "../../support/builders.ts";
import { eventContent, seedEvents } from "../../support/seed-events.ts";
import { startFcm, type FcmRig } from "./fcm-fixture.ts";

let rig: FcmRig;
beforeAll(async () => {
  rig = await startFcm({
    config: { fcm_options: { notification: { image: "i" }, android: { ttl: "60s" } } },
  });
});
afterAll(() => rig.stop());

/** The message that FCM took. */
async function sent(content: Parameters<typeof push>[0]): Promise<JsonObject> {
  const nowMs = rig.clock.now();
  const each = push({
    receivedAtMs: nowMs,
    expiresAtMs: nowMs + 86_400_000,
    pushkey: "APA91bTok",
    ...content,
  });
  expect((await rig.send(each)).outcome.kind).toBe("delivered");
  return rig.lastMessage();
}
const least = (overrides: Partial<SoftphoneContent>): SoftphoneContent => ({
  kind: "softphone",
  action: "message",
  isSilent: true,
  ...overrides,
});

describe("a softphone's push through FCM", () => {
  const data = {
    verb: "NotifyTextMessage",
    Selector: "12869E0E6E553673C54F29105A0647204C416A2A:7C3A0D14",
    Id: "sms-17",
    UserName: "sip:major@quay.example",
    UserDisplayName: "Major Tom",
    ContentType: "text/plain",
    ThreadId: "thread-3",
    Message: "hello",
    Badge: "4",
  };
  const rows: readonly [string, SoftphoneContent, JsonObject, JsonObject][] = [
    ["a text message is data, all strings", softphoneContent(), data, { image: "i" }],
    [
      "a silent one too",
      least({ selector: "S:1", badge: 0 }),
      { verb: "NotifyTextMessage", Selector: "S:1", Badge: "0" },
      { image: "i" },
    ],
    [
      "a notice is shown by Android, and data",
      least({ action: "notice", isSilent: false, text: "Some message" }),
      { verb: "NotifyGenericTextMessage", Message: "Some message" },
      { image: "i", body: "Some message" },
    ],
    [
      "a reprovisioning is data",
      least({ action: "reprovision", selector: "S:1" }),
      { verb: "NotifyReprovision", Selector: "S:1" },
      { image: "i" },
    ],
  ];
  it.each(rows)("%s", async (_what, content, expected, notification) => {
    expect(await sent({ content })).toEqual({
      notification,
      data: expected,
      token: "APA91bTok",
      android: { priority: "high", ttl: "60s" },
    });
  });

  it.each(["海", "👨‍👩‍👧‍👦", "x"])("text of %j is cut within FCM's limit, wherever it stands", (piece) => {
    for (const action of ["message", "notice"] as const) {
      const message = renderSoftphone(softphoneContent({ action, text: piece.repeat(4_000) }));
      if (message === undefined) throw new Error("not rendered");
      const text = message.data.get("Message") ?? "";
      const shown = action === "notice" ? Buffer.byteLength(text) + 4 : 0;
      expect(dataBytes(message.data) + shown).toBeLessThanOrEqual(4_000);
      expect(dataBytes(message.data) + shown).toBeGreaterThan(3_900);
      expect(text.endsWith("…") && text.isWellFormed()).toBe(true);
      expect(message.notification?.["body"]).toBe(action === "notice" ? text : undefined);
    }
  });
});

describe("a push event through FCM", () => {
  it.each(seedEvents)("$name is the reference's content", async ({ body, fcm }) => {
    const message = await sent({ content: eventContent(body) });
    expect(message["data"]).toEqual(fcm);
    expect(JSON.stringify(message["data"])).toBe(JSON.stringify(fcm));
  });

  it("has its text cut, and is dropped when something else is too long", () => {
    const chat = { ...(seedEvents[4]?.body ?? {}), text: "é".repeat(9_000) };
    const body = rig.message(push({ content: eventContent(chat) })).body;
    const { text } = (JSON.parse(body) as { message: { data: { text: string } } }).message.data;
    expect(text).toMatch(/^é+…$/);
    const long = eventContent({ owner: "o", message: "m", note: "n".repeat(5_000) });
    expect(rig.pushkin.render(push({ content: long }))).toEqual({ kind: "dropped", reason: "too-large" });
  });
});

describe("a registration token as a softphone reports it", () => {
  const token = "APA91bHSD4-(9Or\\WeyQu5Z5BWOpYVjA2lQ";
  const rows: readonly [string, string, string | undefined][] = [
    [
      "base64 of the legacy page's example",
      "QVBBOTFiSEQ0KX05PclRXZXlRdTVaNUJXT3BZVmpBMmxR",
      "QVBBOTFiSEQ0KX05PclRXZXlRdTVaNUJXT3BZVmpBMmxR",
    ],
    ["base64 of a token", Buffer.from(token).toString("base64"), token],
    ["base64 without padding", Buffer.from(token).toString("base64").replace(/=+$/, ""), token],
    ["base64url", Buffer.from("a?>~?>~:APA91b").toString("base64url"), "a?>~?>~:APA91b"],
    [
      "of the reporter's example, cut short as it is",
      "QVBBOTFiRzlhcVd2bW54bllCWldHOWh4dnRrZ3pUWFNvcGZpdWZ6bWM2dFAzS2J",
      "APA91bG9aqWvmnxnYBZWG9hxvtkgzTXSopfiufzmc6tP3Kb".slice(0, 47),
    ],
    [
      "a token itself",
      "fMyToken123:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx",
      "fMyToken123:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx",
    ],
    [
      "a token of base64's characters",
      "APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx",
      "APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx",
    ],
    ["nothing", "", undefined],
    ["white space within", "APA91b Hun4", undefined],
    ["a control character", "APA91b\u0007", undefined],
    [
      "base64 of a text with a space",
      Buffer.from("two words").toString("base64"),
      Buffer.from("two words").toString("base64"),
    ],
  ];
  it.each(rows)("%s", (_what, text, read) => {
    expect(readRegistrationToken(text)).toBe(read);
  });
});
