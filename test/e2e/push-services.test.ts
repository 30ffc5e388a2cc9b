import { createServer, type AddressInfo, type Server } from "node:net";
import { startGateway, type RunningGateway } from "../support/with-gateway.ts";

const WEB = "com.example.web";
const UP = "com.example.up";
const OPEN_WEB = "com.example.web.open";
const SECRETS = ["Major Tom", "hello there", "/send/", "up=1"];

let gateway: RunningGateway;
let sentinel: Server;
let sentinelPort: number;
let hits = 0;
let event = 0;

beforeAll(async () => {
  sentinel = createServer((socket) => {
    hits += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => sentinel.listen(0, "127.0.0.9", resolve));
  sentinelPort = (sentinel.address() as AddressInfo).port;
  gateway = await startGateway({
    config: {
      // Where the simulators are, and not where the sentinel is.
      outbound: { allow_addresses: ["127.0.0.1/32", "::1/128"], allow_ports: [443, sentinelPort] },
      matrix: { unifiedpush_gateway: true },
    },
    apps: (_base, files) => {
      const web = {
        type: "webpush",
        vapid_private_key: files.vapidKey,
        vapid_contact_email: "operator@example.com",
        ca_file: files.ca,
      };
      return {
        [WEB]: web,
        [OPEN_WEB]: { ...web, allowed_endpoints: ["*.push.apple.com"] },
        [UP]: { type: "unifiedpush", ca_file: files.ca },
      };
    },
  });
});
afterAll(async () => {
  await gateway?.stop();
  await new Promise((resolve) => sentinel.close(resolve));
  // No line says what was sent, or to whom (D14).
  for (const secret of SECRETS) expect(gateway.logLines.filter((line) => line.includes(secret))).toEqual([]);
});

interface Device {
  readonly app_id: string;
  readonly pushkey: string;
  readonly data?: object;
}

function notify(...devices: readonly Device[]): Promise<{ status: number; body: unknown }> {
  event += 1;
  return gateway.notify({
    event_id: `$${event}`,
    room_id: "!r:e",
    type: "m.room.message",
    sender_display_name: "Major Tom",
    content: { msgtype: "m.text", body: "hello there" },
    counts: { unread: 1 },
    devices,
  });
}

const ok = { status: 200, body: { rejected: [] } };

describe("browsers and phones without Google", () => {
  const browser = (endpoint: string, app = WEB): Device => {
    const { keys } = gateway.simulators.webPush.subscribe();
    return { app_id: app, pushkey: keys.p256dh, data: { endpoint, auth: keys.auth } };
  };

  it("get what the homeserver sends", async () => {
    const subscription = gateway.simulators.webPush.subscribe();
    const plain = gateway.simulators.unifiedPush.register();
    const encrypted = gateway.simulators.unifiedPush.register({ encrypted: true });
    const { p256dh, auth } = subscription.keys;
    const answer = await notify(
      { app_id: WEB, pushkey: p256dh, data: { endpoint: subscription.endpoint, auth } },
      { app_id: UP, pushkey: plain.endpoint },
      { app_id: UP, pushkey: encrypted.endpoint, data: { ...encrypted.keys } },
    );
    expect(answer).toMatchObject(ok);
    const event = { room_id: "!r:e", content: { body: "hello there" } };
    expect(JSON.parse(subscription.messages[0]?.text ?? "")).toMatchObject(event);
    for (const { messages } of [plain, encrypted]) {
      expect(JSON.parse(messages[0]?.text ?? "")).toMatchObject({ notification: event });
    }
  });

  it("find the gateway by UnifiedPush's discovery", async () => {
    const response = await fetch(`${gateway.url.replace(/\/_matrix.*$/, "")}/_matrix/push/v1/notify`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ unifiedpush: { gateway: "matrix" }, gateway: "matrix" });
  });

  it("are rejected when the service says that they are gone, and when they can never work (case 38)", async () => {
    const subscription = gateway.simulators.webPush.subscribe();
    subscription.state = "gone";
    const gone = { ...browser(subscription.endpoint), pushkey: subscription.keys.p256dh };
    const noAuth = {
      app_id: WEB,
      pushkey: browser("https://a.example/").pushkey,
      data: { endpoint: "https://a.example/" },
    };
    const http = browser("http://push.example.net/x");
    const noUrl = { app_id: UP, pushkey: "spqr" };
    const { status, body } = await notify(gone, noAuth, http, noUrl);
    expect(status).toBe(200);
    const { rejected } = body as { rejected: string[] };
    expect(rejected.toSorted()).toEqual([gone, noAuth, http, noUrl].map(({ pushkey }) => pushkey).toSorted());
  });

  it("on a host that the app does not allow get nothing, and stay registered (case 39)", async () => {
    const subscription = gateway.simulators.webPush.subscribe();
    expect(await notify(browser(subscription.endpoint, OPEN_WEB))).toMatchObject(ok);
    expect(subscription.messages).toEqual([]);
  });

  it("with an endpoint that leads inside get nothing, and stay registered (case 40)", async () => {
    const at = (host: string): string => `https://${host}:${sentinelPort}/push`;
    const hosts = [
      "127.0.0.9",
      "127.0.9",
      "0x7f000009",
      "2130706441",
      "[::ffff:127.0.0.9]",
      "[::ffff:7f00:9]",
    ];
    const devices = [...hosts, "169.254.169.254", "10.0.0.1", "[fd00:ec2::254]"].flatMap((host) => [
      browser(at(host)),
      { app_id: UP, pushkey: at(host) },
    ]);
    const startedMs = performance.now();
    expect(await notify(...devices)).toMatchObject(ok);
    // No longer than an endpoint takes that cannot be reached, which is not tried again before the answer.
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(hits).toBe(0);
  });
});
