import type { Case } from "../case.ts";
import type { DeviceFields, Maker } from "./maker.ts";

/** Rows 41 to 53 of matrix-push 10.3: content. */
export function contentRows(make: Maker): readonly Case[] {
  return [...counts(make), ...fields(make), ...events(make), ...texts(make)];
}

function counts(make: Maker): readonly Case[] {
  const odd: readonly unknown[] = [-1, 1.5, "3", true, 1_000_000_000_000];
  const invite = {
    type: "m.room.member",
    membership: "invite",
    user_is_target: true,
    content: { membership: "invite" },
  };
  return [
    ...make.each().map((device) => make.post("10.3/41", "badge update", make.badge({ unread: 3 }, device))),
    make.post(
      "10.3/41",
      "badge update with missed calls",
      make.badge({ unread: 3, missed_calls: 2 }, make.ios()),
    ),
    make.post("10.3/41", "badge update, nothing but counts", {
      counts: { unread: 5 },
      devices: [make.android()],
    }),
    make.post(
      "10.3/41",
      "badge update with a default payload",
      make.badge(
        { unread: 5 },
        make.ios({ data: { default_payload: { aps: { alert: { "loc-key": "X" } } } } }),
      ),
    ),
    ...[undefined, null, {}].flatMap((value) => [
      make.post(
        "10.3/42",
        `counts ${JSON.stringify(value) ?? "missing"}, iOS`,
        make.message({ counts: value }, make.ios()),
      ),
      make.post(
        "10.3/42",
        `counts ${JSON.stringify(value) ?? "missing"}, Android`,
        make.minimal({ counts: value }, make.android()),
      ),
      make.post(
        "10.3/42",
        `counts ${JSON.stringify(value) ?? "missing"}, invite`,
        make.message({ ...invite, counts: value }, make.ios()),
      ),
    ]),
    ...make.each().map((device) => make.post("10.3/43", "badge to zero", make.badge({ unread: 0 }, device))),
    make.post("10.3/43", "badge to zero, bare, Android", {
      counts: { unread: 0 },
      devices: [make.android()],
    }),
    make.post(
      "10.3/43",
      "badge to zero with missed calls",
      make.badge({ unread: 0, missed_calls: 0 }, make.ios()),
    ),
    make.post(
      "10.3/43",
      "event with a count of zero, Android",
      make.minimal({ counts: { unread: 0 } }, make.android()),
    ),
    ...odd.flatMap((unread) =>
      make
        .each()
        .map((device) =>
          make.post(
            "10.3/44",
            `unread ${JSON.stringify(unread)}`,
            make.message({ counts: { unread } }, device),
          ),
        ),
    ),
    ...make
      .each()
      .map((device) =>
        make.post("10.3/45", "no event, no counts", { id: "", type: null, devices: [device] }),
      ),
    make.post("10.3/45", "no event, empty counts", make.badge({}, make.ios())),
    make.post("10.3/45", "nothing at all", { devices: [make.android()] }),
  ];
}

function fields(make: Maker): readonly Case[] {
  const wrong: readonly object[] = [
    { room_name: 7 },
    { content: "x" },
    { sender: {}, sender_display_name: null },
    { sender_display_name: ["x"] },
    { room_name: null, room_alias: {} },
    { membership: 7, user_is_target: "yes" },
  ];
  return [
    ...[undefined, "urgent", 5, null, "HIGH"].flatMap((prio) =>
      make
        .each()
        .map((device) =>
          make.post("10.3/46", `prio ${JSON.stringify(prio) ?? "missing"}`, make.message({ prio }, device)),
        ),
    ),
    ...make.each().map((device) => make.post("10.3/46", "prio low", make.message({ prio: "low" }, device))),
    ...wrong.flatMap((more) =>
      make
        .each()
        .map((device) =>
          make.post("10.3/47", `wrong type ${JSON.stringify(more)}`, make.message(more, device)),
        ),
    ),
    ...[7, { x: 1 }, null, "", ["a"]].flatMap((body) => [
      make.post(
        "10.3/48",
        `body ${JSON.stringify(body)}, iOS`,
        make.message({ content: { msgtype: "m.text", body } }, make.ios()),
      ),
      make.post(
        "10.3/48",
        `body ${JSON.stringify(body)}, web`,
        make.message({ content: { msgtype: "m.text", body } }, make.web()),
      ),
    ]),
    make.post("10.3/48", "no msgtype", make.message({ content: { body: "Cod is in" } }, make.ios())),
    make.post(
      "10.3/48",
      "picture without text",
      make.message({ content: { msgtype: "m.image", body: "" } }, make.ios()),
    ),
  ];
}

function events(make: Maker): readonly Case[] {
  const call = (offer: unknown): object => ({ type: "m.call.invite", content: { call_id: "1", offer } });
  const video = { type: "offer", sdp: "v=0\r\nm=audio 9 RTP/AVP 0\r\nm=video 9 RTP/AVP 96\r\n" };
  const target = (isTarget: unknown, more: object = {}): object => ({
    type: "m.room.member",
    membership: "invite",
    user_is_target: isTarget,
    content: { membership: "invite" },
    ...more,
  });
  const wanting = (more: object = {}): DeviceFields => make.web({ data: { events_only: true, ...more } });
  return [
    ...["x", "sdp m=video", 7, null, [], { sdp: 7 }].map((offer) =>
      make.post("10.3/49", `offer ${JSON.stringify(offer)}`, make.message(call(offer), make.ios())),
    ),
    make.post("10.3/49", "video call", make.message(call(video), make.ios())),
    make.post("10.3/49", "voice call", make.message(call({ type: "offer", sdp: "m=audio" }), make.ios())),
    make.post("10.3/50", "invite, target unknown, iOS", make.message(target(undefined), make.ios())),
    make.post("10.3/50", "invite, target unknown, Android", make.message(target(undefined), make.android())),
    make.post(
      "10.3/50",
      "invite, membership in the content alone",
      make.message(target(undefined, { membership: undefined }), make.ios()),
    ),
    make.post("10.3/50", "invite, target known", make.message(target(true), make.ios())),
    make.post(
      "10.3/50",
      "invite to a room without a name",
      make.message(target(true, { room_name: undefined }), make.ios()),
    ),
    make.post("10.3/50", "invite of somebody else", make.message(target(false), make.ios())),
    make.post(
      "10.3/50",
      "somebody joins",
      make.message(target(false, { membership: "join", content: { membership: "join" } }), make.ios()),
    ),
    make.post("10.3/51", "events_only, badge", make.badge({ unread: 1 }, wanting())),
    make.post("10.3/51", "events_only, badge to zero", make.badge({ unread: 0 }, wanting())),
    make.post("10.3/51", "events_only, nothing", { devices: [wanting()] }),
    make.post("10.3/51", "events_only, with an event", make.message({}, wanting())),
    make.post("10.3/51", "events_only, ids", make.minimal({}, wanting({ format: "event_id_only" }))),
    make.post("10.3/51", "only_last_per_room", make.message({}, wanting({ only_last_per_room: true }))),
  ];
}

function texts(make: Maker): readonly Case[] {
  const body = (text: string, more: object = {}): object => ({
    content: { msgtype: "m.text", body: text },
    ...more,
  });
  const long: readonly (readonly [string, object])[] = [
    ["text of 60,000 bytes", body("海".repeat(20_000))],
    ["text with markup, 56,000 bytes", body("<b>&</b>".repeat(7_000))],
    ["text of families", body("👨‍👩‍👧‍👦".repeat(2_000))],
    ["name of 3,000 characters", { sender_display_name: "ñ".repeat(3_000) }],
    ["room of 5,000 characters", { room_name: "🚢".repeat(5_000) }],
    [
      "all of them long",
      body("b".repeat(5_000), { sender_display_name: "s".repeat(5_000), room_name: "r".repeat(5_000) }),
    ],
  ];
  const controls = ["a\u0000b", "a\u0007b\u001b[31m", "\u202eabc", "‏שלום‏", "line\nbreak\ttab"];
  return [
    ...long.flatMap(([title, more]) =>
      make.each().map((device) => make.post("10.3/52", title, make.message(more, device))),
    ),
    ...controls.flatMap((text) =>
      make
        .each()
        .map((device) =>
          make.post("10.3/53", `text ${JSON.stringify(text)}`, make.message(body(text), device)),
        ),
    ),
  ];
}
