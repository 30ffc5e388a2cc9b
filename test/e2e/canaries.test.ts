import { found, runCanaries } from "../support/canaries.ts";
import { startGateway } from "../support/with-gateway.ts";

it("lets no pushkey, token, password, content, name or query into logs, metrics, traces, errors or arguments", async () => {
  const leaks = await runCanaries(startGateway);
  // It has looked at something: every kind of end is in the log, and all the spans are there.
  for (const word of [
    "push delivered",
    "push rejected",
    "push dropped",
    "push accepted",
    "request refused",
  ]) {
    expect(leaks.logs).toContain(word);
  }
  expect(leaks.logs).toContain('"level":"error"');
  expect(leaks.metrics).toContain("signalbox_outcomes_total");
  expect(leaks.traces).toContain("pushgateway_v1_notify");
  expect(leaks.traces).toContain("apns_dispatch_try");
  expect(leaks.errors).toContain("error");
  expect(leaks.processArguments).not.toBe("");
  expect(found(leaks)).toEqual([]);
}, 60_000);
