import type { Static } from "@sinclair/typebox";
import { Type } from "../../json-schema.ts";

// The bodies of /api/push (registry.md), as they are validated and as they are described.

const apnsToken = Type.String({ pattern: "^[0-9a-fA-F]{64}$", description: "32 bytes in hex." });
const fcmToken = Type.String({
  minLength: 1,
  maxLength: 4096,
  pattern: "^[^\\s\\p{Cc}\\p{Cs}]*$",
  description: "A registration token, without white space.",
});

/** What every body says first. */
export const Command = Type.Object({
  system: Type.Unsafe<"apns" | "fcm" | "gcm">({
    type: "string",
    enum: ["apns", "fcm", "gcm"],
    description: "`gcm` is the older word for `fcm`.",
  }),
  action: Type.Unsafe<"add" | "delete">({ type: "string", enum: ["add", "delete"] }),
});

/** A registration of an iOS device. */
export const AddApns = Type.Object({
  device_token: apnsToken,
  sandbox: Type.Optional(Type.Boolean({ description: "Of Apple's sandbox. Absent = false." })),
  application_id: Type.String({
    pattern: "^[a-zA-Z0-9]{10}\\.[a-zA-Z0-9.-]{5,100}$",
    description: "`<team id>.<bundle id>`.",
  }),
  apns_topic: Type.Optional(
    Type.String({ pattern: "^[a-zA-Z0-9.-]{5,100}$", description: "Absent = the bundle id." }),
  ),
});

/** The end of one. */
export const DeleteApns = Type.Object({ device_token: apnsToken });

/** A registration of an Android device, or its end. */
export const Fcm = Type.Object({ device_token: fcmToken });

/** An account's devices, the oldest first. */
export const Listing = Type.Object({
  fcm: Type.Object({ device_tokens: Type.Array(Type.String()) }),
  apns: Type.Object({
    device_tokens: Type.Record(
      Type.String(),
      Type.Object({
        application_id: Type.String(),
        sandbox: Type.Boolean(),
        apns_topic: Type.Optional(Type.String()),
      }),
    ),
  }),
});

/** Why a body was refused. */
export const Refusal = Type.Object({
  status: Type.Unsafe<"invalid-request" | "invalid-appid" | "unknown-appid" | "invalid-apns-topic">({
    type: "string",
    enum: ["invalid-request", "invalid-appid", "unknown-appid", "invalid-apns-topic"],
  }),
  error: Type.Optional(Type.String({ description: "With invalid-request: what is wrong." })),
});

export type ListingBody = Static<typeof Listing>;
export type RefusalBody = Static<typeof Refusal>;
