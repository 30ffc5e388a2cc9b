import { readFile } from "node:fs/promises";
import { isJsonObject, type JsonObject, type JsonValue } from "../../json.ts";

/** One request of the demo: what it shows, and the body that its sender would send. */
export interface DemoRequest {
  readonly title: string;
  /** Absent = where homeservers send. */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: JsonObject;
}

/** The notifications in the package; the same files feed the tests. */
const EXAMPLES = new URL("../../../bench/fixtures/matrix-examples.json", import.meta.url);

/** The device in the examples that the simulators take for an uninstalled app. */
export const DEAD_PUSHKEY = "ZGVhZC10b2tlbi1kZWFkLXRva2VuLWRlYWQtdG9rZW4=";

/** What a browser, or a distributor, hands to an app, and the app's id. */
export interface DemoSubscription {
  readonly appId: string;
  readonly endpoint: string;
  readonly keys?: { readonly p256dh: string; readonly auth: string };
}

/**
 * The example notifications, one for a phone without Google, and three that are made of them: a long one, an event that the homeserver repeats, and
 * another event for the phone that turned out dead.
 *
 * @param isServed whether the demo's gateway has this app; examples for others alone are left out
 * @param phones stand in for the examples' made-up ones, whose keys nobody has
 */
export async function demoRequests(
  isServed: (appId: string) => boolean,
  phones: { readonly browser: DemoSubscription; readonly distributor: DemoSubscription },
): Promise<readonly DemoRequest[]> {
  const examples: unknown = JSON.parse(await readFile(EXAMPLES, "utf8"));
  if (!Array.isArray(examples)) throw new Error("the example notifications are no list");
  const requests: DemoRequest[] = [];
  for (const example of examples as readonly JsonValue[]) {
    if (!isJsonObject(example) || !isJsonObject(example["body"])) continue;
    const { title, body } = example;
    const apps = devicesOf(body).map((device) => device["app_id"]);
    if (typeof title !== "string" || !apps.some((app) => typeof app === "string" && isServed(app))) continue;
    requests.push({ title, body: withBrowser(body, phones.browser) });
  }
  const first = requests[0];
  const many = requests.find(({ body }) => devicesOf(body).length > 1);
  if (first === undefined || many === undefined)
    throw new Error("the example notifications are not complete");
  return [
    ...requests,
    {
      title: "A phone without Google: UnifiedPush",
      body: withDevices(first.body, [
        { app_id: phones.distributor.appId, pushkey: phones.distributor.endpoint, data: {} },
      ]),
    },
    {
      title: "A very long message",
      body: withEvent(first.body, "$long", "The tide is coming in. ".repeat(4_000)),
    },
    { title: "The first one again: the homeserver repeats", body: first.body },
    {
      title: "A later event, the dead phone among them",
      body: withEvent(many.body, "$later", "Herring is in"),
    },
  ];
}

function devicesOf(body: JsonObject): readonly JsonObject[] {
  const notification = body["notification"];
  const devices = isJsonObject(notification) ? notification["devices"] : undefined;
  return Array.isArray(devices) ? (devices as readonly JsonValue[]).filter(isJsonObject) : [];
}

/** The web app's devices with the keys of a simulated browser. */
function withBrowser(body: JsonObject, { appId, endpoint, keys }: DemoSubscription): JsonObject {
  const devices = devicesOf(body);
  if (!devices.some((device) => device["app_id"] === appId) || keys === undefined) return body;
  return withDevices(
    body,
    devices.map((device) => {
      if (device["app_id"] !== appId) return device;
      const data = isJsonObject(device["data"]) ? device["data"] : {};
      return { ...device, pushkey: keys.p256dh, data: { ...data, endpoint, auth: keys.auth } };
    }),
  );
}

function withDevices(body: JsonObject, devices: readonly JsonObject[]): JsonObject {
  const notification = isJsonObject(body["notification"]) ? body["notification"] : {};
  return { notification: { ...notification, devices } };
}

/** Another event of the same kind. */
function withEvent(body: JsonObject, eventId: string, text: string): JsonObject {
  const notification = isJsonObject(body["notification"]) ? body["notification"] : {};
  return {
    notification: {
      ...notification,
      event_id: eventId,
      id: eventId,
      content: { msgtype: "m.text", body: text },
    },
  };
}
