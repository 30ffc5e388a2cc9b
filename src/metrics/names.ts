/** What there is to know of a metric before anything is counted. */
export interface MetricDefinition {
  /** As it is scraped; counters end in `_total`. */
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** One sentence. */
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds, in seconds; histograms only. */
  readonly buckets?: readonly number[];
  /** Where several threads have it, the largest counts; absent = the sum. */
  readonly acrossThreads?: "max";
}

/** Sygnal's buckets, the same for every histogram (sygnal-compat 13): its dashboards keep working. */
const sygnalBuckets = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] as const;

/** The status classes of `signalbox_attempts_total`; `none` = no answer came. */
export const statusClasses = ["2xx", "3xx", "4xx", "5xx", "none"] as const;

/**
 * Every metric of the gateway but the process's own; `docs/metrics.md` is printed from it. First Sygnal's, under its
 * names, labels and meaning (sygnal-compat 13), then ours. Where a label is called `pushkin`, its value is the app's
 * key in the configuration, as it is in Sygnal.
 */
export const metricNames = {
  notificationsReceived: {
    name: "sygnal_notifications_received_total",
    type: "counter",
    help: "Matrix notifications received and understood.",
    labels: [],
  },
  devicesReceived: {
    name: "sygnal_notifications_devices_received_total",
    type: "counter",
    help: "Devices that notifications were for, before their app is looked up.",
    labels: [],
  },
  perPushkin: {
    name: "sygnal_per_pushkin_type_total",
    type: "counter",
    help: "Pushes handed to an app.",
    labels: ["pushkin"],
  },
  notifyStatusCodes: {
    name: "sygnal_pushgateway_status_codes_total",
    type: "counter",
    help: "Answers of the notify endpoint, by HTTP status.",
    labels: ["code"],
  },
  notifyTime: {
    name: "sygnal_notify_time",
    type: "histogram",
    help: "Seconds from a notify request that was dispatched to its answer, by HTTP status.",
    labels: ["code"],
    buckets: sygnalBuckets,
  },
  requestsInFlight: {
    name: "sygnal_requests_in_flight",
    type: "gauge",
    help: "Notify requests under way.",
    labels: ["resource"],
  },
  inflightLimitDrop: {
    name: "sygnal_inflight_request_limit_drop_total",
    type: "counter",
    help: "Pushes turned away because their app had too many under way.",
    labels: ["pushkin"],
  },
  gcmQueueTime: {
    name: "sygnal_gcm_queue_time",
    type: "histogram",
    help: "Seconds that a request to FCM waited for a connection or a free stream.",
    labels: [],
    buckets: sygnalBuckets,
  },
  gcmRequestTime: {
    name: "sygnal_gcm_request_time",
    type: "histogram",
    help: "Seconds that one request to FCM took once it was sent.",
    labels: [],
    buckets: sygnalBuckets,
  },
  gcmPending: {
    name: "sygnal_pending_gcm_requests",
    type: "gauge",
    help: "Requests to FCM that wait for a connection or a free stream.",
    labels: [],
  },
  gcmActive: {
    name: "sygnal_active_gcm_requests",
    type: "gauge",
    help: "Requests to FCM under way.",
    labels: [],
  },
  gcmStatusCodes: {
    name: "sygnal_gcm_status_codes_total",
    type: "counter",
    help: "Answers of FCM, by HTTP status.",
    labels: ["pushkin", "code"],
  },
  webpushQueueTime: {
    name: "sygnal_webpush_queue_time",
    type: "histogram",
    help: "Seconds that a request to a Web Push service waited for its turn.",
    labels: [],
    buckets: sygnalBuckets,
  },
  webpushRequestTime: {
    name: "sygnal_webpush_request_time",
    type: "histogram",
    help: "Seconds that one request to a Web Push service took once it was its turn.",
    labels: [],
    buckets: sygnalBuckets,
  },
  webpushPending: {
    name: "sygnal_pending_webpush_requests",
    type: "gauge",
    help: "Requests to Web Push services that wait for their turn.",
    labels: [],
  },
  webpushActive: {
    name: "sygnal_active_webpush_requests",
    type: "gauge",
    help: "Requests to Web Push services under way.",
    labels: [],
  },
  apnsRequestTime: {
    name: "sygnal_apns_request_time",
    type: "histogram",
    help: "Seconds that one attempt at APNs took, the wait for a connection included.",
    labels: [],
    buckets: sygnalBuckets,
  },
  apnsActive: {
    name: "sygnal_active_apns_requests",
    type: "gauge",
    help: "Requests to APNs under way.",
    labels: [],
  },
  apnsStatusCodes: {
    name: "sygnal_apns_status_codes_total",
    type: "counter",
    help: "Answers of APNs, by HTTP status.",
    labels: ["pushkin", "code"],
  },
  clientCertExpiry: {
    name: "sygnal_client_cert_expiry",
    type: "gauge",
    help: "When an app's APNs client certificate expires, in seconds since 1970.",
    labels: ["pushkin"],
    acrossThreads: "max",
  },

  outcomes: {
    name: "signalbox_outcomes_total",
    type: "counter",
    help: "Pushes answered to their sender, by what became of them and why; app is empty when none was found.",
    labels: ["app", "kind", "reason"],
  },
  attempts: {
    name: "signalbox_attempts_total",
    type: "counter",
    help: "Attempts at an upstream, by the class of its HTTP status; none = no answer came.",
    labels: ["app", "status"],
  },
  attemptDuration: {
    name: "signalbox_attempt_duration_seconds",
    type: "histogram",
    help: "Seconds that one attempt took, the wait for a connection included; of hosts that users choose the known push services are told apart, the others are other.",
    labels: ["app", "upstream"],
    buckets: sygnalBuckets,
  },
  circuitsOpen: {
    name: "signalbox_circuits_open",
    type: "gauge",
    help: "Upstream hosts that are left alone because they fail or refuse the app's credentials; one is probed every few seconds.",
    labels: ["app"],
    acrossThreads: "max",
  },
  upstreamConnections: {
    name: "signalbox_upstream_connections",
    type: "gauge",
    help: "HTTP/2 connections to APNs or FCM that stand.",
    labels: ["app"],
  },
  upstreamStreams: {
    name: "signalbox_upstream_streams",
    type: "gauge",
    help: "Requests under way on the connections to APNs or FCM.",
    labels: ["app"],
  },
  upstreamWaiting: {
    name: "signalbox_upstream_waiting",
    type: "gauge",
    help: "Requests that wait for a connection, a free stream or their turn at a push service.",
    labels: ["app"],
  },
  credentialExpiry: {
    name: "signalbox_credential_expiry_timestamp_seconds",
    type: "gauge",
    help: "When a certificate ends, in seconds since 1970: an app's client certificate, or with an empty app the public listener's.",
    labels: ["app", "credential"],
    acrossThreads: "max",
  },
  alarms: {
    name: "signalbox_alarms_total",
    type: "counter",
    help: "Times that something happened which an operator must look at; app is empty when it concerns the gateway.",
    labels: ["app", "alarm"],
  },
  heldRejections: {
    name: "signalbox_held_rejections_total",
    type: "counter",
    help: "Rejections that were held back because they look like a mistake of the configuration.",
    labels: ["app"],
  },
  guardHolding: {
    name: "signalbox_guard_holding",
    type: "gauge",
    help: "Is 1 while rejections are held back: nothing has succeeded yet with these settings, or too many tokens look dead.",
    labels: ["app", "reason"],
    acrossThreads: "max",
  },
  rememberedRejections: {
    name: "signalbox_remembered_rejections",
    type: "gauge",
    help: "Dead pushkeys that the store remembers.",
    labels: ["app"],
  },
  registeredDevices: {
    name: "signalbox_registered_devices",
    type: "gauge",
    help: "Devices in the registry, as they were within the last minute; registry.max_devices bounds them.",
    labels: [],
  },
  outboxPushes: {
    name: "signalbox_outbox_pushes",
    type: "gauge",
    help: "Promised pushes by state since the store was made: accepted is the sum of the other states.",
    labels: ["app", "state"],
  },
  outboxPendingBytes: {
    name: "signalbox_outbox_pending_bytes",
    type: "gauge",
    help: "Bytes of promised pushes that wait.",
    labels: ["app"],
  },
  outboxOldest: {
    name: "signalbox_outbox_oldest_seconds",
    type: "gauge",
    help: "How long the oldest promised push has waited; 0 when none waits.",
    labels: [],
  },
  storeCommit: {
    name: "signalbox_store_commit_duration_seconds",
    type: "histogram",
    help: "Seconds until the store had pushes on disk that were promised, the wait for its writer included.",
    labels: [],
    buckets: [0.001, 0.0025, ...sygnalBuckets],
  },
  concluded: {
    name: "signalbox_concluded_total",
    type: "counter",
    help: "Promised pushes that ended after their sender had been answered, by outcome; superseded = a newer one of the device took its place.",
    labels: ["app", "kind", "reason"],
  },
  duplicatesSuppressed: {
    name: "signalbox_duplicates_suppressed_total",
    type: "counter",
    help: "Pushes not sent because the same one had been delivered.",
    labels: ["app"],
  },
  knownDead: {
    name: "signalbox_known_dead_total",
    type: "counter",
    help: "Pushes rejected from memory, without asking the upstream.",
    labels: ["app"],
  },
  limited: {
    name: "signalbox_limited_total",
    type: "counter",
    help: "What a limit kept back: requests by source, account or credentials (after many wrong ones), with an empty app; pushes by app or device.",
    labels: ["app", "limit"],
  },
  doorAnswers: {
    name: "signalbox_door_answers_total",
    type: "counter",
    help: "Answers of each front door, by HTTP status.",
    labels: ["door", "code"],
  },
  unreadableRequests: {
    name: "signalbox_unreadable_requests_total",
    type: "counter",
    help: "Connections that brought no complete HTTP request, by the status they were refused with; 0 = none could be sent.",
    labels: ["code"],
  },
  threads: {
    name: "signalbox_threads",
    type: "gauge",
    help: "Threads that serve (workers), and those that are missing: ended, and to be started again.",
    labels: ["state"],
  },
  eventLoopDelay: {
    name: "signalbox_event_loop_delay_seconds",
    type: "gauge",
    help: "How late the event loop ran since the last scrape; quantile 1 is the worst case.",
    labels: ["quantile"],
    acrossThreads: "max",
  },
  logLinesDropped: {
    name: "signalbox_log_lines_dropped_total",
    type: "counter",
    help: "Log lines dropped because nobody took them.",
    labels: [],
  },
  buildInfo: {
    name: "signalbox_build_info",
    type: "gauge",
    help: "Always 1; the labels tell which version runs on which Node.",
    labels: ["version", "node"],
    acrossThreads: "max",
  },
} as const satisfies Record<string, MetricDefinition>;
