import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import {
  alice,
  asAlice,
  basic,
  bob,
  BUNDLE,
  CALLS,
  eventKey,
  MESSAGES,
  startRegistry,
} from "../support/registry-gateway.ts";
import { seedEvents } from "../support/seed-events.ts";

type Gateway = Awaited<ReturnType<typeof startRegistry>>;

const KEY = "pbx-key-7f3a9c1e5b";
const issuer = { issuer: "https://id.test", audience: "push" };
/** Stands, with a name of its own, wherever a stranger can write something. */
const canary = (name: string): string => `canary-${name}-5f1e9`;
/** Tokens are known by several forms, none of which may be in a log. */
const canaryToken = Buffer.from(canary("token"));
const deviceToken = Buffer.from(canary("device-token").padEnd(32, "0"));
const asUser = { "x-user-id": canary("header-id") };

let directory: string;
let jwt: string;
let postgres: TestPostgres;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "signalbox-test-"));
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const keys = [{ ...(await exportJWK(publicKey)), kid: "k1", alg: "ES256" }];
  await writeFile(join(directory, "jwks.json"), JSON.stringify({ keys }));
  jwt = await new SignJWT({ secret: canary("claim") })
    .setProtectedHeader({ alg: "ES256", kid: "k1" })
    .setIssuer(issuer.issuer)
    .setAudience(issuer.audience)
    .setSubject(canary("subject"))
    .setExpirationTime("1h")
    .sign(privateKey);
  postgres = await startPostgres({ fsync: false });
});
afterAll(async () => {
  await postgres.stop();
  await rm(directory, { recursive: true, force: true });
});

const started: Gateway[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((gateway) => gateway.stop()));
});

async function start(config: Readonly<Record<string, unknown>>, more = {}): Promise<Gateway> {
  const gateway = await startRegistry(
    {
      jwt: { ...issuer, jwks_file: join(directory, "jwks.json") },
      trusted_header: "X-User-Id",
      trusted_proxies: ["127.0.0.1"],
      events: {
        own: { type: "object", properties: { field: { type: "string" } }, additionalProperties: false },
      },
      ...more,
    },
    { config: { softphone: { api_keys: [KEY] }, delivery: { answer_within: "1s" }, ...config } },
  );
  started.push(gateway);
  return gateway;
}

interface Call {
  readonly path: string;
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}
const json = (path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Call => ({
  path,
  method: "POST",
  body: typeof body === "string" ? body : JSON.stringify(body),
  headers: { "content-type": "application/json", ...headers },
});
const form = (path: string, body: string, headers: Readonly<Record<string, string>> = {}): Call => ({
  path,
  method: "POST",
  body,
  headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
});

const attributes = {
  AppId: MESSAGES,
  DeviceToken: canaryToken.toString("base64"),
  verb: "NotifyTextMessage",
  Selector: canary("selector"),
  Message: canary("message"),
  UserName: canary("user"),
  UserDisplayName: canary("name"),
  Id: canary("id"),
  ThreadId: canary("thread"),
};
const chat = {
  ...seedEvents[4]?.body,
  text: canary("text"),
  user_name: canary("name"),
  owner: canary("subject"),
};
const sender = { "x-api-key": KEY };
const teller = { "x-api-key": eventKey };
const report = `selector=${canary("selector")}&token_msgs=${attributes.DeviceToken}&appid_msgs=${MESSAGES}`;
const apns = {
  system: "apns",
  action: "add",
  device_token: deviceToken.toString("hex"),
  application_id: `39JSDKGJ38.${BUNDLE}`,
};

/** Every door, by all of its ways in and out; what is registered comes before it is sent to. */
const calls = (): readonly Call[] => [
  { path: `/token/?${report}&token_calls=${apns.device_token}&appid_calls=${CALLS}`, headers: asAlice },
  { path: `/token/?username=alice&password=${encodeURIComponent(alice.password)}&${report}` },
  { path: `/token/?username=${canary("user")}&password=${canary("password")}&${report}` },
  { path: `/token/?username=${canary("user")}&password=${canary("password")}&selector=%zz` },
  { path: `/pushToken/${canary("user")}/${canary("selector")}/${canary("token")}&appid=${canary("app")}` },
  { path: `/pushToken/alice/S:1/${canary("token")}&appid=${MESSAGES}`, headers: asAlice },
  { path: `/pushToken/alice/S:1/%ff${canary("token")}&appid=${canary("app")}`, headers: asAlice },
  {
    path: `/token/?${report}`,
    headers: { authorization: `Bearer ${bob.token}`, "user-agent": canary("agent") },
  },
  json("/token/", { username: canary("user"), password: canary("password"), selector: canary("selector") }),
  json("/token/", `{"${canary("key")}": `, asAlice),
  form("/token/", `${canary("key")}=%zz`, asAlice),
  { path: `/token/remove?selector=${canary("selector")}&pushToken=${canary("token")}`, headers: asAlice },
  json("/api/push", { system: "fcm", action: "add", device_token: canaryToken.toString() }, asUser),
  json("/api/push", apns, { authorization: `Bearer ${jwt}` }),
  json("/api/push", { ...apns, application_id: canary("app"), apns_topic: canary("topic") }, asUser),
  json("/api/push", { system: canary("system"), action: canary("action"), [canary("key")]: 1 }, asUser),
  { path: "/api/push", headers: { authorization: `Bearer ${jwt}` } },
  { path: "/api/push", headers: { authorization: `Bearer ${jwt}${canary("signature")}` } },
  {
    path: "/api/push",
    headers: { authorization: basic(canary("user"), canary("password")), "x-api-key": canary("key") },
  },
  json(`/pnm2/send?q=${canary("query")}`, attributes, { ...sender, "idempotency-key": canary("repeat") }),
  json("/pnm2/send", { ...attributes, AppId: BUNDLE, DeviceToken: apns.device_token }, sender),
  json("/pnm2/send", { ...attributes, AppId: canary("app") }, sender),
  json("/pnm2/send", { ...attributes, [canary("key")]: canary("value"), verb: canary("verb") }, sender),
  json("/pnm2/send", { verb: "NotifyTextMessage", Account: canary("account") }, sender),
  json("/pnm2/send", { verb: "NotifyTextMessage", Account: canary("subject"), Message: "m" }, sender),
  json("/pnm2/send", { verb: "NotifyTextMessage", Selector: canary("selector") }, sender),
  json("/pnm2/send", attributes, { "x-api-key": canary("key"), "content-type": canary("type") }),
  json("/pnm2/multisend", [attributes, canary("element"), { verb: canary("verb") }], sender),
  json("/pnm2/multisend", `[${canary("element")}`, sender),
  form("/pnm2", new URLSearchParams({ ...attributes, Id: "" }).toString(), sender),
  form("/pnm2", `verb=%zz${canary("verb")}`, sender),
  json("/api/push/events", chat, teller),
  json("/api/push/events", { ...chat, owner: canary("header-id") }, teller),
  json("/api/push/events", { ...chat, owner: canary("owner"), time: canary("time") }, teller),
  json("/api/push/events", { message: "own", owner: "o", [canary("key")]: 1, field: 2 }, teller),
  json("/api/push/events", { message: canary("event"), owner: canary("owner") }, teller),
  json("/api/push/events", chat, { authorization: `Bearer ${canary("key")}` }),
  { path: `/pnm2/${canary("path")}`, headers: sender },
  { path: `/${canary("path")}?${canary("query")}`, headers: { referer: canary("referer") } },
  { path: "/pnm2/send", method: "DELETE", headers: sender },
];

/** Makes all calls; gives their statuses. */
async function callAll({ origin }: Gateway): Promise<readonly number[]> {
  const statuses: number[] = [];
  for (const { path, ...init } of calls()) {
    const response = await fetch(origin + path, init);
    await response.arrayBuffer();
    statuses.push(response.status);
  }
  return statuses;
}

const secrets = [
  "canary",
  canaryToken.toString("base64"),
  canaryToken.toString("hex"),
  deviceToken.toString("base64"),
  deviceToken.toString("hex"),
  KEY,
  eventKey,
  alice.password,
  encodeURIComponent(alice.password),
  asAlice.authorization.slice("Basic ".length),
  bob.token,
];

async function expectNothingTold(gateway: Gateway): Promise<void> {
  const log = gateway.logLines.join("\n");
  expect(log).toContain('"level":"debug"');
  expect(log).toContain('"path":"/pnm2/send"');
  const metrics = await gateway.metrics();
  for (const secret of [...secrets, ...jwt.split(".")]) {
    // The lines themselves, so that a failure shows which one tells.
    expect(gateway.logLines.filter((line) => line.includes(secret))).toEqual([]);
    expect(metrics.split("\n").filter((line) => line.includes(secret))).toEqual([]);
  }
}

describe("what the softphones', the registry's and the events' doors log at debug level", () => {
  it("holds nothing that a stranger sent, when everything works", async () => {
    const gateway = await start({});
    const statuses = await callAll(gateway);
    expect(new Set(statuses)).toEqual(new Set([200, 400, 401, 404]));
    expect(gateway.simulators.recorder.accepted.length).toBeGreaterThan(5);
    await expectNothingTold(gateway);
  });

  it.each([
    ["the upstreams refuse the tokens", "BadDeviceToken", "INVALID_ARGUMENT"],
    ["the tokens are dead", "Unregistered", "UNREGISTERED"],
    ["the upstreams fail", "ServiceUnavailable", "UNAVAILABLE"],
  ])("nor when %s", async (_what, reason, fcmStatus) => {
    const gateway = await start({});
    gateway.simulators.script.add({ upstream: "apns", answer: { kind: "error", reason } });
    gateway.simulators.script.add({ upstream: "fcm", answer: { kind: "error", reason: fcmStatus } });
    await callAll(gateway);
    expect(gateway.asked()).toBeGreaterThan(2);
    await expectNothingTold(gateway);
  });

  it("nor when PostgreSQL goes away", async () => {
    const gateway = await start({ store: { url: await postgres.createDatabase() } });
    await callAll(gateway);
    await postgres.kill();
    try {
      const statuses = await callAll(gateway);
      expect(statuses).toContain(503);
      await expectNothingTold(gateway);
    } finally {
      await postgres.start();
    }
  });

  it("nor when nobody's name is checked", async () => {
    const gateway = await start({ softphone: { allow_anonymous: true } }, { allow_anonymous: true });
    await callAll(gateway);
    await expectNothingTold(gateway);
  });
});
