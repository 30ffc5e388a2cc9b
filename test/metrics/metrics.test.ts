import type { AttemptEvent, SettledEvent } from "../../src/core/observer.ts";
import type { Outcome } from "../../src/core/outcome.ts";
import type { Push } from "../../src/core/push.ts";
import type { AppState } from "../../src/metrics/app-state.ts";
import { createMetrics, type Metrics, type MetricsOptions } from "../../src/metrics/metrics.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { metricNames } from "../../src/metrics/names.ts";

const push: Push = {
  id: "00000000-0000-4000-8000-000000000001",
  appId: "com.example.ios.dev",
  pushkey: "secret-pushkey",
  content: { kind: "matrix", form: "counts", data: {}, defaultPayload: {} },
  priority: "high",
  urgency: "badge",
  receivedAtMs: 0,
  expiresAtMs: 1,
};

const ios = "com.example.ios.*";
const android = "com.example.android";

let open: Metrics[] = [];
afterEach(() => {
  for (const metrics of open) metrics.close();
  open = [];
});

function metricsWith(options: Partial<MetricsOptions> = {}): Metrics {
  const metrics = createMetrics({
    apps: [{ name: ios }, { name: android }],
    clock: createFakeClock(),
    version: "1.2.3",
    ...options,
  });
  open.push(metrics);
  return metrics;
}

/** The samples of a scrape: `name{labels}` to value. */
async function scrape(metrics: Metrics): Promise<ReadonlyMap<string, number>> {
  const samples = new Map<string, number>();
  for (const line of (await metrics.registry.metrics()).split("\n")) {
    const match = /^([^#\s].*) (\S+)$/.exec(line);
    if (match?.[1] !== undefined) samples.set(match[1], Number(match[2]));
  }
  return samples;
}

const attemptEnded = (pushkin: string, outcome: Outcome, more: Partial<AttemptEvent> = {}): AttemptEvent => ({
  app: pushkin === "apns" ? ios : android,
  pushkin,
  upstream: "api.push.apple.com",
  isUsersChoice: false,
  facts: push,
  attempt: 1,
  outcome,
  durationMs: 300,
  ...more,
});
const stateOf = (app: string, pushkin: string, more: Partial<AppState> = {}): AppState => ({
  app,
  pushkin,
  waiting: 0,
  openCircuits: 0,
  ...more,
});
const settledAs = (settled: SettledEvent["settled"], app: string | undefined = ios): SettledEvent => ({
  ...(app === undefined ? {} : { app }),
  push,
  device: "d".repeat(64),
  settled,
  durationMs: 5,
  attempts: 1,
});

describe("Sygnal's series", () => {
  it("are present from the start, those per app at 0 for every app", async () => {
    const samples = await scrape(metricsWith());
    expect(samples.get(`sygnal_inflight_request_limit_drop_total{pushkin="${ios}"}`)).toBe(0);
    expect(samples.get(`sygnal_inflight_request_limit_drop_total{pushkin="${android}"}`)).toBe(0);
    expect(samples.get('sygnal_requests_in_flight{resource="V1NotifyHandler"}')).toBe(0);
    expect(samples.get("sygnal_notifications_received_total")).toBe(0);
    expect(samples.get("sygnal_notifications_devices_received_total")).toBe(0);
    expect(samples.get("sygnal_active_apns_requests")).toBe(0);
    expect(samples.get("sygnal_gcm_queue_time_count")).toBe(0);
    const text = await metricsWith().registry.metrics();
    expect(text).not.toContain("python_");
    for (const name of [
      "cpu_seconds_total",
      "resident_memory_bytes",
      "virtual_memory_bytes",
      "start_time_seconds",
    ]) {
      expect(text).toContain(`\nprocess_${name} `);
    }
    expect(text).toContain("\nprocess_open_fds ");
    expect(text).toContain("\nprocess_max_fds ");
  });

  it("have the name, the type and the labels that Sygnal gives them (sygnal-compat 13)", () => {
    const listed = Object.values(metricNames)
      .filter(({ name }) => name.startsWith("sygnal_"))
      .map(({ name, type, labels }) => [name, type, ...labels].join(" "))
      .sort();
    expect(listed).toEqual(
      [
        "sygnal_webpush_queue_time histogram",
        "sygnal_webpush_request_time histogram",
        "sygnal_pending_webpush_requests gauge",
        "sygnal_active_webpush_requests gauge",
        "sygnal_notifications_received_total counter",
        "sygnal_notifications_devices_received_total counter",
        "sygnal_per_pushkin_type_total counter pushkin",
        "sygnal_pushgateway_status_codes_total counter code",
        "sygnal_notify_time histogram code",
        "sygnal_requests_in_flight gauge resource",
        "sygnal_inflight_request_limit_drop_total counter pushkin",
        "sygnal_gcm_queue_time histogram",
        "sygnal_gcm_request_time histogram",
        "sygnal_pending_gcm_requests gauge",
        "sygnal_active_gcm_requests gauge",
        "sygnal_gcm_status_codes_total counter pushkin code",
        "sygnal_apns_request_time histogram",
        "sygnal_active_apns_requests gauge",
        "sygnal_apns_status_codes_total counter pushkin code",
        "sygnal_client_cert_expiry gauge pushkin",
      ].sort(),
    );
  });

  it("count the Matrix door and no other", async () => {
    const metrics = metricsWith();
    const { httpObserver } = metrics;
    for (const door of ["matrix", "softphone"]) {
      httpObserver.inFlight(door, 1);
      const request = { door, requestId: "1", trace: {} };
      httpObserver.notificationReceived({ ...request, elapsedMs: 1, pushes: [] });
      httpObserver.answered({ ...request, status: 200, dispatched: true, durationMs: 60 });
      httpObserver.answered({ ...request, status: 400, dispatched: false, durationMs: 1 });
    }
    metrics.observer.deviceReceived(push);
    metrics.observer.deviceReceived(push);
    let samples = await scrape(metrics);
    expect(samples.get("sygnal_notifications_received_total")).toBe(1);
    expect(samples.get("sygnal_notifications_devices_received_total")).toBe(2);
    expect(samples.get('sygnal_requests_in_flight{resource="V1NotifyHandler"}')).toBe(1);
    expect(samples.get('sygnal_pushgateway_status_codes_total{code="200"}')).toBe(1);
    expect(samples.get('sygnal_pushgateway_status_codes_total{code="400"}')).toBe(1);
    expect(samples.get('sygnal_notify_time_bucket{le="0.05",code="200"}')).toBe(0);
    expect(samples.get('sygnal_notify_time_bucket{le="0.075",code="200"}')).toBe(1);
    expect(samples.get('sygnal_notify_time_sum{code="200"}')).toBeCloseTo(0.06);
    // Refused before dispatch: counted by code, not timed.
    expect(samples.has('sygnal_notify_time_count{code="400"}')).toBe(false);
    expect(samples.get('signalbox_door_answers_total{door="softphone",code="200"}')).toBe(1);
    httpObserver.inFlight("matrix", -1);
    samples = await scrape(metrics);
    expect(samples.get('sygnal_requests_in_flight{resource="V1NotifyHandler"}')).toBe(0);
  });

  it("tell APNs attempts by the app's key and the HTTP status", async () => {
    const metrics = metricsWith();
    metrics.observer.handed(ios, "apns");
    metrics.observer.attemptStarted(ios, "apns");
    metrics.observer.attemptStarted(ios, "apns");
    const dead: Outcome = {
      kind: "rejected",
      reason: "unregistered",
      answer: { status: 410, reason: "Unregistered" },
    };
    metrics.observer.attemptEnded(attemptEnded("apns", dead, { queueMs: 100 }));
    const samples = await scrape(metrics);
    expect(samples.get(`sygnal_per_pushkin_type_total{pushkin="${ios}"}`)).toBe(1);
    expect(samples.get(`sygnal_apns_status_codes_total{pushkin="${ios}",code="410"}`)).toBe(1);
    expect(samples.get("sygnal_active_apns_requests")).toBe(1);
    expect(samples.get("sygnal_apns_request_time_sum")).toBeCloseTo(0.3);
    expect(samples.get("sygnal_gcm_request_time_count")).toBe(0);
  });

  it("tell FCM's wait and request apart, and no status where no answer came", async () => {
    const metrics = metricsWith({
      appStates: () => [stateOf(android, "gcm", { waiting: 7 }), stateOf(ios, "apns")],
    });
    metrics.observer.attemptStarted(android, "gcm");
    metrics.observer.attemptEnded(
      attemptEnded("gcm", { kind: "delivered", answer: { status: 200 } }, { queueMs: 100 }),
    );
    metrics.observer.attemptStarted(android, "gcm");
    metrics.observer.attemptEnded(attemptEnded("gcm", { kind: "retryable", reason: "connect" }));
    const samples = await scrape(metrics);
    expect(samples.get("sygnal_gcm_queue_time_sum")).toBeCloseTo(0.1);
    expect(samples.get("sygnal_gcm_queue_time_count")).toBe(1);
    expect(samples.get("sygnal_gcm_request_time_sum")).toBeCloseTo(0.2 + 0.3);
    expect(samples.get(`sygnal_gcm_status_codes_total{pushkin="${android}",code="200"}`)).toBe(1);
    expect([...samples.keys()].filter((key) => key.startsWith("sygnal_gcm_status_codes_total"))).toHaveLength(
      1,
    );
    expect(samples.get("sygnal_active_gcm_requests")).toBe(0);
    expect(samples.get("sygnal_pending_gcm_requests")).toBe(7);
    expect(samples.get(`signalbox_attempts_total{app="${android}",status="2xx"}`)).toBe(1);
    expect(samples.get(`signalbox_attempts_total{app="${android}",status="none"}`)).toBe(1);
  });

  it("tell Web Push's wait, request and what is under way", async () => {
    const metrics = metricsWith({ appStates: () => [stateOf("web", "webpush", { waiting: 3 })] });
    metrics.observer.attemptStarted("web", "webpush");
    metrics.observer.attemptStarted("web", "webpush");
    metrics.observer.attemptEnded(
      attemptEnded("webpush", { kind: "delivered", answer: { status: 201 } }, { queueMs: 100 }),
    );
    const samples = await scrape(metrics);
    expect(samples.get("sygnal_webpush_queue_time_sum")).toBeCloseTo(0.1);
    expect(samples.get("sygnal_webpush_request_time_sum")).toBeCloseTo(0.2);
    expect(samples.get("sygnal_active_webpush_requests")).toBe(1);
    expect(samples.get("sygnal_pending_webpush_requests")).toBe(3);
  });

  it("count pushes turned away and tell when a certificate ends", async () => {
    const metrics = metricsWith();
    metrics.observer.overloaded(android);
    metrics.certificatesInUse([{ app: ios, expiresAtMs: 1_800_000_000_999 }]);
    const samples = await scrape(metrics);
    expect(samples.get(`sygnal_inflight_request_limit_drop_total{pushkin="${android}"}`)).toBe(1);
    expect(samples.get(`sygnal_client_cert_expiry{pushkin="${ios}"}`)).toBe(1_800_000_000);
  });
});

describe("our own series", () => {
  it.each<[string, SettledEvent["settled"], string]>([
    ["delivered", { kind: "delivered" }, 'kind="delivered",reason=""'],
    ["accepted", { kind: "accepted" }, 'kind="accepted",reason=""'],
    ["rejected", { kind: "rejected", reason: "bad-token" }, 'kind="rejected",reason="bad-token"'],
    ["retryable", { kind: "retryable", reason: "timeout" }, 'kind="retryable",reason="timeout"'],
    ["dropped", { kind: "dropped", reason: "too-large" }, 'kind="dropped",reason="too-large"'],
  ])("count a push that was %s", async (_title, settled, labels) => {
    const metrics = metricsWith();
    metrics.observer.settled(settledAs(settled));
    expect((await scrape(metrics)).get(`signalbox_outcomes_total{app="${ios}",${labels}}`)).toBe(1);
  });

  it("count a push without an app under an empty app, never under what the sender wrote", async () => {
    const metrics = metricsWith();
    const { app: _app, ...event } = settledAs({ kind: "rejected", reason: "unknown-app" });
    metrics.observer.settled(event);
    const text = await metrics.registry.metrics();
    expect(text).toContain('signalbox_outcomes_total{app="",kind="rejected",reason="unknown-app"} 1');
    expect(text).not.toContain(push.appId);
    expect(text).not.toContain(push.pushkey);
  });

  it("count duplicates and known-dead pushkeys, at 0 from the start", async () => {
    const metrics = metricsWith();
    const duplicates = `signalbox_duplicates_suppressed_total{app="${ios}"}`;
    const knownDead = `signalbox_known_dead_total{app="${ios}"}`;
    let samples = await scrape(metrics);
    expect([samples.get(duplicates), samples.get(knownDead)]).toEqual([0, 0]);
    metrics.observer.settled(settledAs({ kind: "dropped", reason: "duplicate" }));
    metrics.observer.settled(settledAs({ kind: "rejected", reason: "known-dead" }));
    samples = await scrape(metrics);
    expect([samples.get(duplicates), samples.get(knownDead)]).toEqual([1, 1]);
  });

  it("count alarms, and held rejections by the alarms that tell of them", async () => {
    const metrics = metricsWith();
    const message = "a sentence";
    metrics.observer.alarm({ app: ios, alarm: "rejections-held-unproven", message });
    metrics.observer.alarm({ app: ios, alarm: "rejections-held-mass", message });
    metrics.observer.alarm({ app: ios, alarm: "credentials", message });
    metrics.observer.alarm({ alarm: "store", message });
    const samples = await scrape(metrics);
    expect(samples.get(`signalbox_held_rejections_total{app="${ios}"}`)).toBe(2);
    expect(samples.get(`signalbox_held_rejections_total{app="${android}"}`)).toBe(0);
    expect(samples.get(`signalbox_alarms_total{app="${ios}",alarm="credentials"}`)).toBe(1);
    expect(samples.get('signalbox_alarms_total{app="",alarm="store"}')).toBe(1);
  });

  it("ask the store and the log at each scrape, and leave out what fails", async () => {
    let count = 3;
    let fails = false;
    const metrics = metricsWith({
      rememberedRejections: async () => {
        if (fails) throw new Error("closed");
        return new Map([[ios, count]]);
      },
      logLinesDropped: () => count,
    });
    const remembered = `signalbox_remembered_rejections{app="${ios}"}`;
    let samples = await scrape(metrics);
    expect([samples.get(remembered), samples.get("signalbox_log_lines_dropped_total")]).toEqual([3, 3]);
    count = 5;
    samples = await scrape(metrics);
    expect([samples.get(remembered), samples.get("signalbox_log_lines_dropped_total")]).toEqual([5, 5]);
    fails = true;
    samples = await scrape(metrics);
    expect(samples.has(remembered)).toBe(false);
    expect(samples.get("signalbox_log_lines_dropped_total")).toBe(5);
  });

  it("do not wait for a store that does not answer", async () => {
    const clock = createFakeClock();
    const metrics = metricsWith({ clock, rememberedRejections: () => new Promise(() => {}) });
    const samples = scrape(metrics);
    await clock.advance(2000);
    expect((await samples).get("sygnal_notifications_received_total")).toBe(0);
  });

  it("show apps that a reload added, and what runs", async () => {
    const metrics = metricsWith({ apps: [] });
    metrics.observer.overloaded(ios);
    metrics.configured([{ name: ios }, { name: android }]);
    const samples = await scrape(metrics);
    expect(samples.get(`sygnal_inflight_request_limit_drop_total{pushkin="${android}"}`)).toBe(0);
    expect(samples.get(`sygnal_inflight_request_limit_drop_total{pushkin="${ios}"}`)).toBe(1);
    expect(samples.get(`signalbox_build_info{version="1.2.3",node="${process.versions.node}"}`)).toBe(1);
    expect(samples.get('signalbox_event_loop_delay_seconds{quantile="1"}')).toBeGreaterThanOrEqual(0);
  });

  it("have every name that is in the list, and none beside it", async () => {
    const metrics = metricsWith({
      appStates: () => [],
      oldestReceivedAtMs: async () => undefined,
      threads: () => ({ serving: 1, wanted: 1 }),
      logLinesDropped: () => 0,
      rememberedRejections: async () => new Map(),
      registeredDevices: async () => 0,
      outboxCounts: async () => new Map(),
    });
    const registered = [...(await metrics.registry.metrics()).matchAll(/^# TYPE (\S+) (\S+)$/gm)]
      .map(([, name, type]) => `${name} ${type}`)
      .filter((line) => /^(sygnal|signalbox)_/.test(line));
    expect(registered.sort()).toEqual(
      Object.values(metricNames)
        .map(({ name, type }) => `${name} ${type}`)
        .sort(),
    );
  });

  it("shows the outbox's states, whose sum is what was accepted, and what ended after its answer", async () => {
    const states = {
      accepted: 9,
      handed: 3,
      rejected: 1,
      expired: 1,
      dropped: 2,
      pending: 2,
      pendingBytes: 700,
    };
    const metrics = metricsWith({ outboxCounts: async () => new Map([[ios, states]]) });
    metrics.observer.concluded({
      app: ios,
      pushkin: "apns",
      facts: push,
      device: "d".repeat(64),
      outcome: { kind: "dropped", reason: "expired" },
      attempts: 3,
    });
    metrics.observer.superseded({ app: ios, pushkin: "apns", device: "", push: push.id, attempts: 0 });
    const samples = await scrape(metrics);
    for (const state of ["accepted", "handed", "rejected", "expired", "dropped", "pending"] as const) {
      expect(samples.get(`signalbox_outbox_pushes{app="${ios}",state="${state}"}`)).toBe(states[state]);
    }
    expect(samples.get(`signalbox_outbox_pending_bytes{app="${ios}"}`)).toBe(700);
    for (const reason of ["expired", "superseded"])
      expect(samples.get(`signalbox_concluded_total{app="${ios}",kind="dropped",reason="${reason}"}`)).toBe(
        1,
      );
  });

  it("show each app's connections, circuits and guard, and drop an app that is gone", async () => {
    let states = [
      stateOf(ios, "apns", {
        openCircuits: 1,
        connections: { open: 2, streams: 5 },
        holding: "mass-rejection",
      }),
      stateOf("web", "webpush", { waiting: 4 }),
    ];
    const metrics = metricsWith({ appStates: () => states });
    const samples = await scrape(metrics);
    expect(samples.get(`signalbox_circuits_open{app="${ios}"}`)).toBe(1);
    expect(samples.get('signalbox_circuits_open{app="web"}')).toBe(0);
    expect(samples.get(`signalbox_upstream_connections{app="${ios}"}`)).toBe(2);
    expect(samples.get(`signalbox_upstream_streams{app="${ios}"}`)).toBe(5);
    expect(samples.has('signalbox_upstream_connections{app="web"}')).toBe(false);
    expect(samples.get('signalbox_upstream_waiting{app="web"}')).toBe(4);
    expect(samples.get(`signalbox_guard_holding{app="${ios}",reason="mass-rejection"}`)).toBe(1);
    expect(samples.get(`signalbox_guard_holding{app="${ios}",reason="never-succeeded"}`)).toBe(0);
    states = [];
    expect([...(await scrape(metrics)).keys()].filter((key) => key.startsWith("signalbox_circuits"))).toEqual(
      [],
    );
  });

  it("tell how long the oldest promised push waits, and how long commits take", async () => {
    const clock = createFakeClock();
    const receivedAtMs = clock.now();
    await clock.advance(90_000);
    const metrics = metricsWith({ clock, oldestReceivedAtMs: async () => receivedAtMs });
    metrics.storeCommitted(0.004);
    const samples = await scrape(metrics);
    expect(samples.get("signalbox_outbox_oldest_seconds")).toBe(90);
    expect(samples.get('signalbox_store_commit_duration_seconds_bucket{le="0.0025"}')).toBe(0);
    expect(samples.get('signalbox_store_commit_duration_seconds_bucket{le="0.005"}')).toBe(1);
    const idle = await scrape(metricsWith({ oldestReceivedAtMs: async () => undefined }));
    expect(idle.get("signalbox_outbox_oldest_seconds")).toBe(0);
  });

  it("make no series of hosts that strangers choose", async () => {
    const metrics = metricsWith();
    for (const upstream of ["a.example", "b.example", "web.push.apple.com", "x.notify.windows.com"]) {
      metrics.observer.attemptEnded(
        attemptEnded("webpush", { kind: "delivered" }, { upstream, isUsersChoice: true }),
      );
    }
    const text = await metrics.registry.metrics();
    const upstreams = new Set([...text.matchAll(/upstream="([^"]*)"/g)].map(([, upstream]) => upstream));
    expect([...upstreams].sort()).toEqual(["notify.windows.com", "other", "web.push.apple.com"]);
  });

  it("tell when the public listener's certificate ends", async () => {
    const metrics = metricsWith();
    metrics.certificatesInUse([{ expiresAtMs: 1_800_000_000_000 }]);
    const series = 'signalbox_credential_expiry_timestamp_seconds{app="",credential="listener-certificate"}';
    expect((await scrape(metrics)).get(series)).toBe(1_800_000_000);
  });

  it("say nothing any more of a certificate that is out of use", async () => {
    const metrics = metricsWith();
    metrics.certificatesInUse([
      { app: ios, expiresAtMs: 1_800_000_000_000 },
      { app: "com.example.removed", expiresAtMs: 1_700_000_000_000 },
    ]);
    metrics.certificatesInUse([{ app: ios, expiresAtMs: 1_900_000_000_000 }]);
    const ends = [...(await scrape(metrics))].filter(([name]) => /expiry/.test(name));
    expect(ends).toEqual([
      [`sygnal_client_cert_expiry{pushkin="${ios}"}`, 1_900_000_000],
      [
        `signalbox_credential_expiry_timestamp_seconds{app="${ios}",credential="client-certificate"}`,
        1_900_000_000,
      ],
    ]);
  });
});
