import type { JsonValue } from "../../../src/json.ts";
import type { Rule } from "../../../src/simulator/script.ts";

/** A request as bytes on the wire, and how its sender behaves. */
export interface Wire {
  readonly method: string;
  readonly path: string;
  readonly version: "1.0" | "1.1";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** `never-ends`: announces more than it sends. `hangs-up`: closes as soon as all is sent. Default `waits`. */
  readonly sender: "waits" | "never-ends" | "hangs-up";
}

/** One request of the comparison. */
export interface Case {
  /** The row of matrix-push 10 that it belongs to, or the file of recorded notifications. */
  readonly row: string;
  readonly title: string;
  readonly wire: Wire;
  /** What the upstreams are to say, besides their usual answers. */
  readonly rules?: readonly Rule[];
}

/** What a gateway answered. */
export type Answer =
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly contentType: string;
      readonly body: string;
    }
  /** The connection ended without an answer; or nothing came in 12 s; or the sender had left. */
  | { readonly kind: "cut" | "silence" | "left" };

/** One push as it reached an upstream. */
export interface Sent {
  readonly upstream: "apns" | "fcm" | "webpush";
  readonly token: string;
  /** The headers that say something to the upstream. */
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: JsonValue;
}

/** All that a gateway did about a request. */
export interface Observed {
  readonly answer: Answer;
  readonly sent: readonly Sent[];
}

/** The headers that are compared; the others carry credentials, ids or names of programs. */
export const comparedHeaders: Readonly<Record<Sent["upstream"], readonly string[]>> = {
  apns: [
    "apns-topic",
    "apns-priority",
    "apns-push-type",
    "apns-expiration",
    "apns-collapse-id",
    "content-type",
  ],
  fcm: ["content-type"],
  webpush: ["ttl", "urgency", "topic", "content-encoding"],
};
