import { startSimulators } from "../../src/simulator/index.ts";
import type { Simulators } from "../../src/simulator/index.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { providerToken, RawClient } from "./raw-client.ts";
import type { RawAnswer } from "./raw-client.ts";
import { GOAWAY, RudeClient } from "./rude-client.ts";

const clock = createFakeClock();
let simulators: Simulators;
let client: RawClient;
let authorization: string;

beforeAll(async () => {
  simulators = await startSimulators({ clock });
  authorization = `bearer ${providerToken(simulators.credentials.apnsKey, clock.now())}`;
});
beforeEach(async () => {
  simulators.recorder.clear();
  simulators.script.clear();
  client = await RawClient.connect(simulators.apns.url, simulators.credentials);
});
afterEach(() => client.close());
afterAll(() => simulators.stop());

const push = (token = "aa"): Promise<RawAnswer> =>
  client.request(
    { ":path": `/3/device/${token}`, authorization, "apns-topic": "com.example.app" },
    '{"aps":{"alert":"Hello"}}',
  );
const accepted = (): number => simulators.recorder.counts.accepted;

describe("a scripted answer", () => {
  it("is any status, reason and timestamp, with Retry-After as it was given", async () => {
    simulators.script.add(
      { token: "aa", answer: { kind: "error", reason: "Unregistered", timestamp: 1234567890123 } },
      { token: "bb", answer: { kind: "error", reason: "SomethingNew", status: 418 } },
      {
        token: "cc",
        answer: { kind: "error", reason: "TooManyRequests", retryAfter: "Fri, 31 Dec 2027 23:59:59 GMT" },
      },
    );
    const gone = await push("aa");
    expect([gone.status, gone.body]).toEqual([410, '{"reason":"Unregistered","timestamp":1234567890123}']);
    const teapot = await push("bb");
    expect([teapot.status, teapot.body]).toEqual([418, '{"reason":"SomethingNew"}']);
    const slow = await push("cc");
    expect([slow.status, slow.headers["retry-after"]]).toEqual([429, "Fri, 31 Dec 2027 23:59:59 GMT"]);
    expect((await push("dd")).status).toBe(200);
    expect(accepted()).toBe(1);
  });

  it("never hides a request that is wrong by itself", async () => {
    simulators.script.add({ times: 1, answer: { kind: "error", reason: "Shutdown" } });
    const wrong = await client.request(
      { ":path": "/3/device/aa", authorization, "apns-topic": "com.example.app" },
      "",
    );
    expect(JSON.parse(wrong.body)).toEqual({ reason: "PayloadEmpty" });
    expect(JSON.parse((await push()).body)).toEqual({ reason: "Shutdown" });
  });

  it("is a proxy's HTML, or a huge body", async () => {
    simulators.script.add(
      { times: 1, answer: { kind: "raw", status: 502 } },
      {
        times: 1,
        answer: { kind: "raw", status: 500, bodyBytes: 3_000_000, headers: { "content-type": "text/plain" } },
      },
    );
    const html = await push();
    expect([html.status, html.headers["content-type"]]).toEqual([502, "text/html; charset=UTF-8"]);
    expect(html.body).toContain("<h1>502 Bad Gateway</h1>");
    const huge = await push();
    expect([huge.status, huge.body.length, huge.headers["content-type"]]).toEqual([
      500,
      3_000_000,
      "text/plain",
    ]);
  });

  it("is a reset with its code", async () => {
    simulators.script.add({ times: 1, answer: { kind: "reset", code: 7 } });
    const reset = await push();
    expect([reset.status, reset.rstCode]).toEqual([0, 7]);
    expect(simulators.recorder.counts.answers).toEqual({ "apns reset 7": 1 });
    expect((await push()).status).toBe(200);
  });

  it("is nothing at all, although the push counts when the script says so", async () => {
    simulators.script.add({ times: 1, answer: { kind: "hang" }, accepted: true });
    let ended = false;
    void push().then(() => (ended = true));
    await simulators.recorder.waitFor(1);
    expect((await push("bb")).status).toBe(200);
    expect(ended).toBe(false);
    expect(accepted()).toBe(2);
  });

  it("is a cut connection", async () => {
    simulators.script.add({ times: 1, answer: { kind: "close" } });
    expect((await push()).status).toBe(0);
    await client.closed;
    expect(client.goaways).toEqual([]);
    expect(simulators.recorder.counts.answers).toEqual({ "apns close": 1 });
  });

  it("comes late, by the simulator's clock", async () => {
    simulators.script.add({ times: 1, delay: 5000 });
    simulators.apns.latency = 100;
    const order: string[] = [];
    const slow = push("aa").then(() => order.push("slow"));
    const usual = push("bb").then(() => order.push("usual"));
    await simulators.recorder.waitFor(2);
    await clock.advance(100);
    await usual;
    expect(order).toEqual(["usual"]);
    await clock.advance(4900);
    await slow;
    simulators.apns.latency = 0;
    expect(order).toEqual(["usual", "slow"]);
  });
});

describe("GOAWAY", () => {
  it("without error lets the running requests end, then closes", async () => {
    simulators.script.add({ times: 1, goaway: { debugData: '{"reason":"Shutdown"}' }, delay: 1000 });
    const last = push();
    await simulators.recorder.waitFor(1);
    await clock.advance(1000);
    expect((await last).status).toBe(200);
    await client.closed;
    expect(client.goaways[0]).toEqual({ code: 0, lastStreamId: 1, data: '{"reason":"Shutdown"}' });
  });

  it("with an error closes at once and carries its data", async () => {
    simulators.apns.connections.goaway({ code: 7, debugData: '{"reason":"BadCertificateEnvironment"}' });
    await client.closed;
    expect(client.goaways).toEqual([
      { code: 7, lastStreamId: 0, data: '{"reason":"BadCertificateEnvironment"}' },
    ]);
  });

  it("with an error is one frame and then the end, however slow the client is to leave", async () => {
    const rude = await RudeClient.connect(simulators.apns.port, simulators.credentials.caPem);
    simulators.apns.connections.goaway({ code: 7, debugData: "bye" });
    await rude.closed();
    const goaways = rude.frames.filter((frame) => frame.type === GOAWAY);
    expect(goaways.map((frame) => frame.payload.readUInt32BE(4))).toEqual([7]);
  });

  it("with an earlier last stream refuses the request it answers", async () => {
    expect((await push("aa")).status).toBe(200);
    simulators.script.add({ times: 1, goaway: { lastStreamId: 1 } });
    const refused = await push("bb");
    expect([refused.status, refused.rstCode]).toEqual([0, 7]);
    expect(client.goaways[0]).toMatchObject({ code: 0, lastStreamId: 1 });
    expect(accepted()).toBe(1);
  });

  it("comes every n requests when a rule says so", async () => {
    simulators.script.add({ every: 3, goaway: {} });
    const seen: number[] = [];
    for (let i = 1; i <= 7; i += 1) {
      expect((await push()).status).toBe(200);
      if (client.goaways.length === 0) continue;
      seen.push(i);
      await client.closed;
      client = await RawClient.connect(simulators.apns.url, simulators.credentials);
    }
    expect(seen).toEqual([3, 6]);
  });
});

describe("SETTINGS", () => {
  it("change the limit on a rule's connection, or on all", async () => {
    expect((await push()).status).toBe(200);
    simulators.script.add({ times: 1, maxConcurrentStreams: 3 });
    await push();
    expect(client.limits).toEqual([1, 1000, 3]);
    simulators.apns.connections.maxConcurrentStreams(50);
    await new Promise((resolve) => client.session.once("remoteSettings", resolve));
    expect(client.limits.at(-1)).toBe(50);
  });
});

describe("connections", () => {
  it("are counted, and cut all at once", async () => {
    expect(simulators.apns.connections.open).toHaveLength(1);
    const before = simulators.apns.connections.total;
    const second = await RawClient.connect(simulators.apns.url, simulators.credentials);
    expect(simulators.apns.connections.total).toBe(before + 1);
    simulators.apns.connections.closeAll();
    await Promise.all([client.closed, second.closed]);
  });
});
