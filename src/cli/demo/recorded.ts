import { readFile } from "node:fs/promises";
import { isJsonObject, type JsonObject, type JsonValue } from "../../json.ts";
import type { DemoSubscription } from "./requests.ts";

/** What a homeserver has sent; recorded, see the index beside it. */
const RECORDED = new URL("../../../bench/fixtures/synapse.jsonl", import.meta.url);

/**
 * The bodies that a real Synapse sent for apps that the demo serves, in their order.
 *
 * @param phones stand in for the recorded browser and distributor, whose keys and endpoints are no more
 */
export async function recordedBodies(
  isServed: (appId: string) => boolean,
  phones: { readonly browser: DemoSubscription; readonly distributor: DemoSubscription },
): Promise<readonly JsonObject[]> {
  const text = await readFile(RECORDED, "utf8");
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.flatMap((line) => {
    const { body } = JSON.parse(line, (_key, value: JsonValue) => ownDevice(value, phones)) as {
      body: { notification: { devices: readonly { app_id: string }[] } };
    };
    return body.notification.devices.every(({ app_id: appId }) => isServed(appId)) ? [body] : [];
  });
}

/** A device whose endpoint is one of the recording gets one that works. */
function ownDevice(
  value: JsonValue,
  { browser, distributor }: Parameters<typeof recordedBodies>[1],
): JsonValue {
  if (!isJsonObject(value)) return value;
  if (value["app_id"] === distributor.appId) return { ...value, pushkey: distributor.endpoint };
  if (value["app_id"] !== browser.appId || browser.keys === undefined) return value;
  const data = isJsonObject(value["data"]) ? value["data"] : {};
  const { p256dh, auth } = browser.keys;
  return { ...value, pushkey: p256dh, data: { ...data, endpoint: browser.endpoint, auth } };
}
