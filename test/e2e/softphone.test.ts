import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCredentials } from "../../src/simulator/credentials.ts";
import { register } from "../support/registered.ts";
import { seedEvents } from "../support/seed-events.ts";
import { ANDROID, IOS, iosPushkey, startGateway, type RunningGateway } from "../support/with-gateway.ts";

const KEY = "pbx-key-7f3a9c1e5b";
const OTHER_KEY = "another-pbx-9d2c4e6f8a";
const EVENT_KEY = "event-key-5c1d9e7b3f";
const OWNER = "9aed5e94-3803-11e3-8475-0024e8f90cc0";
const SELECTOR = "12869E0E6E553673C54F29105A0647204C416A2A:7C3A0D14";
const CALLS = "com.example.ios.pushkit";
const ANSWER_WITHIN_MS = 2_000;
const credentials = createCredentials();
const androidToken = Buffer.from("APA91bRegisteredAndroidToken").toString("base64");

let directory: string;
let gateway: RunningGateway;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "signalbox-test-"));
  const storeFile = join(directory, "softphone.db");
  const sandboxHex = "5b".repeat(32);
  await register(storeFile, [
    { owner: OWNER, kind: "registry", appId: IOS, pushkey: "e1".repeat(32), sandbox: false },
    { owner: OWNER, kind: "registry", appId: CALLS, pushkey: sandboxHex, apnsTopic: "com.example.app.voip" },
    { owner: OWNER, kind: "registry", appId: ANDROID, pushkey: "APA91bEventPhone" },
    { owner: "alice-id", selector: SELECTOR, kind: "messages", appId: IOS, pushkey: "a7".repeat(32) },
    { owner: "alice-id", selector: SELECTOR, kind: "calls", appId: CALLS, pushkey: "c7".repeat(32) },
  ]);
  gateway = await start(storeFile);
});
afterAll(async () => {
  await gateway.stop();
  await rm(directory, { recursive: true, force: true });
});
beforeEach(() => gateway.simulators.script.clear());

function start(storeFile: string): Promise<RunningGateway> {
  return startGateway({
    simulators: { credentials },
    storeFile,
    apps: ({ ios }) => ({ [CALLS]: { ...ios, push_type: "voip", topic: "com.example.app.voip" } }),
    config: {
      delivery: { answer_within: `${ANSWER_WITHIN_MS}ms` },
      softphone: { api_keys: [KEY, OTHER_KEY] },
      registry: {
        accounts: [{ id: "alice-id", username: "alice", token_hash: `sha256:${"0".repeat(64)}` }],
        event_keys: [EVENT_KEY],
      },
    },
  });
}

interface Said {
  readonly status: number;
  readonly text: string;
  readonly body: unknown;
  readonly headers: Headers;
}
async function send(
  path: string,
  body: string,
  headers: Record<string, string> = {},
  to: RunningGateway = gateway,
): Promise<Said> {
  const response = await fetch(new URL(path, to.url), {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Api-Key": KEY, ...headers },
    body,
  });
  const text = await response.text();
  const body_: unknown =
    response.headers.get("content-type") === "application/json" ? JSON.parse(text) : text;
  return { status: response.status, text, body: body_, headers: response.headers };
}
const form = { "Content-Type": "application/x-www-form-urlencoded" };
const sent = { code: 200, status: 200, response: "Your message was sent." };
const badObject = { code: 400, status: 400, response: "Bad object you sent here" };
const bad = { code: 400, status: 400, response: expect.stringMatching(/^Bad attributes: .*AppId/) };
const notice = (overrides: object = {}): object => ({
  verb: "NotifyGenericTextMessage",
  AppId: IOS,
  DeviceToken: iosPushkey("ab01"),
  Message: "Some message",
  ...overrides,
});
const payloads = (): readonly unknown[] => gateway.simulators.recorder.accepted.map(({ payload }) => payload);

const DEAD = iosPushkey("dead");
const single =
  '{"DeviceToken": "ValidToken", "Selector": "ValidSelector", "AppId": "valid.appid", "verb": "NotifyGenericTextMessage", "Message": "Some message"}';
const several =
  '[{"DeviceToken": "ValidToken1", "Selector": "ValidSelector1", "AppId": "valid.appid", "verb": "NotifyGenericTextMessage", "Message": "some message"}, {"DeviceToken": "ValidToken2", "Selector": "ValidSelector2", "AppId": "valid.appid", "verb": "NotifyGenericTextMessage", "Message": "some other message"}, null]';
const generic =
  "verb=NotifyGenericTextMessage&Message=Hello%20World&DeviceToken=QVBBOTFiSEQ0KX05PclRXZXlRdTVaNUJXT3BZVmpBMmxR&AppId=cz.acrobits.softphone.cloudphone";
const textMessage =
  "verb=NotifyTextMessage&DeviceToken=LA7U4xm7MqZCVqFPhf4Dz2sILOJ9iVGh0eeTBOyKDRs=&Selector=C203056764290202B7DA6F61B98671616469AEDB:1DA7349B&AppId=com.cloudsoftphone.app";

/** Each example of the documentation: its body as printed, what is changed so that this gateway knows app and token, and both answers. */
const examples: readonly {
  readonly what: string;
  readonly path: string;
  readonly printed: string;
  readonly changes: readonly (readonly [printed: string, used: string])[];
  readonly asPrinted: readonly [status: number, body: unknown];
  readonly answer: readonly [status: number, body: unknown];
}[] = [
  {
    what: "curl …/pnm2/send, a single push",
    path: "/pnm2/send",
    printed: single,
    changes: [
      ["ValidToken", iosPushkey("01")],
      ["valid.appid", IOS],
    ],
    asPrinted: [200, bad],
    answer: [200, sent],
  },
  {
    what: "curl …/pnm2/multisend, a partially valid list",
    path: "/pnm2/multisend",
    printed: several,
    changes: [
      ["ValidToken1", iosPushkey("02")],
      ["ValidToken2", DEAD],
      ["valid.appid", IOS],
    ],
    asPrinted: [200, [bad, bad, badObject]],
    answer: [200, [sent, { code: 404, status: 404, response: expect.any(String) }, badObject]],
  },
  {
    what: "curl …/pnm2/multisend, an object for a list of one",
    path: "/pnm2/multisend",
    printed: single,
    changes: [
      ["ValidToken", iosPushkey("03")],
      ["valid.appid", IOS],
    ],
    asPrinted: [200, [bad]],
    answer: [200, [sent]],
  },
  {
    what: "wget …/pnm2, a text notification",
    path: "/pnm2",
    printed: generic,
    changes: [["cz.acrobits.softphone.cloudphone", ANDROID]],
    asPrinted: [400, expect.stringMatching(/AppId/)],
    answer: [200, sent.response],
  },
  {
    what: "wget …/pnm2, new messages for an account",
    path: "/pnm2",
    printed: textMessage,
    changes: [["com.cloudsoftphone.app", IOS]],
    asPrinted: [400, expect.stringMatching(/AppId/)],
    answer: [200, sent.response],
  },
];

describe("the documentation's examples", () => {
  it.each(examples)("$what", async ({ path, printed, changes, asPrinted, answer }) => {
    gateway.simulators.script.add({
      upstream: "apns",
      token: Buffer.from(DEAD, "base64").toString("hex"),
      answer: { kind: "error", reason: "Unregistered" },
    });
    const headers = path === "/pnm2" ? form : {};
    const first = await send(path, printed, headers);
    expect([first.status, first.body]).toEqual(asPrinted);
    const used = changes.reduce((text, [from, to]) => text.replaceAll(from, to), printed);
    const second = await send(path, used, headers);
    expect([second.status, second.body]).toEqual(answer);
  });

  it.each(["null", "[null]"])("%s", async (body) => {
    const { body: said, status } = await send("/pnm2/multisend", body);
    expect([status, said]).toEqual(
      body === "null" ? [400, { code: 400, status: 400, response: expect.any(String) }] : [200, [badObject]],
    );
  });

  it.each(seedEvents)("the event $name reaches every device as the reference has it", async (event) => {
    const before = payloads().length;
    const { body, status } = await send("/api/push/events", JSON.stringify(event.body), {
      "X-Api-Key": EVENT_KEY,
    });
    expect([status, body]).toEqual([200, { devices: 3, delivered: 3, accepted: 0, rejected: 0, dropped: 0 }]);
    const requests = gateway.simulators.recorder.accepted.slice(before);
    const apns = requests.filter(({ upstream }) => upstream === "apns");
    expect(apns.map(({ payload }) => payload)).toEqual([event.apns, event.apns]);
    expect(apns.map(({ headers }) => headers["apns-push-type"]).toSorted()).toEqual(["background", "voip"]);
    const [fcm] = requests.filter(({ upstream }) => upstream === "fcm");
    expect((fcm?.payload as { message: { data: unknown } }).message.data).toEqual(event.fcm);
  });
});

describe("a gateway with softphones", () => {
  it("sends to an account's phone, its messages pair", async () => {
    const body = { verb: "NotifyTextMessage", Account: "alice", Message: "hello", Badge: 2 };
    expect((await send("/pnm2/send", JSON.stringify(body))).body).toEqual({
      ...sent,
      devices: [{ AppId: IOS, ...sent }],
    });
    const last = gateway.simulators.recorder.accepted.at(-1);
    expect(last?.token).toBe("a7".repeat(32));
    expect(last?.payload).toMatchObject({ aps: { badge: 2 }, Selector: SELECTOR });
  });

  it("says 404 of a token that died, without asking again, and 400 of an app that nobody serves", async () => {
    const hex = "d0".repeat(32);
    gateway.simulators.script.add({
      upstream: "apns",
      token: hex,
      answer: { kind: "error", reason: "Unregistered" },
    });
    const body = JSON.stringify(notice({ DeviceToken: Buffer.from(hex, "hex").toString("base64url") }));
    expect((await send("/pnm2/send", body)).body).toMatchObject({ code: 404 });
    const asked = gateway.asked();
    // The same token in another form is the same token.
    expect((await send("/pnm2/send", JSON.stringify(notice({ DeviceToken: hex })))).body).toMatchObject({
      code: 404,
    });
    expect(gateway.asked()).toBe(asked);
    const nobody = await send("/pnm2/send", JSON.stringify(notice({ AppId: "org.nobody" })));
    expect([nobody.status, (nobody.body as { code: number }).code]).toEqual([200, 400]);
  });

  it("sends a message once, by its Id", async () => {
    const before = gateway.asked();
    const body = JSON.stringify(notice({ Id: "sms-4711", DeviceToken: iosPushkey("1d") }));
    const answers = await Promise.all([send("/pnm2/send", body), send("/pnm2/send", body)]);
    answers.push(await send("/pnm2/multisend", `[${body},${body}]`));
    expect(answers.map((answer) => answer.body)).toEqual([sent, sent, [sent, sent]]);
    expect(gateway.asked()).toBe(before + 1);
    expect(gateway.simulators.recorder.accepted.at(-1)?.headers["apns-collapse-id"]).toBe("sms-4711");
  });

  it("of 500 pushes with one bad sends 499", async () => {
    const before = gateway.asked();
    const list = Array.from({ length: 500 }, (_, i) =>
      i === 100 ? { verb: "NotifyNothing" } : notice({ AppId: ANDROID, DeviceToken: `one-of-500-${i}` }),
    );
    const { body } = await send("/pnm2/multisend", JSON.stringify(list));
    const codes = (body as { code: number }[]).map(({ code }) => code);
    expect(codes.filter((code) => code === 200)).toHaveLength(499);
    expect(codes[100]).toBe(400);
    expect(gateway.asked()).toBe(before + 499);
  });

  it("of 1000 pushes with every tenth to an upstream that hangs answers all within the answer window", async () => {
    const before = gateway.simulators.recorder.accepted.length;
    gateway.simulators.script.add({ upstream: "fcm", answer: { kind: "hang" } });
    const list = Array.from({ length: 1000 }, (_, i) =>
      i % 10 === 0
        ? notice({ AppId: ANDROID, DeviceToken: `hangs-${i}` })
        : notice({ DeviceToken: iosPushkey(`f0${i.toString(16).padStart(4, "0")}`) }),
    );
    list[501] = notice({ DeviceToken: "" });
    const startedMs = performance.now();
    const { body } = await send("/pnm2/multisend", JSON.stringify(list));
    const tookMs = performance.now() - startedMs;
    expect(body).toEqual(
      list.map((_one, i) =>
        i === 501 ? { ...bad, response: "Bad attributes: DeviceToken is missing." } : sent,
      ),
    );
    // The window, and what a busy machine needs for a thousand of everything.
    expect(tookMs).toBeLessThan(ANSWER_WITHIN_MS + 3_000);
    gateway.simulators.script.clear();
    const { accepted } = gateway.simulators.recorder;
    await gateway.simulators.recorder.waitUntil(() => accepted.length - before >= 899, 20_000);
    const tokens = accepted
      .slice(before)
      .filter(({ upstream }) => upstream === "apns")
      .map(({ token }) => token);
    expect(new Set(tokens).size).toBe(899);
    expect(tokens).toHaveLength(899);
  });
});

describe("an Idempotency-Key", () => {
  const body = JSON.stringify([
    notice({ DeviceToken: iosPushkey("1e01") }),
    notice({ DeviceToken: iosPushkey("1e02") }),
  ]);
  const named = (key: string, headers = {}): Record<string, string> => ({
    "Idempotency-Key": key,
    ...headers,
  });

  it("makes a repeat the same request, of the same sender", async () => {
    const before = gateway.asked();
    const first = await send("/pnm2/multisend", body, named("k-1"));
    const again = await send("/pnm2/multisend", body, named("k-1"));
    expect([first.body, again.body]).toEqual([
      [sent, sent],
      [sent, sent],
    ]);
    expect([first, again].map(({ headers }) => headers.get("idempotent-replayed"))).toEqual([null, "true"]);
    expect(gateway.asked()).toBe(before + 2);
    await send("/pnm2/multisend", body, named("k-1", { "X-Api-Key": OTHER_KEY }));
    expect(gateway.asked()).toBe(before + 4);
  });

  it("with another body is 422, of 256 characters 400, in the door's own shape", async () => {
    await send("/pnm2/send", JSON.stringify(notice()), named("k-2"));
    const other = await send("/pnm2/send", JSON.stringify(notice({ Message: "x" })), named("k-2"));
    expect([other.status, other.body]).toEqual([
      422,
      { code: 422, status: 422, response: expect.any(String) },
    ]);
    const long = await send("/pnm2/send", JSON.stringify(notice()), named("k".repeat(256)));
    expect([long.status, long.body]).toEqual([400, { code: 400, status: 400, response: expect.any(String) }]);
    expect((await send("/pnm2/send", JSON.stringify(notice()), named("k".repeat(255)))).body).toEqual(sent);
  });

  it("is of one address where nobody shows a key", async () => {
    const open = await startGateway({
      simulators: { credentials },
      config: {
        http: { port: 0, trusted_proxies: ["127.0.0.1"] },
        softphone: { allow_anonymous: true },
      },
    });
    const from = (address: string, text: string, more = {}): Promise<Said> =>
      send(
        "/pnm2/send",
        JSON.stringify(notice({ Message: text })),
        named("1", { "X-Api-Key": "", "X-Forwarded-For": address, ...more }),
        open,
      );
    expect((await from("192.0.2.1", "mine")).body).toEqual(sent);
    const other = await from("192.0.2.2", "another's");
    expect([other.body, other.headers.get("idempotent-replayed")]).toEqual([sent, null]);
    expect((await from("192.0.2.1", "mine")).headers.get("idempotent-replayed")).toBe("true");
    expect((await from("192.0.2.1", "another's")).status).toBe(422);
    expect(open.asked()).toBe(2);
    await open.stop();
  });

  it("outlives an orderly restart", async () => {
    const storeFile = join(directory, "restart.db");
    const before = await start(storeFile);
    expect((await send("/pnm2/multisend", body, named("k-3"), before)).body).toEqual([sent, sent]);
    await before.stop();
    const after = await start(storeFile);
    expect((await send("/pnm2/multisend", body, named("k-3"), after)).body).toEqual([sent, sent]);
    expect(after.asked()).toBe(0);
    expect((await send("/pnm2/multisend", "[null]", named("k-3"), after)).status).toBe(422);
    await after.stop();
  });
});

describe("what is logged", () => {
  it("holds nothing that a sender sent, at debug level", async () => {
    const canary = (name: string): string => `canary-${name}-5f1e9`;
    const token = Buffer.from(canary("token")).toString("base64");
    const attributes = {
      AppId: ANDROID,
      DeviceToken: token,
      verb: "NotifyTextMessage",
      Selector: canary("selector"),
      Message: canary("message"),
      UserName: canary("user"),
      UserDisplayName: canary("name"),
      Id: canary("id"),
      ThreadId: canary("thread"),
    };
    const key = { "Idempotency-Key": canary("repeat") };
    expect((await send(`/pnm2/send?q=${canary("query")}`, JSON.stringify(attributes), key)).body).toEqual(
      sent,
    );
    await send(`/pnm2/${canary("path")}`, "{}");
    await send("/pnm2", new URLSearchParams({ ...attributes, Id: "" }).toString(), form);
    await send("/pnm2/send", JSON.stringify({ ...attributes, AppId: canary("app") }));
    await send("/pnm2/send", JSON.stringify(attributes), { "X-Api-Key": canary("key") });
    const event = {
      ...seedEvents[4]?.body,
      text: canary("text"),
      user_name: canary("name"),
      owner: canary("owner"),
    };
    await send("/api/push/events", JSON.stringify(event), { "X-Api-Key": EVENT_KEY });
    await send("/api/push/events", JSON.stringify({ ...event, owner: OWNER }), { "X-Api-Key": EVENT_KEY });
    await gateway.simulators.recorder.waitUntil(() => payloads().length > 0);
    const log = gateway.logLines.join("\n");
    expect(log).toContain('"level":"debug"');
    expect(log).not.toContain("canary");
    expect(log).not.toContain(token);
    for (const secret of [KEY, OTHER_KEY, EVENT_KEY, androidToken, SELECTOR])
      expect(log).not.toContain(secret);
    const metrics = await gateway.metrics();
    expect(metrics).not.toContain("canary");
    expect(metrics).toMatch(/signalbox_door_answers_total\{door="softphone",code="200"\} \d+/);
  });
});
