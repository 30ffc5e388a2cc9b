import type { MatrixContent, Push, SoftphoneContent } from "../../src/core/push.ts";
import type { JsonObject } from "../../src/json.ts";

/** Noon of a day in the past of no test: the fake clock's start. */
export const NOON = Date.UTC(2026, 10, 20, 12);

/** A full-format message in a named room, as sygnal-compat 20 has it. */
export function matrixContent(overrides: Partial<MatrixContent> = {}): MatrixContent {
  return {
    kind: "matrix",
    form: "event",
    eventId: "$e",
    roomId: "!r:e",
    type: "m.room.message",
    sender: "@s:e",
    senderDisplayName: "Major Tom",
    roomName: "Mission Control",
    roomAlias: "#a:e",
    content: { msgtype: "m.text", body: "hello", other: 1 },
    unread: 2,
    missedCalls: 1,
    data: {},
    defaultPayload: {},
    ...overrides,
  };
}

/** What an app gets with `event_id_only`. */
export function minimalContent(
  overrides: Partial<MatrixContent> = {},
  defaultPayload: JsonObject = {},
): MatrixContent {
  return {
    kind: "matrix",
    form: "minimal",
    eventId: "$e",
    roomId: "!r:e",
    unread: 2,
    data: {},
    defaultPayload,
    ...overrides,
  };
}

/** A badge update. */
export function countsContent(overrides: Partial<MatrixContent> = {}): MatrixContent {
  return { kind: "matrix", form: "counts", unread: 2, data: {}, defaultPayload: {}, ...overrides };
}

/** A text message with a preview, for one account of a softphone. */
export function softphoneContent(overrides: Partial<SoftphoneContent> = {}): SoftphoneContent {
  return {
    kind: "softphone",
    action: "message",
    isSilent: false,
    selector: "12869E0E6E553673C54F29105A0647204C416A2A:7C3A0D14",
    messageId: "sms-17",
    threadId: "thread-3",
    userName: "sip:major@quay.example",
    userDisplayName: "Major Tom",
    contentType: "text/plain",
    text: "hello",
    badge: 4,
    sound: "default",
    ...overrides,
  };
}

let made = 0;

/** A push received at noon, with an id of its own. */
export function push(overrides: Partial<Push> = {}): Push {
  made += 1;
  return {
    id: `00000000-0000-4000-8000-${String(made).padStart(12, "0")}`,
    appId: "com.example.app",
    pushkey: "spqr",
    content: matrixContent(),
    priority: "high",
    urgency: "message",
    receivedAtMs: NOON,
    expiresAtMs: NOON + 24 * 60 * 60 * 1000,
    ...overrides,
  };
}
