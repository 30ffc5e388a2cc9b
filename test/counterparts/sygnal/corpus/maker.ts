import { createHash } from "node:crypto";
import type { Rule } from "../../../../src/simulator/script.ts";
import { corpusApps } from "../apps.ts";
import type { Case, Wire } from "../case.ts";

/** What a simulated browser hands to its app. */
export interface Subscription {
  readonly endpoint: string;
  readonly keys: { readonly p256dh: string; readonly auth: string };
}

/** A device of a request, or what stands in its place. */
export type DeviceFields = Readonly<Record<string, unknown>>;

const PATH = "/_matrix/push/v1/notify";

/** Makes requests that have nothing in common but what their row is about: each with events and tokens of its own. */
export class Maker {
  readonly #subscribe: () => Subscription;
  #count = 0;

  constructor(subscribe: () => Subscription) {
    this.#subscribe = subscribe;
  }

  /** So many hex digits that nobody else has. */
  hex(digits: number): string {
    this.#count += 1;
    return createHash("sha512").update(`corpus ${this.#count}`).digest("hex").slice(0, digits);
  }

  eventId(): string {
    return `$${this.hex(40)}`;
  }

  ios(more: DeviceFields = {}): DeviceFields {
    const pushkey = Buffer.from(this.hex(64), "hex").toString("base64");
    return { app_id: corpusApps.ios, pushkey, pushkey_ts: 1_783_944_012, data: {}, ...more };
  }

  android(more: DeviceFields = {}): DeviceFields {
    const pushkey = `f${this.hex(10)}:APA91b${this.hex(40)}`;
    return { app_id: corpusApps.android, pushkey, pushkey_ts: 1_783_944_012, data: {}, ...more };
  }

  /** `data` is merged with what the subscription needs. */
  web(more: DeviceFields & { readonly data?: object } = {}): DeviceFields {
    const { endpoint, keys } = this.#subscribe();
    return {
      app_id: corpusApps.web,
      pushkey: keys.p256dh,
      pushkey_ts: 1_783_944_012,
      ...more,
      data: { endpoint, auth: keys.auth, ...more.data },
    };
  }

  /** One device of each kind of app. */
  each(more: DeviceFields = {}): readonly DeviceFields[] {
    const { data, ...rest } = more as { data?: object };
    return [
      this.ios(more),
      this.android(more),
      this.web({ ...rest, ...(data === undefined ? {} : { data }) }),
    ];
  }

  /** A message with everything that a homeserver tells. */
  message(more: object, ...devices: readonly unknown[]): object {
    return {
      event_id: this.eventId(),
      room_id: "!market:quay.example",
      type: "m.room.message",
      sender: "@olav:harbour.example",
      sender_display_name: "Olav",
      room_name: "Market",
      prio: "high",
      content: { msgtype: "m.text", body: "Cod is in" },
      counts: { unread: 2 },
      devices,
      ...more,
    };
  }

  /** A message for an app that asked for ids alone, as a homeserver then sends it. */
  minimal(more: object, ...devices: readonly unknown[]): object {
    const ids = { event_id: this.eventId(), room_id: "!market:quay.example" };
    return { ...ids, prio: "high", counts: { unread: 2 }, devices, ...more };
  }

  /** A badge update as Synapse sends it. */
  badge(counts: unknown, ...devices: readonly unknown[]): object {
    return { id: "", type: null, sender: "", counts, devices };
  }

  /** `POST {"notification": …}` */
  post(row: string, title: string, notification: unknown, wire: Partial<Wire> = {}): Case {
    return this.raw(row, title, JSON.stringify({ notification }), wire);
  }

  /** `POST` of any text or bytes. */
  raw(row: string, title: string, body: string | Buffer, wire: Partial<Wire> = {}): Case {
    return {
      row,
      title,
      wire: {
        method: "POST",
        path: PATH,
        version: "1.1",
        headers: { "content-type": "application/json" },
        body: typeof body === "string" ? Buffer.from(body) : body,
        sender: "waits",
        ...wire,
      },
    };
  }

  /** With what an upstream is to answer about a device. */
  scripted(made: Case, ...rules: readonly Rule[]): Case {
    return { ...made, rules };
  }
}

/** The device token that APNs sees for a pushkey in base64. */
export function apnsToken(device: DeviceFields): string {
  return Buffer.from(String(device["pushkey"]), "base64").toString("hex");
}
