import { createServer } from "node:http";
import { startForwardProxy, type ForwardProxy, type ProxyAnswer } from "../support/forward-proxy.ts";
import { listen } from "../support/upstream-server.ts";
import {
  ANDROID,
  IOS,
  iosPushkey,
  message,
  startGateway,
  type RunningGateway,
} from "../support/with-gateway.ts";

/*
 * `proxy` (sygnal-compat 16): everything outgoing goes through it, nothing past it, whatever it does costs a wait and
 * no push, and nobody learns its password.
 */
const WEB = "com.example.web";
const UP = "com.example.up";
const USER = "operator";
const PASSWORD = "p:4ss@canary?";
const CREDENTIALS = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString("base64")}`;
/** How the password could come out: as it is, as in the file, as on the wire. */
const SECRETS = ["canary", PASSWORD, encodeURIComponent(PASSWORD), CREDENTIALS.slice(6)];
const everyUpstream = ["apns", "fcm", "unifiedpush", "webpush"];
const ok = [200, { rejected: [] }];

// What other programs take from the environment, libraries in this process included.
const environment = {
  ...Object.fromEntries(
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].map((name) => [
      name,
      "http://127.0.0.1:1",
    ]),
  ),
  NO_PROXY: "*",
  no_proxy: "*",
};
const before = { ...process.env };
beforeAll(() => void Object.assign(process.env, environment));
afterAll(() => {
  for (const name of Object.keys(environment)) delete process.env[name];
  Object.assign(process.env, before);
});

/** A gateway behind a proxy that wants credentials. */
class Rig {
  readonly proxy: ForwardProxy;
  readonly gateway: RunningGateway;

  private constructor(proxy: ForwardProxy, gateway: RunningGateway) {
    this.proxy = proxy;
    this.gateway = gateway;
  }

  /** Lends one; afterwards its log and its metrics are searched for the password. */
  static async with<T>(work: (rig: Rig) => Promise<T>, password = PASSWORD): Promise<T> {
    const proxy = await startForwardProxy(CREDENTIALS);
    const gateway = await startGateway({
      config: {
        proxy: proxyUrl(proxy, password),
        delivery: { answer_within: "300ms" },
        outbound: { allow_addresses: ["127.0.0.0/8"], allow_http: true },
      },
      apps: (_base, files) => ({
        [WEB]: {
          type: "webpush",
          vapid_private_key: files.vapidKey,
          vapid_contact_email: "operator@example.com",
          ca_file: files.ca,
        },
        [UP]: { type: "unifiedpush", ca_file: files.ca },
      }),
    });
    try {
      const result = await work(new Rig(proxy, gateway));
      const said = [...gateway.logLines, ...(await gateway.metrics()).split("\n")];
      expect(said.filter((line) => SECRETS.some((secret) => line.includes(secret)))).toEqual([]);
      return result;
    } finally {
      await gateway.stop();
      await proxy.close();
    }
  }

  /** Notifies one new device at each upstream; gives the answer's status and body. */
  async notify(): Promise<readonly unknown[]> {
    const { webPush, unifiedPush } = this.gateway.simulators;
    const { endpoint, keys } = webPush.subscribe();
    const mark = crypto.randomUUID().replaceAll("-", "");
    const { status, body } = await this.gateway.notify(
      message([
        { app_id: IOS, pushkey: iosPushkey(mark) },
        { app_id: ANDROID, pushkey: `android-${mark}` },
        { app_id: WEB, pushkey: keys.p256dh, data: { endpoint, auth: keys.auth } },
        { app_id: UP, pushkey: unifiedPush.register().endpoint },
      ]),
    );
    return [status, body];
  }

  /** Upstreams that have taken a push, sorted. */
  get reached(): readonly string[] {
    return this.gateway.simulators.recorder.requests
      .filter(({ accepted, upstream }) => accepted && upstream !== "oauth")
      .map(({ upstream }) => upstream)
      .toSorted();
  }

  async arrived(pushes: number): Promise<void> {
    const endMs = performance.now() + 30_000;
    while (this.reached.length < pushes && performance.now() < endMs)
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect(this.reached).toEqual(everyUpstream.flatMap((one) => Array<string>(pushes / 4).fill(one)));
  }
}

function proxyUrl({ port }: ForwardProxy, password: string): string {
  return `http://${USER}:${encodeURIComponent(password)}@127.0.0.1:${port}`;
}

it("carries APNs, FCM, its access token, Web Push and UnifiedPush, whatever the environment says", () =>
  Rig.with(async (rig) => {
    expect(await rig.notify()).toEqual(ok);
    await rig.arrived(4);
    const { apns, fcm, webPush, unifiedPush } = rig.gateway.simulators;
    expect(fcm.oauth.requests).toBe(1);
    const portsAsked = rig.proxy.asked.map(({ target }) => Number(target.split(":").at(-1)));
    // FCM and its token are two connections.
    const ports = [apns.port, fcm.port, fcm.port, webPush.port, unifiedPush.port];
    expect(portsAsked.toSorted()).toEqual(ports.toSorted());
    expect(new Set(rig.proxy.asked.map(({ credentials }) => credentials))).toEqual(new Set([CREDENTIALS]));
  }));

it("carries a push to a plain http endpoint too, which Sygnal sends without the credentials", () =>
  Rig.with(async (rig) => {
    const bodies: string[] = [];
    const server = createServer((request, response) => {
      request.on("data", (chunk) => bodies.push(String(chunk)));
      request.on("end", () => response.writeHead(201).end());
    });
    const ntfy = await listen(server);
    try {
      const device = { app_id: UP, pushkey: `http://127.0.0.1:${ntfy.port}/up?up=1` };
      const { status, body } = await rig.gateway.notify(message([device]));
      expect([status, body]).toEqual(ok);
      expect(bodies).toHaveLength(1);
      expect(rig.proxy.asked).toEqual([{ target: `127.0.0.1:${ntfy.port}`, credentials: CREDENTIALS }]);
    } finally {
      await ntfy.close();
    }
  }));

describe("costs no push: all are kept, nothing goes past it, and they arrive when it is back, though it", () => {
  const cases: readonly (readonly [what: string, answer: ProxyAnswer])[] = [
    ["refuses the credentials (407)", 407],
    ["answers 503", 503],
    ["closes without an answer", "close"],
    ["hangs (G-16)", "hang"],
  ];

  async function lose(answer: ProxyAnswer): Promise<void> {
    await Rig.with(async (rig) => {
      rig.proxy.answer = answer;
      const startedMs = performance.now();
      expect(await rig.notify()).toEqual(ok);
      expect(performance.now() - startedMs).toBeLessThan(3_000);
      expect(rig.gateway.simulators.recorder.requests).toEqual([]);
      for (const app of [IOS, ANDROID, WEB, UP]) {
        expect(await rig.gateway.metric(`signalbox_outbox_pushes{app="${app}",state="pending"}`)).toBe(1);
      }
      rig.proxy.answer = "relay";
      await rig.arrived(4);
      // And new ones at once.
      expect(await rig.notify()).toEqual(ok);
      await rig.arrived(8);
    });
  }

  // A push service that cannot be reached is left alone for ten seconds: all of them wait side by side.
  let runs: readonly PromiseSettledResult<void>[] = [];
  beforeAll(async () => {
    runs = await Promise.allSettled(cases.map(([, answer]) => lose(answer)));
  }, 90_000);

  it.each(cases.map(([what], i) => [what, i] as const))("%s", (_what, i) => {
    expect(runs[i]).toEqual({ status: "fulfilled", value: undefined });
  });
});

it("rejects nobody for wrong credentials of ours, and a reload with the right ones mends it", () =>
  Rig.with(async (rig) => {
    expect(await rig.notify()).toEqual(ok);
    expect(rig.gateway.simulators.recorder.requests).toEqual([]);
    expect(rig.gateway.logLines.filter((line) => line.includes("407")).length).toBeGreaterThan(0);
    const url = proxyUrl(rig.proxy, PASSWORD);
    await rig.gateway.rewrite((config) => ({ ...config, proxy: url }));
    expect(await rig.gateway.gateway.reload()).toMatchObject({ ok: true });
    // New ones at once, FCM's access token included: it is not fetched by the old way any more.
    expect(await rig.notify()).toEqual(ok);
    const first = rig.gateway.simulators.recorder.requests;
    expect(new Set(first.map(({ upstream }) => upstream))).toEqual(new Set([...everyUpstream, "oauth"]));
  }, "canary-of-yesterday"));
