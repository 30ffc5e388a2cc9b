import type { Static } from "@sinclair/typebox";
import { duration, rate, section } from "../config/fields.ts";
import { Type } from "../json-schema.ts";

/** `delivery`: how long a push is worth waiting for, trying and remembering. */
export const DeliveryConfig = section(
  {
    answer_within: duration({
      default: "5s",
      description:
        "The sender gets its answer after this at the latest; what is still open then goes on from the store. " +
        "0 answers at once and reports rejections next time.",
    }),
    expire_after: section(
      {
        message: duration({ default: "24h", description: "Nothing is sent for a message that is older." }),
        call: duration({ default: "30s", description: "Nothing rings for a call that is older." }),
        badge: duration({ default: "1h", description: "No badge is updated to a count that is older." }),
      },
      {
        shorthand: "expire_after",
        description: "How long a push is tried. One duration sets the message's.",
      },
    ),
    dedupe_for: duration({
      default: "24h",
      description: "A repeat of a delivered push is not sent again for so long.",
    }),
    drain_delay: duration({
      default: "5s",
      description: "After SIGTERM the gateway says that it is not ready and goes on serving for so long.",
    }),
  },
  { description: "How long a push is worth waiting for, trying and remembering." },
);

/** `rejections`: dead pushkeys, and when not to believe that they are dead. */
export const RejectionsConfig = section(
  {
    keep: duration({ default: "30d", description: "How long a dead pushkey is remembered." }),
    guard: section(
      {
        enabled: Type.Boolean({
          default: true,
          description: "Hold rejections back that may be our own fault.",
        }),
        share: Type.Number({
          default: 0.2,
          exclusiveMinimum: 0,
          maximum: 1,
          description: "Trips when more than this share of an app's devices look dead …",
        }),
        minimum: Type.Integer({ default: 50, minimum: 1, description: "… of at least this many devices …" }),
        window: duration({ default: "5m", description: "… within this time." }),
      },
      {
        shorthand: "switch",
        description: "Against unregistering everyone because of one wrong setting; or `off`.",
      },
    ),
  },
  { description: "Dead pushkeys, and when not to believe that they are dead." },
);

/** `limits`: what one request and one sender may ask for. */
export const LimitsConfig = section(
  {
    max_body: Type.Integer({
      default: 524_288,
      minimum: 1024,
      maximum: 16_777_216,
      description: "Bytes of a request.",
    }),
    max_devices: Type.Integer({
      default: 100,
      minimum: 1,
      maximum: 10_000,
      description: "Devices of a notification.",
    }),
    max_depth: Type.Integer({
      default: 32,
      minimum: 4,
      maximum: 256,
      description: "Nesting of a request's JSON.",
    }),
    max_multisend: Type.Integer({
      default: 1000,
      minimum: 1,
      maximum: 100_000,
      description: "Pushes of a multisend.",
    }),
    per_source: rate({ default: "off", description: "Requests from one address, such as 600/m; or off." }),
    per_account: rate({
      default: "off",
      description: "Requests of one account to the registry's doors, such as 60/m; or off.",
    }),
    per_app: rate({ default: "off", description: "Pushes for one app, such as 500/s; or off." }),
    per_device: rate({ default: "off", description: "Pushes for one device, such as 240/m; or off." }),
  },
  { description: "What one request and one sender may ask for." },
);

/** `outbox`: how much may wait. */
export const OutboxConfig = section(
  {
    max_rows: Type.Integer({ default: 1_000_000, minimum: 1, description: "Pushes that may wait in all." }),
    max_bytes: Type.Integer({
      default: 2_147_483_648,
      minimum: 1_048_576,
      description: "Bytes that may wait in all.",
    }),
    app_share: Type.Number({
      default: 0.2,
      exclusiveMinimum: 0,
      maximum: 1,
      description: "Of these, what one app may take.",
    }),
  },
  { description: "How much may wait for an upstream that is down." },
);

/** Durations in milliseconds. */
export type DeliverySettings = Static<typeof DeliveryConfig>;
/** Durations in milliseconds; `guard.enabled` is false for `guard: off`. */
export type RejectionsSettings = Static<typeof RejectionsConfig>;
/** A rate that is off is null; `window` of the others in milliseconds. */
export type LimitsSettings = Static<typeof LimitsConfig>;
/** Rows, bytes, and a share of 1. */
export type OutboxSettings = Static<typeof OutboxConfig>;
