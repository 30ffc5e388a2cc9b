import { jest } from "@jest/globals";
import type { SettledEvent } from "../../src/core/observer.ts";
import type { Log } from "../../src/log.ts";
import { found, runCanaries } from "../support/canaries.ts";

/*
 * The control of canaries.test.ts: the same run with what keeps secrets in switched off. Log lines tell the whole event
 * instead of allowed fields, spans name the event instead of its hash, a metric is labelled with the sender's app_id,
 * the process is called by a pushkey, and a refusal repeats the body. If the search did not find the canaries here, finding none there would prove nothing.
 */
// Jest's `process` is a copy, which can be called what one likes.
const ownProcess = process.getBuiltinModule("node:process");
const { title } = ownProcess;
afterAll(() => {
  ownProcess.title = title;
});
const line = await import("../../src/log/line.ts");
jest.unstable_mockModule("../../src/log/line.ts", () => ({
  ...line,
  cleanFields: (fields: object | undefined) => ({ ...fields }),
}));
const observers = await import("../../src/log-observer.ts");
jest.unstable_mockModule("../../src/log-observer.ts", () => ({
  ...observers,
  createLogObserver: (log: Log, clock: never) => ({
    ...observers.createLogObserver(log, clock),
    settled(event: SettledEvent) {
      log.debug(`push ${event.settled.kind}`, { device: event.push.pushkey });
      // What a process is called stands among its arguments.
      ownProcess.title = event.push.pushkey;
    },
  }),
}));
jest.unstable_mockModule("../../src/gateway/tracing.ts", async () => {
  const { startTracing } = await import("../../src/tracing/tracing.ts");
  return {
    openTracing: async (config: { tracing: { endpoint: string } }, clock: never) =>
      startTracing({
        endpoint: config.tracing.endpoint,
        serviceName: "signalbox",
        share: 1,
        clock,
        version: "1",
        eventDigest: (eventId) => eventId,
      }),
  };
});
const metrics = await import("../../src/metrics/metrics.ts");
jest.unstable_mockModule("../../src/metrics/metrics.ts", () => ({
  ...metrics,
  createMetrics(options: Parameters<typeof metrics.createMetrics>[0]) {
    const made = metrics.createMetrics(options);
    const { observer } = made;
    return {
      ...made,
      observer: {
        ...observer,
        settled: (event: SettledEvent) => observer.settled({ ...event, app: event.push.appId }),
      },
    };
  },
}));
const bodies = await import("../../src/http/body.ts");
let lastText = "";
jest.unstable_mockModule("../../src/http/body.ts", () => ({
  ...bodies,
  async readText(...given: Parameters<typeof bodies.readText>) {
    const text = await bodies.readText(...given);
    if (typeof text === "string") lastText = text;
    return text;
  },
}));
const answers = await import("../../src/http/answer.ts");
jest.unstable_mockModule("../../src/http/answer.ts", () => ({
  ...answers,
  errorAnswer: (error: Parameters<typeof answers.errorAnswer>[0]) => ({
    ...answers.errorAnswer(error),
    body: JSON.stringify({ error: lastText }),
  }),
}));

it("the same run finds the canaries once redaction is switched off", async () => {
  const { startGateway } = await import("../support/with-gateway.ts");
  const leaks = await runCanaries(startGateway);
  expect([...found(leaks)].sort()).toEqual(["errors", "logs", "metrics", "processArguments", "traces"]);
}, 60_000);
