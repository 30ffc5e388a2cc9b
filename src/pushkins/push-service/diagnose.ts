import { readFile } from "node:fs/promises";
import { failed, ok, skipped, type Diagnosis } from "../../core/diagnosis.ts";
import type { PushkinDeps } from "../../core/pushkin.ts";
import { parseEndpoint } from "../../upstream/endpoint-url.ts";
import { createHttpClient } from "../../upstream/http-client.ts";
import { clockLine, connectionLine, nameLine, notReached } from "../diagnose-upstream.ts";
import { AllowedEndpoints } from "./allowed-endpoints.ts";
import { readVapidKey } from "./vapid-key.ts";

/** Of the browsers' push services one address each that answers whoever asks. */
const BROWSERS = [
  "https://fcm.googleapis.com/",
  "https://updates.push.services.mozilla.com/",
  "https://web.push.apple.com/",
] as const;

/** The options that both types have. */
export interface ServiceOptions {
  readonly vapid_private_key?: string;
  readonly allowed_endpoints: readonly string[];
  readonly endpoint?: string;
  readonly ca_file?: string;
}

/** The VAPID key: what it is that apps must have subscribed with. */
export async function vapidLine(path: string): Promise<Diagnosis> {
  const key = await readVapidKey(path);
  if ("problem" in key) {
    return failed("VAPID key", `the file ${key.problem}`, "make one: signalbox vapid");
  }
  return ok("VAPID key", `subscriptions must be made with applicationServerKey ${key.publicKey}`);
}

/** The push services of the browsers, as far as they may be sent to, or the `endpoint` that stands for all. */
export async function diagnoseBrowserServices(
  config: ServiceOptions,
  deps: PushkinDeps,
): Promise<readonly Diagnosis[]> {
  if (config.endpoint !== undefined) return diagnoseService(config.endpoint, config, deps);
  // Push services of one's own: only their subscriptions know where they are.
  if (config.ca_file !== undefined) return [endpointsOfOthers("browsers")];
  const allowed = new AllowedEndpoints(config.allowed_endpoints);
  const urls = BROWSERS.filter((url) => {
    const endpoint = parseEndpoint(url);
    return endpoint !== undefined && allowed.allows(endpoint);
  });
  if (urls.length === 0)
    return [skipped("push services", "allowed_endpoints names none of the browsers' own")];
  return (await Promise.all(urls.map((url) => diagnoseService(url, config, deps)))).flat();
}

/** There is nobody to ask before a device has subscribed. */
export function endpointsOfOthers(whose: string): Diagnosis {
  return skipped("push services", `endpoints are the ${whose}' own: nothing to ask before one is used`);
}

/** Name, connection and clock of one service. Any answer will do: without a subscription there is nothing to send. */
export async function diagnoseService(
  url: string,
  config: Pick<ServiceOptions, "ca_file">,
  { clock, proxy }: PushkinDeps,
): Promise<readonly Diagnosis[]> {
  const origin = new URL(url);
  const lines: Diagnosis[] = [];
  if (proxy === undefined) {
    lines.push(await nameLine(origin));
    if (lines[0]?.verdict === "failed") return [...lines, ...notReached("address", "clock")];
  }
  const ca = config.ca_file === undefined ? undefined : await readFile(config.ca_file, "utf8");
  const http = createHttpClient({
    ...(ca === undefined ? {} : { ca }),
    ...(proxy === undefined ? {} : { proxy }),
  });
  const result = await http({ method: "GET", url: origin.href });
  if (result.kind === "failed") {
    return [...lines, connectionLine(origin, result.failure), ...notReached("clock")];
  }
  const dateMs = Date.parse(String(result.headers["date"] ?? ""));
  const answer = { status: result.status, body: "", ...(Number.isFinite(dateMs) ? { dateMs } : {}) };
  return [...lines, ok("address", `${origin.host} answers`), clockLine(answer, clock)];
}
