import { tracingTarget } from "../../src/metrics/config.ts";
import { startForwardProxy } from "../support/forward-proxy.ts";
import { startCollector, type Collector } from "../support/collector.ts";
import { ANDROID, IOS, iosPushkey, message, startGateway } from "../support/with-gateway.ts";

type Attributes = readonly {
  readonly key: string;
  readonly value: {
    readonly stringValue?: string;
    readonly intValue?: number | string;
    readonly boolValue?: boolean;
  };
}[];

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Attributes;
  readonly events?: readonly { readonly name: string; readonly attributes: Attributes }[];
}

interface Export {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: Attributes };
    readonly scopeSpans: readonly { readonly spans: readonly Span[] }[];
  }[];
}

function spansOf(collector: Collector): readonly Span[] {
  return collector.requests
    .flatMap(({ body }) => (JSON.parse(body) as Export).resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans)
    .flatMap(({ spans }) => spans);
}

function attributes(span: { readonly attributes: Attributes } | undefined): Record<string, unknown> {
  const entries = (span?.attributes ?? []).map(
    ({ key, value }) => [key, value.stringValue ?? value.boolValue ?? Number(value.intValue)] as const,
  );
  return Object.fromEntries(entries);
}

const caller = { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7" };
const SECRET = "canary-7d1f";

let collector: Collector;
beforeEach(async () => {
  collector = await startCollector();
});
afterEach(() => collector.close());

describe("tracing", () => {
  it("sends a request's spans under Sygnal's names, as children of the caller's, without content", async () => {
    const gateway = await startGateway({
      config: { tracing: { endpoint: collector.url, service_name: "push" } },
    });
    gateway.simulators.script.add({
      upstream: "fcm",
      times: 1,
      answer: { kind: "error", reason: "UNAVAILABLE", retryAfter: "0" },
    });
    const notification = message(
      [
        { app_id: IOS, pushkey: iosPushkey("aa"), data: { note: SECRET } },
        { app_id: ANDROID, pushkey: `${SECRET}-pushkey` },
      ],
      { event_id: `$${SECRET}`, sender_display_name: SECRET, content: { msgtype: "m.text", body: SECRET } },
    );
    const answer = await fetch(`${gateway.url}?${SECRET}`, {
      method: "POST",
      headers: { traceparent: `00-${caller.traceId}-${caller.spanId}-01`, authorization: `Bearer ${SECRET}` },
      body: JSON.stringify({ notification }),
    });
    expect(answer.status).toBe(200);
    const bad = await fetch(gateway.url, {
      method: "POST",
      headers: { "uber-trace-id": `${caller.traceId}:${caller.spanId}:0:1` },
      body: "{}",
    });
    expect(bad.status).toBe(400);
    await gateway.stop();

    const spans = spansOf(collector);
    const named = (name: string): readonly Span[] => spans.filter((span) => span.name === name);
    const [request, refused] = named("pushgateway_v1_notify");
    for (const root of [request, refused]) {
      expect(root).toMatchObject({ traceId: caller.traceId, parentSpanId: caller.spanId });
    }
    expect(attributes(request)).toEqual({
      "span.kind": "server",
      request_id: answer.headers.get("x-request-id"),
      has_content: true,
      event_id: expect.stringMatching(/^[0-9a-f]{8}$/),
      "http.status_code": 200,
    });
    expect(attributes(refused)).toMatchObject({ "http.status_code": 400, error: true });
    const [apns] = named("apns_dispatch");
    const [apnsTry] = named("apns_dispatch_try");
    expect(apns?.parentSpanId).toBe(request?.spanId);
    expect(apnsTry?.parentSpanId).toBe(apns?.spanId);
    expect(attributes(apnsTry)).toMatchObject({
      retry_num: 0,
      "http.status_code": 200,
      apns_reason: "None",
      apns_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    const [gcm] = named("gcm_dispatch");
    expect(gcm?.parentSpanId).toBe(request?.spanId);
    expect(gcm?.events?.map(({ name }) => name)).toContain("temporary_fail");
    expect(attributes(gcm)).toMatchObject({ gcm_num_devices: 1 });
    expect(attributes(named("gcm_dispatch_try")[0])).toMatchObject({ retry_num: 0, "http.status_code": 503 });
    for (const span of spans) {
      expect(BigInt(span.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(span.startTimeUnixNano));
    }
    expect(collector.requests.every(({ path }) => path === "/v1/traces")).toBe(true);
    expect(JSON.stringify(collector.requests)).not.toContain(SECRET);
    expect(JSON.stringify(collector.requests)).not.toContain(iosPushkey("aa"));
    expect(collector.requests[0]?.body).toContain('"push"');
  });

  it("tells of what came to nothing, of waits and of repeats, as Sygnal does (sygnal-compat 15)", async () => {
    const gateway = await startGateway({
      config: { tracing: { endpoint: collector.url }, delivery: { answer_within: "2s" } },
    });
    const { fcm, script } = gateway.simulators;
    script.add(
      { upstream: "fcm", times: 1, answer: { kind: "error", reason: "UNAVAILABLE", retryAfter: "20" } },
      { upstream: "apns", times: 1, answer: { kind: "error", reason: "ServiceUnavailable" } },
    );
    fcm.setDevice("dead", "dead");
    // No event and no count: an iPhone has nothing to show of it.
    await gateway.notify({ devices: [{ app_id: IOS, pushkey: iosPushkey("ad") }] });
    await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey("ae") }]));
    await gateway.notify(message([{ app_id: ANDROID, pushkey: "alive" }]));
    await gateway.notify(message([{ app_id: ANDROID, pushkey: "dead" }]));
    await gateway.stop();

    const named = (name: string): readonly Span[] => spansOf(collector).filter((span) => span.name === name);
    const events = (span: Span | undefined) => span?.events?.map((one) => [one.name, attributes(one)]);
    expect(attributes(named("pushgateway_v1_notify")[0])).toMatchObject({ has_content: false });
    const [empty, repeated] = named("apns_dispatch");
    expect(events(empty)).toEqual([["apns_no_payload", {}]]);
    expect(events(repeated)?.map(([name]) => name)).toEqual(["temporary_fail"]);
    expect(named("apns_dispatch_try").map(attributes)).toMatchObject([
      { retry_num: 0, "http.status_code": 503, apns_reason: "ServiceUnavailable" },
      { retry_num: 1, "http.status_code": 200, apns_reason: "None" },
    ]);
    const [waiting, dead] = named("gcm_dispatch");
    expect(attributes(waiting)).toMatchObject({ gcm_num_devices: 1, gcm_num_failed: 0 });
    expect(events(waiting)).toEqual([["temporary_fail", { retrying_in: 20 }]]);
    expect(events(named("gcm_dispatch_try")[0])).toEqual([["gcm_retry_after", { gcm_retry_after: 20 }]]);
    expect(attributes(dead)).toMatchObject({ gcm_num_devices: 1, gcm_num_failed: 1 });
  });

  it("goes past the proxy for pushes, as Sygnal's tracer does (sygnal-compat 16)", async () => {
    const proxy = await startForwardProxy();
    proxy.answer = 503;
    const gateway = await startGateway({
      config: {
        proxy: proxy.url.href,
        tracing: { endpoint: collector.url },
        delivery: { answer_within: "200ms" },
      },
    });
    await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey("af") }]));
    await gateway.stop();
    await proxy.close();
    expect(spansOf(collector).map(({ name }) => name)).toContain("apns_dispatch_try");
    expect(proxy.asked.length).toBeGreaterThan(0);
    expect(proxy.asked.filter(({ target }) => target.endsWith(`:${collector.port}`))).toEqual([]);
  });

  it("leaves what the caller does not sample, and what the share leaves out", async () => {
    const gateway = await startGateway({ config: { tracing: { endpoint: collector.url, share: 0 } } });
    for (const headers of [{}, { traceparent: `00-${caller.traceId}-${caller.spanId}-00` }]) {
      const body = JSON.stringify({ notification: message([{ app_id: IOS, pushkey: iosPushkey("ab") }]) });
      await fetch(gateway.url, { method: "POST", headers, body });
    }
    await gateway.stop();
    expect(spansOf(collector)).toEqual([]);
  });

  it("costs a push nothing when the collector is away, and tells it when it is back", async () => {
    const { port } = collector;
    await collector.close();
    const gateway = await startGateway({ config: { tracing: { endpoint: collector.url } } });
    const { status } = await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey("ac") }]));
    expect(status).toBe(200);
    await gateway.stop();
    // What the stop did not wait for goes on by itself, until it is sent or five seconds are over.
    collector = await startCollector(port);
    await collector.untilRequests(1);
    expect(spansOf(collector).map(({ name }) => name)).toContain("apns_dispatch");
  });
});

describe("metrics.opentracing", () => {
  const tracing = { service_name: "signalbox", share: 1 };
  const opentracing = (jaeger: object, enabled = true) =>
    tracingTarget(tracing, {
      opentracing: { enabled, implementation: "jaeger", service_name: "sygnal", jaeger: { ...jaeger } },
    });

  it.each([
    [
      "its agent's host",
      { local_agent: { reporting_host: "jaeger", reporting_port: 6831 } },
      "http://jaeger:4318",
      1,
    ],
    ["this machine", {}, "http://127.0.0.1:4318", 1],
    [
      "a part of the requests",
      { sampler: { type: "probabilistic", param: 0.25 } },
      "http://127.0.0.1:4318",
      0.25,
    ],
    ["none", { sampler: { type: "const", param: 0 } }, "http://127.0.0.1:4318", 0],
    [
      "all, where a server would decide",
      { sampler: { type: "remote", param: 0.1 } },
      "http://127.0.0.1:4318",
      1,
    ],
  ])("sends to %s", (_title, jaeger, endpoint, share) => {
    expect(opentracing(jaeger)).toEqual({ endpoint, share, serviceName: "sygnal" });
  });

  it("is off when it is, and gives way to `tracing`", () => {
    expect(opentracing({}, false)).toBeUndefined();
    const target = tracingTarget(
      { ...tracing, endpoint: "http://collector:4318" },
      { opentracing: { enabled: true, implementation: "jaeger", service_name: "sygnal", jaeger: {} } },
    );
    expect(target).toMatchObject({ endpoint: "http://collector:4318", serviceName: "signalbox" });
  });
});
