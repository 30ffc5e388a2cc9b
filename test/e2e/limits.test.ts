import { asBob, startRegistry } from "../support/registry-gateway.ts";
import {
  ANDROID,
  IOS,
  iosPushkey,
  message,
  startGateway,
  type RunningGateway,
} from "../support/with-gateway.ts";

let gateway: RunningGateway;
afterEach(() => gateway.stop());

const ios = (pushkey: string): object => ({ app_id: IOS, pushkey });
const limited = (limit: string, app = ""): Promise<number> =>
  gateway.metric(`signalbox_limited_total{app="${app}",limit="${limit}"}`);

describe("limits.per_device", () => {
  it("makes one of a flood to one device, promised and sent in its turn, and touches no other (H23)", async () => {
    gateway = await startGateway({ config: { limits: { per_device: "5/s" } } });
    const [stolen, other] = [iosPushkey("dead"), iosPushkey("beef")];
    const flood = Array.from({ length: 200 }, () => gateway.notify(message([ios(stolen)])));
    const beside = await gateway.notify(message([ios(other)]));
    expect(beside).toMatchObject({ status: 200, body: { rejected: [] } });
    expect((await Promise.all(flood)).map(({ status }) => status)).toEqual(Array<number>(200).fill(200));
    const pending = (): Promise<number> =>
      gateway.metric(`signalbox_outbox_pushes{app="${IOS}",state="pending"}`);
    for (let i = 0; (await pending()) > 0 && i < 100; i += 1)
      await new Promise((done) => setTimeout(done, 50));
    expect(await pending()).toBe(0);
    // Five at once, perhaps some more in the time that the flood took, one for all the rest, and the other device's.
    expect(gateway.asked()).toBeGreaterThanOrEqual(7);
    expect(gateway.asked()).toBeLessThan(40);
    expect(await limited("device", IOS)).toBeGreaterThan(150);
  });

  it("is refused with memory:, since nothing can be promised", async () => {
    gateway = await startGateway({ config: { limits: { per_device: "1/h" }, store: { url: "memory:" } } });
    const device = ios(iosPushkey("dead"));
    expect(await gateway.notify(message([device]))).toMatchObject({ status: 200 });
    const refused = await gateway.notify(message([device]));
    expect(refused.status).toBeGreaterThanOrEqual(429);
    expect(refused.headers["retry-after"]).toBeDefined();
    expect(gateway.asked()).toBe(1);
  });
});

describe("limits.per_app", () => {
  it("keeps an app's pushes for their turn, and touches no other app", async () => {
    gateway = await startGateway({ config: { limits: { per_app: "2/h" } } });
    const sent = await Promise.all(
      [1, 2, 3, 4].map((n) => gateway.notify(message([ios(iosPushkey(`0${n}`))]))),
    );
    expect(sent.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(gateway.asked()).toBe(2);
    expect(await gateway.metric(`signalbox_outbox_pushes{app="${IOS}",state="pending"}`)).toBe(2);
    expect(await limited("app", IOS)).toBe(2);
    await gateway.notify(message([{ app_id: ANDROID, pushkey: "android-token" }]));
    expect(gateway.asked()).toBe(3);
  });
});

describe("limits.per_source", () => {
  it("is 429 with the time to wait, for every path but the health check (H24)", async () => {
    gateway = await startGateway({ config: { limits: { per_source: "3/h" } } });
    const { origin } = new URL(gateway.url);
    const statuses: number[] = [];
    for (let i = 0; i < 5; i += 1)
      statuses.push((await gateway.notify(message([ios(iosPushkey(`0${i}`))]))).status);
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
    const response = await fetch(`${origin}/nowhere`);
    expect(response.status).toBe(429);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await response.json()).toMatchObject({
      errcode: "M_LIMIT_EXCEEDED",
      retry_after_ms: expect.any(Number),
    });
    expect((await fetch(`${origin}/health`)).status).toBe(200);
    expect(await limited("source")).toBe(3);
  });

  it("counts by what a trusted proxy says, and an IPv6 subscriber once (H26)", async () => {
    gateway = await startGateway({
      config: { limits: { per_source: "1/h" }, http: { port: 0, trusted_proxies: ["127.0.0.1"] } },
    });
    const { origin } = new URL(gateway.url);
    const from = async (address: string): Promise<number> =>
      (await fetch(`${origin}/nowhere`, { headers: { "x-forwarded-for": address } })).status;
    expect(await from("192.0.2.1")).toBe(404);
    expect(await from("192.0.2.1")).toBe(429);
    expect(await from("198.51.100.9, 192.0.2.1")).toBe(429);
    expect(await from("192.0.2.2")).toBe(404);
    expect(await from("2001:db8:0:1::1")).toBe(404);
    expect(await from("2001:DB8::1:ffff:0:0:2")).toBe(429);
    expect(await from("2001:db8:0:2::1")).toBe(404);
  });
});

describe("limits of the registry's doors", () => {
  it("are 429 in the door's form, and each is counted by its name", async () => {
    const registry = await startRegistry({}, { config: { limits: { per_account: "2/h" } } });
    gateway = registry;
    const ask = async (headers: Record<string, string>): Promise<Response> =>
      fetch(`${registry.origin}/api/push`, { headers });
    const statuses: number[] = [];
    for (let i = 0; i < 4; i += 1) statuses.push((await ask(asBob)).status);
    expect(statuses).toEqual([200, 200, 429, 429]);
    expect(await limited("account")).toBe(2);
    for (let i = 0; i < 19; i += 1) expect((await ask({ authorization: `Bearer ${i}` })).status).toBe(401);
    const response = await ask({ authorization: "Bearer 20" });
    expect([response.status, await response.json()]).toEqual([429, { error: "Too many requests." }]);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await limited("credentials")).toBe(1);
    expect(await limited("source")).toBe(0);
  });
});
