import type { MatrixContent } from "../../../src/core/push.ts";
import { leanPayload, renderMatrix, topicOf } from "../../../src/pushkins/webpush/matrix.ts";
import { countsContent, matrixContent, minimalContent } from "../../support/builders.ts";

const MAX_BYTES = 3_993;

function render(content: MatrixContent, maxBytes = MAX_BYTES, countsPushes = true): string {
  const body = renderMatrix(content, { countsPushes, maxBytes });
  if (typeof body !== "string") throw new Error(body.reason);
  return body;
}

describe("a Matrix notification as a Web Push message", () => {
  it("has Sygnal's keys in Sygnal's order (20.3, N)", () => {
    expect(render(matrixContent())).toBe(
      '{"room_id":"!r:e","room_name":"Mission Control","room_alias":"#a:e","event_id":"$e","sender":"@s:e",' +
        '"sender_display_name":"Major Tom","type":"m.room.message","unread":2,"missed_calls":1,' +
        '"content":{"msgtype":"m.text","body":"hello","other":1}}',
    );
  });

  it("is the count alone for a badge update, zero too (20.3, B)", () => {
    expect(render(countsContent())).toBe('{"unread":2}');
    expect(render(countsContent({ unread: 0 }))).toBe('{"unread":0}');
    expect(render(countsContent({ defaultPayload: { session: "7" } }))).toBe('{"session":"7","unread":2}');
    const unwanted = renderMatrix(countsContent(), { countsPushes: false, maxBytes: MAX_BYTES });
    expect(unwanted).toEqual({ kind: "dropped", reason: "not-wanted" });
  });

  it("says that the user is the target only when it is so (20.3, E)", () => {
    expect(render(minimalContent({ userIsTarget: false }))).not.toContain("user_is_target");
    expect(JSON.parse(render(minimalContent({ userIsTarget: true })))).toMatchObject({
      user_is_target: true,
    });
  });

  it("has no content when there is none, or nothing in it (20.3, E)", () => {
    expect(render(minimalContent())).toBe('{"room_id":"!r:e","event_id":"$e","unread":2}');
    expect(render(minimalContent({ content: {} }))).not.toContain("content");
  });

  it("begins with the app's own payload, which the event's fields override", () => {
    const body = render(minimalContent({}, { session_id: "7731", event_id: "mine" }));
    expect(body).toBe('{"session_id":"7731","event_id":"$e","room_id":"!r:e","unread":2}');
  });

  it("leaves out what is empty, and HTML", () => {
    const content = matrixContent({
      sender: "",
      roomName: "",
      content: { msgtype: "m.text", formatted_body: "<b>hello</b>", body: "hello" },
    });
    const payload = JSON.parse(render(content));
    expect(payload.content).toEqual({ msgtype: "m.text", body: "hello" });
    expect(payload).not.toHaveProperty("sender");
    expect(payload).not.toHaveProperty("room_name");
  });

  it("cuts a text of more than 1,000 characters to 999 and an ellipsis", () => {
    const bodyOf = (text: string): unknown =>
      JSON.parse(render(matrixContent({ content: { body: text } }), 100_000)).content.body;
    expect(bodyOf("x".repeat(1_000))).toBe("x".repeat(1_000));
    expect(bodyOf("x".repeat(1_001))).toBe(`${"x".repeat(999)}…`);
    expect(bodyOf("🚢".repeat(1_000))).toBe("🚢".repeat(1_000));
    expect(bodyOf("🚢".repeat(1_001))).toBe(`${"🚢".repeat(999)}…`);
  });

  it("leaves out a ciphertext of more than 2,000 characters", () => {
    const keysOf = (length: number): readonly string[] =>
      Object.keys(
        JSON.parse(render(matrixContent({ content: { ciphertext: "c".repeat(length), a: 1 } }))).content,
      );
    expect(keysOf(2_000)).toEqual(["ciphertext", "a"]);
    expect(keysOf(2_001)).toEqual(["a"]);
  });

  it("is dropped with events_only when there is no event, and only when that is exactly true (case 51)", () => {
    const withFlag = (flag: boolean | string, content = countsContent()): unknown =>
      renderMatrix({ ...content, data: { events_only: flag } }, { countsPushes: true, maxBytes: MAX_BYTES });
    expect(withFlag(true)).toEqual({ kind: "dropped", reason: "not-wanted" });
    expect(withFlag("true")).toBe('{"unread":2}');
    expect(withFlag(false)).toBe('{"unread":2}');
    expect(withFlag(true, minimalContent())).toContain("$e");
  });

  it("is nothing when there is nothing to say", () => {
    const nothing: MatrixContent = { kind: "matrix", form: "nothing", data: {}, defaultPayload: {} };
    expect(renderMatrix(nothing, { countsPushes: true, maxBytes: MAX_BYTES })).toEqual({
      kind: "dropped",
      reason: "nothing-to-send",
    });
  });

  it("passes an encrypted push on as it is (MSC3013)", () => {
    const content: MatrixContent = {
      kind: "matrix",
      form: "encrypted",
      ciphertext: "c",
      ephemeral: "e",
      mac: "m",
      data: {},
      defaultPayload: { a: 1 },
    };
    expect(render(content)).toBe('{"a":1,"ciphertext":"c","ephemeral":"e","mac":"m"}');
  });

  describe("that is too long", () => {
    const letters = [...'aé🚢"\\\n'];

    it.each(letters)(
      "of %j loses text until it fits, whole characters, never more than it must",
      (letter) => {
        for (const maxBytes of [300, 500, 997, 2_700, 3_993]) {
          const content = matrixContent({
            content: { body: letter.repeat(1_000) },
            roomName: letter.repeat(900),
          });
          const body = render(content, maxBytes);
          expect(Buffer.byteLength(body)).toBeLessThanOrEqual(maxBytes);
          const payload = JSON.parse(body);
          expect(payload.event_id).toBe("$e");
          expect(JSON.stringify(payload)).toBe(body);
          expect(body.isWellFormed()).toBe(true);
        }
      },
    );

    it("exactly at the limit stays whole; one byte over, it is shortened", () => {
      const content = (length: number): MatrixContent =>
        matrixContent({ content: { body: "b".repeat(length) } });
      const frame = Buffer.byteLength(render(content(1), 100_000)) - 1;
      const exact = render(content(700), frame + 700);
      expect(Buffer.byteLength(exact)).toBe(frame + 700);
      expect(exact).not.toContain("…");
      expect(render(content(701), frame + 700)).toContain("…");
    });

    it("ends as ids and counts with the app's payload, then without, then not at all (case 33)", () => {
      const big = matrixContent({ content: { list: "x".repeat(5_000).split("") }, defaultPayload: { a: 1 } });
      expect(JSON.parse(render(big))).toMatchObject({
        a: 1,
        event_id: "$e",
        sender_display_name: "Major Tom",
      });
      const bigger = matrixContent({ defaultPayload: { a: "x".repeat(5_000) } });
      expect(JSON.parse(render(bigger))).toEqual({
        room_id: "!r:e",
        event_id: "$e",
        unread: 2,
        missed_calls: 1,
      });
      const hopeless = matrixContent({ eventId: `$${"e".repeat(5_000)}` });
      expect(renderMatrix(hopeless, { countsPushes: true, maxBytes: MAX_BYTES })).toEqual({
        kind: "dropped",
        reason: "too-large",
      });
    });
  });

  it("has a smallest form of ids and counts", () => {
    expect(leanPayload(render(matrixContent()))).toBe(
      '{"room_id":"!r:e","event_id":"$e","unread":2,"missed_calls":1}',
    );
  });
});

describe("the Topic", () => {
  const topic = (roomId: string | undefined, flag: unknown): string | undefined =>
    topicOf({
      kind: "matrix",
      form: "minimal",
      ...(roomId === undefined ? {} : { roomId }),
      data: { only_last_per_room: flag as boolean },
      defaultPayload: {},
    });

  it.each([
    ["!r:e", "j3NPSXV1eE4TTegbKFPA02FTPCx3z0Fl"],
    ["!slw48wfj34rtnrf:example.com", "NxZhAvi4QqF0_4nGTwLaFvSh_75k3ypw"],
    ["!é:x", "GA7wBXRf4i6-xAKlU3-xyg6y3uHbQkMY"],
  ])("of %s is 32 characters that RFC 8030 and Apple take, always the same", (roomId, expected) => {
    expect(expected).toMatch(/^[A-Za-z0-9_-]{32}$/);
    expect(topic(roomId, true)).toBe(expected);
    expect(topic(`${roomId}2`, true)).not.toBe(expected);
  });

  it("is there only for only_last_per_room, exactly true, and a room", () => {
    expect([topic("!r:e", false), topic("!r:e", "true"), topic("!r:e", 1), topic(undefined, true)]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});
