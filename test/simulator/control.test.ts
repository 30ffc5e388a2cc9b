import { startSimulators } from "../../src/simulator/index.ts";
import type { Simulators } from "../../src/simulator/index.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { providerToken, RawClient } from "./raw-client.ts";
import type { RawAnswer } from "./raw-client.ts";

const clock = createFakeClock();
let simulators: Simulators;
let client: RawClient;
let authorization: string;

beforeAll(async () => {
  simulators = await startSimulators({ clock, controlPort: 0, apnsSandbox: {} });
  authorization = `bearer ${providerToken(simulators.credentials.apnsKey, clock.now())}`;
});
beforeEach(async () => {
  await call("POST", "/reset");
  client = await RawClient.connect(simulators.apns.url, simulators.credentials);
});
afterEach(() => client.close());
afterAll(() => simulators.stop());

/** Every field that some answer of the control server has. */
interface ControlBody {
  readonly ids: readonly number[];
  readonly rules: readonly { readonly id: number; readonly used: number }[];
  readonly records: readonly { readonly path: string; readonly sequence: number }[];
  readonly counts: object;
  readonly error: string;
}

async function call(
  method: string,
  path: string,
  body?: unknown,
): Promise<{ readonly status: number; readonly body: ControlBody }> {
  const response = await fetch(`${simulators.control?.url}${path}`, {
    method,
    ...(body === undefined
      ? {}
      : {
          headers: { "content-type": "application/json" },
          body: typeof body === "string" ? body : JSON.stringify(body),
        }),
  });
  return { status: response.status, body: (await response.json()) as ControlBody };
}

const push = (token = "aa"): Promise<RawAnswer> =>
  client.request(
    { ":path": `/3/device/${token}`, authorization, "apns-topic": "com.example.app" },
    '{"aps":{"badge":1}}',
  );

describe("the control server", () => {
  it("says where the simulators listen", async () => {
    const { body } = await call("GET", "/");
    expect(body).toMatchObject({
      apns: { url: simulators.apns.url, connections: 1 },
      apnsSandbox: { url: simulators.apnsSandbox?.url, connections: 0 },
      fcm: { url: simulators.fcm.url, tokenUri: `${simulators.fcm.url}/token` },
      counts: { requests: 0, accepted: 0, answers: {} },
    });
  });

  it("takes rules, one or many, lists and removes them", async () => {
    const hang = { answer: { kind: "hang" } };
    const one = await call("POST", "/rules", {
      token: "aa",
      answer: { kind: "error", reason: "Unregistered" },
    });
    const many = await call("POST", "/rules", [hang, hang]);
    expect([one.status, many.status]).toEqual([201, 201]);
    expect((await push()).status).toBe(410);
    const { rules } = (await call("GET", "/rules")).body;
    expect(rules.map((rule) => rule.id)).toEqual([...one.body.ids, ...many.body.ids]);
    expect(rules[0]?.used).toBe(1);
    expect((await call("DELETE", `/rules/${one.body.ids[0]}`)).status).toBe(200);
    expect((await call("DELETE", `/rules/${one.body.ids[0]}`)).status).toBe(404);
    await call("DELETE", "/rules");
    expect((await push()).status).toBe(200);
  });

  it("gives the records, filtered", async () => {
    await push("aa");
    await push("zz");
    await push("bb");
    const all = (await call("GET", "/records")).body;
    expect(all.records.map((record) => record.path)).toEqual([
      "/3/device/aa",
      "/3/device/zz",
      "/3/device/bb",
    ]);
    expect(all.counts).toMatchObject({ requests: 3, accepted: 2 });
    const accepted = (await call("GET", `/records?accepted=true&after=${all.records[0]?.sequence}`)).body
      .records;
    expect(accepted).toHaveLength(1);
    expect(accepted[0]).toMatchObject({ token: "bb", payload: { aps: { badge: 1 } }, accepted: true });
    expect((await call("GET", "/records?limit=1")).body.records).toHaveLength(1);
    expect((await call("GET", "/records?upstream=fcm")).body.records).toEqual([]);
  });

  it("registers devices, also for both environments of APNs", async () => {
    await call("POST", "/devices", [
      { upstream: "apns", token: "AA", state: "unregistered", diedAtMs: 5 },
      { upstream: "apns", token: "bb", environment: "sandbox" },
      { upstream: "fcm", token: "phone", state: "dead" },
    ]);
    expect(JSON.parse((await push("aa")).body)).toEqual({ reason: "Unregistered", timestamp: 5 });
    expect(JSON.parse((await push("bb")).body)).toEqual({ reason: "BadDeviceToken" });
    await call("POST", "/reset");
    expect((await push("aa")).status).toBe(200);
  });

  it("acts on connections", async () => {
    await push();
    await call("POST", "/connections", { upstream: "fcm", close: true });
    await call("POST", "/connections", { upstream: "apns", maxConcurrentStreams: 7 });
    expect((await push()).status).toBe(200);
    expect(client.limits).toEqual([1, 1000, 7]);
    await call("POST", "/connections", { goaway: { code: 2, debugData: "bye" } });
    await client.closed;
    expect(client.goaways[0]).toMatchObject({ code: 2, data: "bye" });
  });

  it("sets latency and the life of access tokens, and revokes them", async () => {
    await call("POST", "/latency", { upstream: "apns", delay: 50 });
    const slow = push();
    await simulators.recorder.waitFor(1);
    await clock.advance(50);
    expect((await slow).status).toBe(200);
    const token = simulators.fcm.oauth.issue();
    await call("POST", "/access-tokens", { revoke: true, expiresInS: 9 });
    expect(simulators.fcm.oauth.stateOf(token)).toBe("expired");
    expect(simulators.fcm.oauth.expiresInS).toBe(9);
  });

  it.each<[string, string, unknown, number]>([
    ["an unknown key", "/rules", { tokn: "aa" }, 400],
    ["an unknown kind of answer", "/rules", { answer: { kind: "explode" } }, 400],
    ["a ratio over 1", "/rules", { ratio: 2 }, 400],
    [
      "a header that HTTP cannot carry",
      "/rules",
      { answer: { kind: "raw", status: 500, headers: { a: "b\nc" } } },
      400,
    ],
    [
      "a header of HTTP/1 alone",
      "/rules",
      { answer: { kind: "raw", status: 500, headers: { Connection: "x" } } },
      400,
    ],
    [
      "a Retry-After of two lines",
      "/rules",
      { answer: { kind: "error", reason: "x", retryAfter: "1\n2" } },
      400,
    ],
    ["no body", "/rules", undefined, 400],
    ["a body that is not JSON", "/rules", "{", 400],
    ["a device without state", "/devices", [{ upstream: "fcm", token: "x" }], 400],
    ["a body over a megabyte", "/rules", { token: "x".repeat(1_100_000) }, 413],
    ["an unknown route", "/nothing", {}, 404],
  ])("refuses %s with a reason", async (_name, path, body, status) => {
    const answer = await call("POST", path, body);
    expect(answer.status).toBe(status);
    expect(answer.body.error).toMatch(/\w/);
    expect(simulators.script.list()).toEqual([]);
  });
});
