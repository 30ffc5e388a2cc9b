import type { JsonObject } from "../json.ts";

/** Two levels, as every protocol served has them. Absent on the wire means high (matrix-push 2.1). */
export type Priority = "high" | "low";

/** What a push is worth in time: it decides how long trying goes on (P9: message 24 h, call 30 s, badge 1 h). */
export type Urgency = "message" | "call" | "badge";

/** One push for one device: the one canonical shape between the doors and the pushkins. */
export interface Push {
  /** A UUID in lower case, made at the door. Every attempt carries it (apns-id), so an upstream can tell a repeat. */
  readonly id: string;
  /** As the sender wrote it; the router finds the configured app for it. */
  readonly appId: string;
  /** The sender's opaque name for the device, exactly as it came: answers repeat it. Secret. */
  readonly pushkey: string;
  /** When the device was last registered, milliseconds since 1970. Absent = unknown. */
  readonly pushkeyTsMs?: number;
  /** Which of Apple's environments the token belongs to, where the device says so; absent = the app's own. */
  readonly environment?: "production" | "sandbox";
  /** APNs: the device's own topic, where it was registered with one; absent = the app's. */
  readonly apnsTopic?: string;
  readonly content: Content;
  readonly priority: Priority;
  readonly urgency: Urgency;
  /** When the request's last byte had come, milliseconds since 1970. */
  readonly receivedAtMs: number;
  /** Nothing is handed over after this, milliseconds since 1970 (P9). */
  readonly expiresAtMs: number;
  /** What makes two pushes to one device the same (event id and pusher data). Absent = never a duplicate. */
  readonly dedupeOn?: string;
}

/** What an attempt, and the outbox, knows of a push once it is rendered: nothing of its content, no pushkey. */
export type PushFacts = Pick<
  Push,
  "id" | "pushkeyTsMs" | "priority" | "urgency" | "receivedAtMs" | "expiresAtMs"
>;

/** The content kinds. A pushkin renders each in a file of that name. */
export type Content = MatrixContent | SoftphoneContent | EventContent;

/** Which of the pushes of matrix-push section 3 this is. */
export type MatrixForm = "encrypted" | "minimal" | "event" | "counts" | "nothing";

/**
 * A Matrix notification as one of its devices gets it, cleaned: every field has its type or is absent, counts are
 * integers from 0 to 2^31-1, strings are well-formed Unicode without NUL. Identifiers that were `""` are absent;
 * `sender` and the names keep an empty string, since Sygnal's payloads show the difference.
 */
export interface MatrixContent {
  readonly kind: "matrix";
  readonly form: MatrixForm;
  readonly eventId?: string;
  readonly roomId?: string;
  readonly type?: string;
  readonly sender?: string;
  readonly senderDisplayName?: string;
  readonly roomName?: string;
  readonly roomAlias?: string;
  readonly membership?: string;
  /** Absent = unknown, which is not false (matrix-push 3.3). */
  readonly userIsTarget?: boolean;
  readonly content?: JsonObject;
  /** Absent = leave the badge alone; 0 = clear it (matrix-push 2.2). */
  readonly unread?: number;
  readonly missedCalls?: number;
  /** MSC3013: forwarded as they are. */
  readonly ciphertext?: string;
  readonly ephemeral?: string;
  readonly mac?: string;
  readonly isCountsOnly?: boolean;
  /** The pusher's `data`, `{}` when absent. */
  readonly data: JsonObject;
  /** The app's own keys (MSC2631), `{}` when absent. */
  readonly defaultPayload: JsonObject;
  /** `default_payload` was there and was no object, nor the text of one: APNs and FCM reject the pushkey (case 30). */
  readonly defaultPayloadInvalid?: true;
  /** The `sound` tweak when it is a string. */
  readonly sound?: string;
  readonly highlight?: boolean;
}

/** What a softphone is to do: fetch a new message, show a text as it is, load its configuration anew. */
export type SoftphoneAction = "message" | "notice" | "reprovision";

/** A push for one account of a softphone (softphone.md, send). Every string is clean and, but for `sound`, not empty. */
export interface SoftphoneContent {
  readonly kind: "softphone";
  readonly action: SoftphoneAction;
  /** Nothing of it is shown: a message of a silent content type, or one without a preview, or no message at all. */
  readonly isSilent: boolean;
  /** Which of the app's accounts it is for; opaque. */
  readonly selector?: string;
  readonly messageId?: string;
  readonly threadId?: string;
  readonly userName?: string;
  readonly userDisplayName?: string;
  readonly contentType?: string;
  /** The text of a notice, the preview of a message. */
  readonly text?: string;
  /** Absent = leave the badge alone; 0 = clear it. */
  readonly badge?: number;
  readonly sound?: string;
}

/** Something that happened to the owner of a device, as his service tells its app (registry.md, push events). */
export interface EventContent {
  readonly kind: "event";
  readonly name: string;
  readonly owner: string;
  /** The event's own fields in their order, validated and clean. */
  readonly fields: JsonObject;
}
