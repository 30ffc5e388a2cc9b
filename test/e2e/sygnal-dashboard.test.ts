import { seriesIn, sygnalQueries } from "../support/sygnal-queries.ts";
import {
  ANDROID,
  IOS,
  iosPushkey,
  message,
  startGateway,
  type RunningGateway,
} from "../support/with-gateway.ts";

/*
 * Somebody who moves from Sygnal keeps his dashboard (sygnal-compat 13): after a handful of pushes of each kind a
 * scrape of the metrics listener has every series of Sygnal's under its name, type and labels, and its queries find
 * what has happened.
 */
const WEB = "com.example.web";
const CERTIFIED = "com.example.certified";
const GLOB = "org.example.glob.*";

/** Name as scraped, type, labels (sygnal-compat 13). */
const table = [
  ["sygnal_notifications_received_total", "counter", []],
  ["sygnal_notifications_devices_received_total", "counter", []],
  ["sygnal_per_pushkin_type_total", "counter", ["pushkin"]],
  ["sygnal_pushgateway_status_codes_total", "counter", ["code"]],
  ["sygnal_notify_time", "histogram", ["code"]],
  ["sygnal_requests_in_flight", "gauge", ["resource"]],
  ["sygnal_inflight_request_limit_drop_total", "counter", ["pushkin"]],
  ["sygnal_gcm_queue_time", "histogram", []],
  ["sygnal_gcm_request_time", "histogram", []],
  ["sygnal_pending_gcm_requests", "gauge", []],
  ["sygnal_active_gcm_requests", "gauge", []],
  ["sygnal_gcm_status_codes_total", "counter", ["code", "pushkin"]],
  ["sygnal_apns_request_time", "histogram", []],
  ["sygnal_active_apns_requests", "gauge", []],
  ["sygnal_apns_status_codes_total", "counter", ["code", "pushkin"]],
  ["sygnal_client_cert_expiry", "gauge", ["pushkin"]],
  ["sygnal_webpush_queue_time", "histogram", []],
  ["sygnal_webpush_request_time", "histogram", []],
  ["sygnal_pending_webpush_requests", "gauge", []],
  ["sygnal_active_webpush_requests", "gauge", []],
  ["process_virtual_memory_bytes", "gauge", []],
  ["process_resident_memory_bytes", "gauge", []],
  ["process_start_time_seconds", "gauge", []],
  ["process_cpu_seconds_total", "counter", []],
  ["process_open_fds", "gauge", []],
  ["process_max_fds", "gauge", []],
] as const;
/** As a Node library prints them; Prometheus reads numbers. */
const bounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, Infinity];

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

let gateway: RunningGateway;
let types: ReadonlyMap<string, string>;
let samples: readonly Sample[];

beforeAll(async () => {
  gateway = await startGateway({
    config: { outbound: { allow_addresses: ["127.0.0.0/8"] } },
    apps: (base, files) => ({
      [WEB]: {
        type: "webpush",
        vapid_private_key: files.vapidKey,
        vapid_contact_email: "operator@example.com",
        ca_file: files.ca,
      },
      [GLOB]: base.ios ?? {},
      [CERTIFIED]: {
        type: "apns",
        certfile: files.apnsCertificate,
        endpoint: (base.ios as { endpoint: string }).endpoint,
        ca_file: files.ca,
      },
    }),
  });
  await usePhones();
  const text = await gateway.metrics();
  types = new Map(
    [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type = ""]) => [name, type]),
  );
  samples = [...text.matchAll(/^([a-z_]+)(?:\{(.*)\})? (\S+)$/gm)].map(
    ([, name = "", labels = "", value]) => ({
      name,
      labels: Object.fromEntries(
        [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = "", each = ""]) => [key, each]),
      ),
      value: Number(value),
    }),
  );
}, 60_000);
afterAll(() => gateway.stop());

/** Delivered at each upstream, a dead token at each, an app that nobody serves, and a body that is none. */
async function usePhones(): Promise<void> {
  const { simulators } = gateway;
  const web = simulators.webPush.subscribe();
  const gone = simulators.webPush.subscribe();
  gone.state = "gone";
  const browser = ({ endpoint, keys }: typeof web): object => ({
    app_id: WEB,
    pushkey: keys.p256dh,
    data: { endpoint, auth: keys.auth },
  });
  simulators.fcm.setDevice("dead", "dead");
  await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey("01") }]));
  await gateway.notify(message([{ app_id: ANDROID, pushkey: "alive" }]));
  await gateway.notify(message([{ app_id: "org.example.glob.one", pushkey: iosPushkey("03") }]));
  await gateway.notify(message([browser(web)]));
  simulators.script.add({ upstream: "apns", answer: { kind: "error", reason: "Unregistered" } });
  await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey("02") }]));
  await gateway.notify(message([{ app_id: ANDROID, pushkey: "dead" }]));
  await gateway.notify(message([browser(gone)]));
  await gateway.notify(message([{ app_id: "org.example.unknown", pushkey: "x" }]));
  expect((await gateway.notify([])).status).toBe(400);
  // Pages of the server, which Sygnal does not count either.
  expect((await fetch(gateway.url)).status).toBe(405);
  expect((await fetch(new URL("/nowhere", gateway.url))).status).toBe(404);
}

/** Samples that a series' matchers let through, whatever Prometheus itself adds. */
const matching = (name: string, equal: readonly (readonly [string, string])[]): readonly Sample[] =>
  samples.filter(
    (sample) =>
      sample.name === name &&
      equal.every(([label, value]) => label === "job" || sample.labels[label] === value),
  );
const sumOf = (name: string, labels: Readonly<Record<string, string>> = {}): number =>
  matching(name, Object.entries(labels)).reduce((sum, { value }) => sum + value, 0);

it.each(table)("%s is a %s with the labels %j", (name, type, labels) => {
  expect(types.get(name)).toBe(type);
  const own = samples.filter((sample) =>
    type === "histogram" ? sample.name.replace(/_(?:bucket|sum|count)$/, "") === name : sample.name === name,
  );
  expect(own.length).toBeGreaterThan(0);
  for (const sample of own) {
    const named = Object.keys(sample.labels).filter((label) => label !== "le");
    expect([sample.name, named.toSorted()]).toEqual([sample.name, [...labels]]);
  }
  if (type !== "histogram") return;
  const series = Map.groupBy(
    own.filter((sample) => sample.name === `${name}_bucket`),
    ({ labels: { le: _le, ...others } }) => JSON.stringify(others),
  );
  for (const buckets of series.values()) {
    expect(buckets.map(({ labels: { le } }) => Number(le?.replace("+Inf", "Infinity")))).toEqual(bounds);
    expect(buckets.map(({ value }) => value)).toEqual(
      buckets.map(({ value }) => value).toSorted((a, b) => a - b),
    );
  }
});

it.each(sygnalQueries)("the dashboard finds %s", (query) => {
  const series = seriesIn(query);
  expect(series.length).toBeGreaterThan(0);
  for (const { name, equal, labels } of series) {
    const found = matching(name, equal);
    expect([name, found.length > 0]).toEqual([name, true]);
    for (const sample of found) {
      const missing = labels.filter((label) => label !== "job" && !(label in sample.labels));
      expect([name, missing]).toEqual([name, []]);
    }
    // A panel that would stay empty for ever is no panel: all but the gauges have counted something.
    if (/_(?:total|count|bucket|sum)$/.test(name)) expect([name, sumOfAll(found) > 0]).toEqual([name, true]);
  }
});

const sumOfAll = (found: readonly Sample[]): number => found.reduce((sum, { value }) => sum + value, 0);

it("the figures are what has happened", () => {
  expect({
    notifications: sumOf("sygnal_notifications_received_total"),
    devices: sumOf("sygnal_notifications_devices_received_total"),
    ios: sumOf("sygnal_per_pushkin_type_total", { pushkin: IOS }),
    android: sumOf("sygnal_per_pushkin_type_total", { pushkin: ANDROID }),
    web: sumOf("sygnal_per_pushkin_type_total", { pushkin: WEB }),
    glob: sumOf("sygnal_per_pushkin_type_total", { pushkin: GLOB }),
    globApns: sumOf("sygnal_apns_status_codes_total", { pushkin: GLOB, code: "200" }),
    answers: sumOf("sygnal_pushgateway_status_codes_total"),
    ok: sumOf("sygnal_pushgateway_status_codes_total", { code: "200" }),
    bad: sumOf("sygnal_pushgateway_status_codes_total", { code: "400" }),
    notifyTimes: sumOf("sygnal_notify_time_count", { code: "200" }),
    inFlight: sumOf("sygnal_requests_in_flight", { resource: "V1NotifyHandler" }),
    apns200: sumOf("sygnal_apns_status_codes_total", { pushkin: IOS, code: "200" }),
    apns410: sumOf("sygnal_apns_status_codes_total", { pushkin: IOS, code: "410" }),
    apnsTimes: sumOf("sygnal_apns_request_time_count"),
    gcm200: sumOf("sygnal_gcm_status_codes_total", { pushkin: ANDROID, code: "200" }),
    gcm404: sumOf("sygnal_gcm_status_codes_total", { pushkin: ANDROID, code: "404" }),
    gcmTimes: sumOf("sygnal_gcm_request_time_count"),
    gcmWaits: sumOf("sygnal_gcm_queue_time_count"),
    webTimes: sumOf("sygnal_webpush_request_time_count"),
  }).toEqual({
    notifications: 8,
    devices: 8,
    ios: 2,
    android: 2,
    web: 2,
    glob: 1,
    globApns: 1,
    answers: 9,
    ok: 8,
    bad: 1,
    notifyTimes: 8,
    inFlight: 0,
    apns200: 1,
    apns410: 1,
    apnsTimes: 3,
    gcm200: 1,
    gcm404: 1,
    gcmTimes: 2,
    gcmWaits: 2,
    webTimes: 2,
  });
  expect(sumOf("sygnal_client_cert_expiry", { pushkin: CERTIFIED })).toBeGreaterThan(Date.now() / 1000);
  expect(matching("sygnal_inflight_request_limit_drop_total", []).map(({ value }) => value)).toEqual([
    0, 0, 0, 0, 0,
  ]);
});
