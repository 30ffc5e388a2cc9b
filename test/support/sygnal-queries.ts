/** Sygnal's own dashboard, as far as it is known by its series (sygnal-compat 13): it asks for `job="sygnal"`. */
export const sygnalQueries = [
  'rate(process_cpu_seconds_total{job="sygnal"}[5m])',
  'process_resident_memory_bytes{job="sygnal"}',
  'process_open_fds{job="sygnal"}',
  'process_max_fds{job="sygnal"}',
  'rate(sygnal_notifications_devices_received_total{job="sygnal"}[5m])',
  'sum by (pushkin) (rate(sygnal_per_pushkin_type_total{job="sygnal"}[5m]))',
  'sum by (le) (rate(sygnal_notify_time_bucket{job="sygnal",code="200"}[5m]))',
  'histogram_quantile(0.99, sum by (le) (rate(sygnal_notify_time_bucket{job="sygnal",code="200"}[5m])))',
  'rate(sygnal_notify_time_sum{job="sygnal",code="200"}[5m]) / rate(sygnal_notify_time_count{job="sygnal",code="200"}[5m])',
  'sum by (code) (rate(sygnal_pushgateway_status_codes_total{job="sygnal"}[5m]))',
  'sygnal_requests_in_flight{job="sygnal"}',
  'sygnal_pending_gcm_requests{job="sygnal"}',
  'sygnal_active_gcm_requests{job="sygnal"}',
  'sum by (le) (rate(sygnal_gcm_queue_time_bucket{job="sygnal"}[5m]))',
  'rate(sygnal_gcm_queue_time_sum{job="sygnal"}[5m]) / rate(sygnal_gcm_queue_time_count{job="sygnal"}[5m])',
  'sum by (le) (rate(sygnal_gcm_request_time_bucket{job="sygnal"}[5m]))',
  'rate(sygnal_gcm_request_time_sum{job="sygnal"}[5m]) / rate(sygnal_gcm_request_time_count{job="sygnal"}[5m])',
  'sum by (pushkin, code) (rate(sygnal_gcm_status_codes_total{job="sygnal"}[5m]))',
  'sygnal_active_apns_requests{job="sygnal"}',
  'sum by (le) (rate(sygnal_apns_request_time_bucket{job="sygnal"}[5m]))',
  'rate(sygnal_apns_request_time_sum{job="sygnal"}[5m]) / rate(sygnal_apns_request_time_count{job="sygnal"}[5m])',
  'sum by (pushkin, code) (rate(sygnal_apns_status_codes_total{job="sygnal"}[5m]))',
] as const;

/** A series that a query names, with the labels that it asks for. */
export interface QueriedSeries {
  readonly name: string;
  /** Label matchers that ask for one value, `job` included. */
  readonly equal: readonly (readonly [label: string, value: string])[];
  /** All labels: matched, or kept by an aggregation. */
  readonly labels: readonly string[];
}

/** The series in a query. */
export function seriesIn(expr: string): readonly QueriedSeries[] {
  const grouped = [...expr.matchAll(/\b(?:by|without) \(([^)]*)\)/g)].flatMap(([, list = ""]) =>
    list.split(/, */),
  );
  const names = [...expr.matchAll(/\b((?:sygnal|signalbox|process|nodejs)_[a-z_]+)(?:\{([^}]*)\})?/g)];
  return names.map(([, name = "", matchers = ""]) => ({
    name,
    equal: [...matchers.matchAll(/(\w+) *= *"([^"]*)"/g)].map(
      ([, label = "", value = ""]) => [label, value] as const,
    ),
    labels: [...[...matchers.matchAll(/(\w+) *(?:=~|!~|!=|=)/g)].map(([, label = ""]) => label), ...grouped],
  }));
}
