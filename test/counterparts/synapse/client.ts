import { createHmac, randomUUID } from "node:crypto";

/** A registered user and what he does; as a client would, over the client-server API. */
export interface MatrixUser {
  readonly userId: string;
  readonly name: string;
  createRoom(options: RoomOptions): Promise<string>;
  invite(roomId: string, userId: string): Promise<void>;
  join(roomId: string): Promise<void>;
  /** Sets a room's topic and returns the event's id. */
  setTopic(roomId: string, topic: string): Promise<string>;
  /** Sends an event and returns its id. */
  send(roomId: string, type: string, content: object): Promise<string>;
  /** Marks everything up to an event as read. */
  read(roomId: string, eventId: string): Promise<void>;
  /** Sets a pusher of kind `http`. */
  setPusher(pusher: Pusher): Promise<void>;
  /** The pushers that the server has. */
  pushers(): Promise<readonly Pusher[]>;
  /** Adds or changes one of the user's own push rules. */
  setPushRule(kind: "override" | "underride", id: string, rule: object): Promise<void>;
  /** The id of somebody's membership event in a room that this user may see. */
  memberEvent(roomId: string, userId: string): Promise<string>;
}

/** What a room is made with. */
export interface RoomOptions {
  readonly name?: string;
  readonly encrypted?: boolean;
  readonly direct?: boolean;
  readonly invite?: readonly string[];
}

/** A pusher as clients set it. */
export interface Pusher {
  readonly app_id: string;
  readonly pushkey: string;
  readonly app_display_name: string;
  readonly device_display_name: string;
  readonly lang: string;
  readonly data: Readonly<Record<string, unknown>>;
}

type Json = Record<string, unknown>;

async function call(base: string, method: string, path: string, token: string, body?: object): Promise<Json> {
  const response = await fetch(`${base}${path}`, {
    method,
    headers: {
      "content-type": "application/json",
      ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path.split("?")[0] ?? ""}: ${response.status} ${text}`);
  return JSON.parse(text) as Json;
}

/** Registers a user with the server's shared secret. */
export async function registerUser(
  server: { readonly url: string; readonly sharedSecret: string },
  name: string,
  displayName: string,
): Promise<MatrixUser> {
  const path = "/_synapse/admin/v1/register";
  const { nonce } = await call(server.url, "GET", path, "");
  const password = randomUUID();
  const mac = createHmac("sha1", server.sharedSecret)
    .update([String(nonce), name, password, "notadmin"].join("\0"))
    .digest("hex");
  const account = { nonce, username: name, displayname: displayName, password, admin: false, mac };
  const { user_id: id, access_token: accessToken } = await call(server.url, "POST", path, "", account);
  return user(server.url, String(id), name, String(accessToken));
}

function user(base: string, userId: string, name: string, token: string): MatrixUser {
  const ask = (method: string, path: string, body?: object): Promise<Json> =>
    call(base, method, `/_matrix/client/v3${path}`, token, body);
  const room = (roomId: string): string => `/rooms/${encodeURIComponent(roomId)}`;
  return {
    userId,
    name,
    async createRoom({ name: roomName, encrypted, direct, invite }) {
      const initialState =
        encrypted === true
          ? [{ type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } }]
          : [];
      const made = await ask("POST", "/createRoom", {
        preset: direct === true ? "trusted_private_chat" : "private_chat",
        ...(roomName === undefined ? {} : { name: roomName }),
        ...(direct === true ? { is_direct: true } : {}),
        ...(invite === undefined ? {} : { invite }),
        initial_state: initialState,
      });
      return String(made["room_id"]);
    },
    async invite(roomId, invited) {
      await ask("POST", `${room(roomId)}/invite`, { user_id: invited });
    },
    async join(roomId) {
      await ask("POST", `/join/${encodeURIComponent(roomId)}`, {});
    },
    async setTopic(roomId, topic) {
      const set = await ask("PUT", `${room(roomId)}/state/m.room.topic/`, { topic });
      return String(set["event_id"]);
    },
    async send(roomId, type, content) {
      const sent = await ask("PUT", `${room(roomId)}/send/${type}/${randomUUID()}`, content);
      return String(sent["event_id"]);
    },
    async read(roomId, eventId) {
      await ask("POST", `${room(roomId)}/receipt/m.read/${encodeURIComponent(eventId)}`, {});
    },
    async setPusher(pusher) {
      await ask("POST", "/pushers/set", { kind: "http", append: true, ...pusher });
    },
    async pushers() {
      return (await ask("GET", "/pushers"))["pushers"] as Pusher[];
    },
    async setPushRule(kind, id, rule) {
      await ask("PUT", `/pushrules/global/${kind}/${encodeURIComponent(id)}`, rule);
    },
    async memberEvent(roomId, ofUserId) {
      const path = `${room(roomId)}/state/m.room.member/${encodeURIComponent(ofUserId)}?format=event`;
      return String((await ask("GET", path))["event_id"]);
    },
  };
}
