import { createECDH, randomBytes } from "node:crypto";
import { isJsonObject, type JsonObject, type JsonValue } from "../json.ts";

/** What kind of pushkeys an app's devices have. */
export const deviceKinds = ["apns", "fcm", "webpush", "unifiedpush"] as const;
export type DeviceKind = (typeof deviceKinds)[number];

/** An app whose devices the replayed notifications go to. */
export interface LoadApp {
  readonly appId: string;
  readonly kind: DeviceKind;
  /** Distinct devices. */
  readonly devices: number;
  /** Where Web Push subscriptions and UnifiedPush endpoints lead; a number is added to its path. */
  readonly endpoint?: string;
}

/** One device as it stands in a body: its pushkey, and what a browser adds to `data`. */
interface LoadDevice {
  readonly pushkey: string;
  readonly data?: Readonly<Record<string, string>>;
}

/** A recorded notification cut at the places where each request differs. */
type Piece =
  { readonly kind: "text"; readonly text: string } | { readonly kind: "event" } | { readonly kind: "device" };

interface Template {
  readonly pieces: readonly Piece[];
  readonly devices: number;
}

/** A request's body, and how many pushes it asks for. */
export interface LoadRequest {
  readonly body: string;
  readonly pushes: number;
}

const eventMark = "\u{f0001}event\u{f0001}";
const deviceMark = "\u{f0001}device\u{f0001}";
/** The device's mark with the quotes around it: in its place goes a whole JSON object. */
const marks = new RegExp(`(${eventMark}|"${deviceMark}")`, "u");

/**
 * Makes request after request of recorded notifications, each with an event of its own (a repeat would be answered, not
 * sent) and with devices of the given apps in turn, each of which keeps the recorded `data` and `tweaks`.
 */
export class Replay {
  readonly #templates: readonly Template[];
  readonly #apps: readonly LoadApp[];
  readonly #deviceCache = new Map<string, LoadDevice>();
  readonly #run = randomBytes(12).toString("base64url");
  readonly #objects: (readonly { readonly before: string; readonly data: JsonObject }[])[];
  #count = 0;
  #device = 0;

  /** @param bodies recorded request bodies; throws for one that is no notification with devices */
  constructor(bodies: readonly JsonValue[], apps: readonly LoadApp[]) {
    if (bodies.length === 0 || apps.length === 0) throw new Error("nothing to replay");
    this.#apps = apps;
    this.#objects = [];
    this.#templates = bodies.map((body) => this.#cut(body));
  }

  /** The next request; the recorded notifications in their order, round and round. */
  next(): LoadRequest {
    const index = this.#count % this.#templates.length;
    const template = this.#templates[index];
    const objects = this.#objects[index];
    if (template === undefined || objects === undefined) throw new Error("nothing to replay");
    this.#count += 1;
    let body = "";
    let which = 0;
    for (const piece of template.pieces) {
      if (piece.kind === "text") body += piece.text;
      else if (piece.kind === "event") body += `$${this.#run}${this.#count.toString(36).padStart(27, "0")}`;
      else {
        body += this.#deviceJson(objects[which]);
        which += 1;
      }
    }
    return { body, pushes: template.devices };
  }

  #cut(body: JsonValue): Template {
    const notification = isJsonObject(body) ? body["notification"] : undefined;
    const devices = isJsonObject(notification) ? notification["devices"] : undefined;
    if (!isJsonObject(notification) || !Array.isArray(devices) || !devices.some(isJsonObject))
      throw new Error("a recorded notification has no devices");
    this.#objects.push(
      devices.filter(isJsonObject).map(({ app_id: _app, pushkey: _key, data, ...rest }: JsonObject) => ({
        before: JSON.stringify(rest).slice(1, -1),
        data: isJsonObject(data) ? data : {},
      })),
    );
    const marked = {
      ...notification,
      ...(typeof notification["event_id"] === "string" ? { event_id: eventMark } : {}),
      ...(typeof notification["id"] === "string" && notification["id"] !== "" ? { id: eventMark } : {}),
      devices: devices.filter(isJsonObject).map(() => deviceMark),
    };
    const text = JSON.stringify({ notification: marked });
    const pieces = text.split(marks).map((part): Piece => {
      if (part === eventMark) return { kind: "event" };
      return part === `"${deviceMark}"` ? { kind: "device" } : { kind: "text", text: part };
    });
    return { pieces, devices: devices.filter(isJsonObject).length };
  }

  #deviceJson(recorded: { readonly before: string; readonly data: JsonObject } | undefined): string {
    const turn = this.#device;
    this.#device += 1;
    const app = this.#apps[turn % this.#apps.length];
    if (app === undefined || recorded === undefined) throw new Error("nothing to replay");
    const number = Math.floor(turn / this.#apps.length) % app.devices;
    const device = this.#deviceOf(app, number);
    const data = device.data === undefined ? recorded.data : { ...recorded.data, ...device.data };
    const before = recorded.before === "" ? "" : `${recorded.before},`;
    return `{${before}"app_id":${JSON.stringify(app.appId)},"pushkey":${JSON.stringify(device.pushkey)},"data":${JSON.stringify(data)}}`;
  }

  #deviceOf(app: LoadApp, number: number): LoadDevice {
    const name = `${app.appId} ${number}`;
    let device = this.#deviceCache.get(name);
    if (device === undefined) {
      device = makeDevice(app, number);
      this.#deviceCache.set(name, device);
    }
    return device;
  }
}

/** A made-up device that no phone has. */
function makeDevice({ kind, endpoint }: LoadApp, number: number): LoadDevice {
  switch (kind) {
    case "apns":
      return { pushkey: randomBytes(32).toString("base64") };
    case "fcm":
      return {
        pushkey: `${randomBytes(8).toString("base64url")}:APA91b${randomBytes(100).toString("base64url")}`,
      };
    case "webpush": {
      const browser = createECDH("prime256v1");
      return {
        pushkey: browser.generateKeys().toString("base64url"),
        data: { endpoint: placeOf(endpoint, number), auth: randomBytes(16).toString("base64url") },
      };
    }
    case "unifiedpush":
      return { pushkey: placeOf(endpoint, number) };
  }
}

function placeOf(endpoint: string | undefined, number: number): string {
  if (endpoint === undefined) throw new Error("webpush and unifiedpush need an endpoint");
  return `${endpoint.replace(/\/$/, "")}/${number}`;
}
