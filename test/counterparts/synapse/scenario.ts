import type { MatrixUser } from "./client.ts";
import type { Phone } from "./phones.ts";
import type { World } from "./world.ts";

/** Generous: the machine may be busy, and a pusher that failed once waits a second. */
const SETTLE_MS = 30_000;

/** The rooms of the scenario. */
export interface Rooms {
  /** Ingrid with each listener. */
  readonly direct: ReadonlyMap<MatrixUser, string>;
  readonly group: string;
  readonly sealed: string;
}

/** Sends one event that phones are, or are not, to hear of. */
async function say(
  world: World,
  by: MatrixUser,
  roomId: string,
  talk: Talk,
  listeners: readonly MatrixUser[],
) {
  const id = await by.send(roomId, talk.type ?? "m.room.message", talk.content);
  const phones = talk.silent === true ? [] : phonesOf(world, listeners);
  world.journal.expect({ id, label: talk.label, phones });
  return id;
}

function phonesOf(world: World, users: readonly MatrixUser[]): readonly Phone[] {
  return world.phones.filter(({ user }) => users.includes(user));
}

interface Talk {
  readonly label: string;
  readonly type?: string;
  readonly content: object;
  /** By the default push rules nobody is told. */
  readonly silent?: true;
}

const text = (body: string): object => ({ msgtype: "m.text", body });
const sealedContent = {
  algorithm: "m.megolm.v1.aes-sha2",
  ciphertext: "AwgAEpABq9s1Yp0cVtRk7mXwLh2bDg",
  device_id: "KQZNPLTWVA",
  sender_key: "c0Vv1rT8mYl2uKd6fXqHn4bJzWsEoGiPaRtLyBxNwQs",
  session_id: "p7HhT2vKc9sYx0LmWqEz1RuNfBgDoJiAtVyXkPbSrCw",
};
const sdp = (video: boolean): string =>
  `v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n${video ? "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" : ""}`;
const call = (video: boolean): object => ({
  call_id: "c1783950100",
  version: "1",
  party_id: "KQZNPLTWVA",
  lifetime: 30_000,
  offer: { type: "offer", sdp: sdp(video) },
});

/** What is said in every room of two. */
const directTalk: readonly Talk[] = [
  { label: "message in a one-to-one room", content: text("The ferry leaves at 17:40") },
  {
    label: "message with markup",
    content: {
      ...text("Mind the gap & the <tide>"),
      format: "org.matrix.custom.html",
      formatted_body: "Mind the <b>gap</b> &amp; the &lt;tide&gt;",
    },
  },
  { label: "message outside ASCII", content: text("Ses geldi mi? 👩🏽‍🚀🇮🇸 e\u0301té ‏שלום‏ — 你好，世界 🫡") },
  { label: "very long message", content: text("海".repeat(8_000)) },
  { label: "emote", content: { msgtype: "m.emote", body: "waves from the quay" } },
  {
    label: "picture",
    content: { msgtype: "m.image", body: "lighthouse.png", url: "mxc://harbour.example/abc" },
  },
  { label: "encrypted message in a one-to-one room", type: "m.room.encrypted", content: sealedContent },
  { label: "voice call", type: "m.call.invite", content: call(false) },
  { label: "video call", type: "m.call.invite", content: call(true) },
  { label: "notice", content: { msgtype: "m.notice", body: "A bot says" }, silent: true },
];

function groupTalk(mentioned: MatrixUser, parentId: string): readonly Talk[] {
  return [
    { label: "message in a group", content: text("Paint is in the shed") },
    {
      label: "mention",
      content: { ...text(`${mentioned.name}: your watch`), "m.mentions": { user_ids: [mentioned.userId] } },
    },
    {
      label: "mention of the whole room",
      content: { ...text("@room all hands"), "m.mentions": { room: true } },
    },
    {
      label: "sticker",
      type: "m.sticker",
      content: {
        body: "A cheerful crab",
        url: "mxc://harbour.example/crab",
        info: { mimetype: "image/png" },
      },
    },
    {
      label: "reaction",
      type: "m.reaction",
      content: { "m.relates_to": { rel_type: "m.annotation", event_id: parentId, key: "👍" } },
      silent: true,
    },
    {
      label: "reply",
      content: { ...text("It is dry"), "m.relates_to": { "m.in_reply_to": { event_id: parentId } } },
    },
  ];
}

/** Invites everybody, each of which is a push; then they join. */
export async function gather(world: World): Promise<Rooms> {
  const { ingrid, olav, solveig, per, tor } = world.people;
  const listeners = [solveig, per, tor];
  const direct = new Map<MatrixUser, string>();
  const invited: (readonly [MatrixUser, string])[] = [];
  const invite = async (roomId: string, guest: MatrixUser, label: string): Promise<void> => {
    await ingrid.invite(roomId, guest.userId);
    const id = await ingrid.memberEvent(roomId, guest.userId);
    world.journal.expect({ id, label, phones: phonesOf(world, [guest]) });
    invited.push([guest, roomId]);
  };
  for (const guest of listeners) {
    const roomId = await ingrid.createRoom({ direct: true });
    direct.set(guest, roomId);
    await invite(roomId, guest, "invite to a chat");
  }
  const group = await ingrid.createRoom({ name: "🚢 Þjónusta «тест» ﷽" });
  const sealed = await ingrid.createRoom({ name: "Tide tables", encrypted: true });
  for (const guest of listeners) {
    await invite(group, guest, "invite to a named room");
    await invite(sealed, guest, "invite to an encrypted room");
  }
  await world.journal.settle(SETTLE_MS);
  for (const [guest, roomId] of invited) await guest.join(roomId);
  for (const roomId of [group, sealed]) {
    await ingrid.invite(roomId, olav.userId);
    await olav.join(roomId);
  }
  return { direct, group, sealed };
}

/** Says all there is to say, and reads it all: at the end every badge is at zero. */
export async function converse(world: World, rooms: Rooms): Promise<void> {
  const { ingrid, olav, solveig, per, tor } = world.people;
  const listeners = [solveig, per, tor];
  for (const user of listeners) {
    // The default rules say nothing about stickers.
    const conditions = [{ kind: "event_match", key: "type", pattern: "m.sticker" }];
    const actions = ["notify", { set_tweak: "sound", value: "default" }];
    await user.setPushRule("underride", "stickers", { conditions, actions });
  }
  const last = new Map<string, string>();
  for (const [guest, roomId] of rooms.direct) {
    for (const talk of directTalk) last.set(roomId, await say(world, ingrid, roomId, talk, [guest]));
  }
  const parent = await say(
    world,
    olav,
    rooms.group,
    { label: "first message", content: text("Ahoy") },
    listeners,
  );
  for (const talk of groupTalk(solveig, parent)) {
    last.set(rooms.group, await say(world, ingrid, rooms.group, talk, listeners));
  }
  for (const by of [olav, ingrid, olav]) {
    const talk = { label: "encrypted message in a group", type: "m.room.encrypted", content: sealedContent };
    last.set(rooms.sealed, await say(world, by, rooms.sealed, talk, listeners));
  }
  await world.journal.settle(SETTLE_MS);
  await readAll(world, rooms, last);
  await topic(world, rooms);
}

/** Reads are what makes a homeserver send counts alone. */
async function readAll(world: World, rooms: Rooms, last: ReadonlyMap<string, string>): Promise<void> {
  const { journal, phones } = world;
  for (const [user, direct] of rooms.direct) {
    for (const roomId of [direct, rooms.group, rooms.sealed]) {
      const eventId = last.get(roomId);
      if (eventId !== undefined) await user.read(roomId, eventId);
    }
  }
  await journal.badges(
    phones.filter(({ wantsCounts }) => wantsCounts),
    0,
    SETTLE_MS,
  );
}

/**
 * A user's own rule for an event that says nothing by itself. (A rule for other people's membership is no use: Synapse
 * evaluates none for them.)
 */
async function topic(world: World, rooms: Rooms): Promise<void> {
  const { ingrid, tor } = world.people;
  const conditions = [{ kind: "event_match", key: "type", pattern: "m.room.topic" }];
  await tor.setPushRule("override", "topics", { conditions, actions: ["notify"] });
  const id = await ingrid.setTopic(rooms.group, "Who paints the shed");
  world.journal.expect({ id, label: "topic of a room", phones: phonesOf(world, [tor]) });
  await world.journal.settle(SETTLE_MS);
}

/** After a restart of the homeserver with `include_content: false`. */
export async function whisper(world: World, rooms: Rooms): Promise<void> {
  const { ingrid } = world.people;
  for (const [guest, roomId] of rooms.direct) {
    const talk = { label: "message, content withheld", content: text("Nobody at Apple reads this") };
    await say(world, ingrid, roomId, talk, [guest]);
  }
  await world.journal.settle(SETTLE_MS);
}

/** So many messages in the group, one every so often. */
export async function chatter(
  world: World,
  rooms: Rooms,
  label: string,
  options: { readonly count: number; readonly everyMs: number },
): Promise<void> {
  const { ingrid, solveig, per, tor } = world.people;
  for (let n = 1; n <= options.count; n += 1) {
    await say(world, ingrid, rooms.group, { label, content: text(`${label} ${n}`) }, [solveig, per, tor]);
    await new Promise((resolve) => setTimeout(resolve, options.everyMs));
  }
}
