import type { MatrixContent } from "../../../src/core/push.ts";
import type { JsonObject, JsonValue } from "../../../src/json.ts";
import { alertText } from "../../../src/pushkins/apns/alert-text.ts";
import { matrixContent } from "../../support/builders.ts";

/** A content without these fields. */
function without(...fields: readonly (keyof MatrixContent)[]): MatrixContent {
  const content = Object.entries(matrixContent()).filter(([key]) => !fields.some((field) => field === key));
  return Object.fromEntries(content) as unknown as MatrixContent;
}
const roomless = without("roomName", "roomAlias");
const said = (msgtype: string, body: JsonValue): Partial<MatrixContent> => ({
  content: { msgtype, body },
});
const offer = (sdp: string): Partial<MatrixContent> => ({
  type: "m.call.invite",
  content: { offer: { sdp } },
});
const sender = "Major Tom";
const room = "Mission Control";

describe("the twelve texts of sygnal-compat 10.4", () => {
  const member: Partial<MatrixContent> = { type: "m.room.member", membership: "invite", userIsTarget: true };
  const rows: readonly [string, string, readonly string[], Partial<MatrixContent>, MatrixContent?][] = [
    ["text in a room", "MSG_FROM_USER_IN_ROOM_WITH_CONTENT", [sender, room, "hello"], {}],
    ["text", "MSG_FROM_USER_WITH_CONTENT", [sender, "hello"], {}, roomless],
    ["picture in a room", "IMAGE_FROM_USER_IN_ROOM", [sender, "cat.png", room], said("m.image", "cat.png")],
    ["picture", "IMAGE_FROM_USER", [sender, "cat.png"], said("m.image", "cat.png"), roomless],
    ["picture without a name", "IMAGE_FROM_USER_IN_ROOM", [sender, "", room], said("m.image", "")],
    ["emote in a room", "ACTION_FROM_USER_IN_ROOM", [room, sender, "waves"], said("m.emote", "waves")],
    ["emote", "ACTION_FROM_USER", [sender, "waves"], said("m.emote", "waves"), roomless],
    ["empty emote", "MSG_FROM_USER_IN_ROOM", [sender, room], said("m.emote", "")],
    ["notice", "MSG_FROM_USER_IN_ROOM_WITH_CONTENT", [sender, room, "x"], said("m.notice", "x")],
    ["encrypted in a room", "MSG_FROM_USER_IN_ROOM", [sender, room], { content: { algorithm: "m.x" } }],
    ["encrypted", "MSG_FROM_USER", [sender], { type: "m.room.encrypted", content: {} }, roomless],
    ["content withheld", "MSG_FROM_USER_IN_ROOM", [sender, room], {}, without("content")],
    ["body without msgtype", "MSG_FROM_USER_IN_ROOM", [sender, room], { content: { body: "x" } }],
    ["picture without a body", "MSG_FROM_USER_IN_ROOM", [sender, room], { content: { msgtype: "m.image" } }],
    ["video call", "VIDEO_CALL_FROM_USER", [sender], offer("v=0\r\nm=audio 9\r\nm=video 9\r\n")],
    ["voice call", "VOICE_CALL_FROM_USER", [sender], offer("v=0\r\nm=audio 9\r\n")],
    ["call without content", "VOICE_CALL_FROM_USER", [sender], { type: "m.call.invite" }, without("content")],
    ["invite to a named room", "USER_INVITE_TO_NAMED_ROOM", [sender, room], member],
    ["invite", "USER_INVITE_TO_CHAT", [sender], member, roomless],
    ["any other type", "MSG_FROM_USER", [sender], { type: "m.sticker" }],
  ];
  it.each(rows)("%s: %s %j", (_what, locKey, locArgs, overrides, base = matrixContent()) => {
    expect(alertText({ ...base, ...overrides })).toEqual({ locKey, locArgs });
  });

  it.each([
    ["no type", without("type")],
    ["joining", matrixContent({ type: "m.room.member", membership: "join", userIsTarget: true })],
    ["somebody else's invite", matrixContent({ ...member, userIsTarget: false })],
    ["a membership that nobody gave", matrixContent({ type: "m.room.member", userIsTarget: true })],
  ])("%s has no text", (_what, content) => {
    expect(alertText(content)).toBeUndefined();
  });
});

describe("who says it", () => {
  const first = (content: MatrixContent): string | undefined => alertText(content)?.locArgs[0];
  it.each([
    ["the display name", matrixContent(), sender],
    ["the user id when there is no name", without("senderDisplayName"), "@s:e"],
    ["an empty name as it is", matrixContent({ senderDisplayName: "" }), ""],
    ["a space when both are empty", matrixContent({ sender: "", senderDisplayName: "" }), " "],
    ["a space when both are missing", without("sender", "senderDisplayName"), " "],
    ["a space when one is missing and the other empty", { ...without("sender"), senderDisplayName: "" }, " "],
    ["the name when only the id is missing", without("sender"), sender],
  ])("is %s", (_what, content, expected) => {
    expect(first(content)).toBe(expected);
  });

  it("is cut to 1024 code points, never within one (sygnal-compat 10.4)", () => {
    for (const [name, cut] of [
      ["x".repeat(2_000), "x".repeat(1_024)],
      ["🦊".repeat(2_000), "🦊".repeat(1_024)],
      [`x${"🦊".repeat(2_000)}`, `x${"🦊".repeat(1_023)}`],
      ["🦊".repeat(1_024), "🦊".repeat(1_024)],
    ] as const) {
      const content = matrixContent({ senderDisplayName: name, roomName: name });
      expect(alertText(content)?.locArgs.slice(0, 2)).toEqual([cut, cut]);
    }
  });
});

describe("where it is said", () => {
  it.each([
    ["the name", matrixContent(), room],
    ["the alias when there is no name", without("roomName"), "#a:e"],
    ["the alias when the name is empty", matrixContent({ roomName: "" }), "#a:e"],
  ])("is %s", (_what, content, expected) => {
    expect(alertText(content)?.locArgs[1]).toBe(expected);
  });

  it("is left out when name and alias are empty", () => {
    const content = matrixContent({ roomName: "", roomAlias: "" });
    expect(alertText(content)?.locKey).toBe("MSG_FROM_USER_WITH_CONTENT");
  });
});

describe("where this gateway does better than Sygnal", () => {
  it.each([7, true, null, ["x"], { a: 1 }])(
    "a body that is %j is text without content (matrix-push 10.3, case 48)",
    (body) => {
      const text = alertText(matrixContent(said("m.text", body)));
      expect(text).toEqual({ locKey: "MSG_FROM_USER_IN_ROOM", locArgs: [sender, room] });
      expect(alertText(matrixContent(said("m.image", body)))?.locKey).toBe("MSG_FROM_USER_IN_ROOM");
    },
  );

  it.each(["m=video", 7, null, ["m=video"]])(
    "an offer that is %j is a voice call (matrix-push 10.3, case 49)",
    (value) => {
      const content = { offer: value } as JsonObject;
      const call = matrixContent({ type: "m.call.invite", content });
      expect(alertText(call)?.locKey).toBe("VOICE_CALL_FROM_USER");
    },
  );

  it("an invite without user_is_target is an invite (matrix-push 3.3, case 50)", () => {
    const content = matrixContent({ type: "m.room.member", membership: "invite" });
    expect(alertText(content)?.locKey).toBe("USER_INVITE_TO_NAMED_ROOM");
  });

  it("a body of megabytes is cut before anything else looks at it", () => {
    const text = alertText(matrixContent(said("m.text", "海".repeat(1_000_000))));
    expect(Buffer.byteLength(text?.locArgs[2] ?? "")).toBeLessThanOrEqual(8_192);
    expect(text?.locArgs[2]).toMatch(/…$/);
  });
});
