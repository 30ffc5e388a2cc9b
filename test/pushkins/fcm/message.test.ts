import { checkFcm, type FcmOptions } from "../../../src/pushkins/fcm/config.ts";
import type { JsonObject } from "../../../src/json.ts";
import { configuredTtlSeconds, messageBody, withTtl } from "../../../src/pushkins/fcm/message.ts";
import { push } from "../../support/builders.ts";
import { N, pushOf, startFcm, type FcmRig } from "./fcm-fixture.ts";

const content = { data: new Map([["k", "v"]]) };
const parse = (body: string): unknown => JSON.parse(body);

describe("a message", () => {
  it("is the app's fcm_options with data, token and priority", () => {
    const base = {
      webpush: { a: "b" },
      data: { old: "x" },
      token: "old",
      android: { collapse_key: "k", priority: "normal" },
      apns: { headers: {} },
    };
    const before = structuredClone(base);
    expect(parse(messageBody(base, content, "spqr", "high"))).toEqual({
      message: {
        webpush: { a: "b" },
        apns: { headers: {} },
        data: { k: "v" },
        token: "spqr",
        android: { collapse_key: "k", priority: "high" },
      },
    });
    expect(base).toEqual(before);
  });

  it("of an app without options has what must be there", () => {
    expect(parse(withTtl(messageBody({}, content, "spqr", "low"), 60, undefined))).toEqual({
      message: { data: { k: "v" }, token: "spqr", android: { priority: "normal", ttl: "60s" } },
    });
  });

  it("with names and values that look like its own end is still one", () => {
    const odd = new Map([['}}}"', '"}}},"ttl":"9s"}}}']]);
    const body = withTtl(
      messageBody({ android: { data: { a: "}}}" } } }, { data: odd }, '}}}"', "high"),
      5,
      undefined,
    );
    expect(parse(body)).toEqual({
      message: {
        data: Object.fromEntries(odd),
        token: '}}}"',
        android: { data: { a: "}}}" }, priority: "high", ttl: "5s" },
      },
    });
  });

  it("keeps a key __proto__ as a key", () => {
    const body = messageBody({}, { data: new Map([["__proto__", "x"]]) }, "t", "high");
    expect(body).toContain('"data":{"__proto__":"x"}');
  });
});

describe("the time to live", () => {
  it("is in the message once, also when one is configured", () => {
    const body = withTtl(messageBody({ android: { ttl: "60s" } }, content, "t", "high"), 30, 60);
    expect(body.match(/"ttl"/g)).toHaveLength(1);
  });

  it.each<[string, number, number | undefined, string]>([
    ["is what remains", 86_400, undefined, "86400s"],
    ["is the configured one when that is smaller", 86_400, 60, "60s"],
    ["is what remains when that is smaller", 30, 60, "30s"],
    ["is never more than FCM takes", 9_999_999, undefined, "2419200s"],
    ["is never negative", -5, 60, "0s"],
    ["may be configured as now or never", 86_400, 0, "0s"],
  ])("%s", (_name, remaining, configured, expected) => {
    expect(parse(withTtl(messageBody({}, content, "t", "high"), remaining, configured))).toMatchObject({
      message: { android: { ttl: expected } },
    });
  });

  it.each<[JsonObject, number | undefined]>([
    [{ android: { ttl: "60s" } }, 60],
    [{ android: { ttl: "3.5s" } }, 3],
    [{ android: { ttl: "0s" } }, 0],
    [{ android: { ttl: 60 } }, undefined],
    [{ android: { ttl: "60" } }, undefined],
    [{ android: { ttl: "-1s" } }, undefined],
    [{ android: {} }, undefined],
    [{}, undefined],
  ])("configured as %j is %s", (base, expected) => {
    expect(configuredTtlSeconds(base)).toBe(expected);
  });
});

describe("messages of one app", () => {
  let rig: FcmRig;
  const options = {
    android: { ttl: "600s", notification: { tag: "t" }, collapse_key: "k" },
    apns: { headers: { "apns-priority": "10" } },
    fcm_options: { analytics_label: "x" },
  };
  beforeAll(async () => {
    rig = await startFcm({ config: { fcm_options: options } });
  });
  afterAll(() => rig.stop());

  it("do not share their android object: a low push leaves no high one low (G-08)", async () => {
    const high = pushOf(N, {}, rig.clock.now());
    const highMessage = rig.message(high);
    await rig.send(pushOf({ ...N, prio: "low" }, {}, rig.clock.now()));
    expect(rig.lastMessage()["android"]).toEqual({ ...options.android, priority: "normal" });
    const context = { push: high, signal: AbortSignal.timeout(5000) };
    expect((await rig.pushkin.attempt(highMessage, context)).outcome.kind).toBe("delivered");
    expect(rig.lastMessage()).toMatchObject({
      ...options,
      android: { ...options.android, priority: "high" },
    });
  });

  it("have the time to live of the moment of sending", async () => {
    const each = push({ receivedAtMs: rig.clock.now(), expiresAtMs: rig.clock.now() + 300_999 });
    const message = rig.message(each);
    const attempt = async (): Promise<unknown> => {
      await rig.pushkin.attempt(message, { push: each, signal: AbortSignal.timeout(5000) });
      return rig.lastMessage()["android"];
    };
    expect(await attempt()).toMatchObject({ ttl: "300s" });
    await rig.clock.advance(200_000);
    expect(await attempt()).toMatchObject({ ttl: "100s" });
  });

  it("go to the pushkey, cleaned of what no token holds; without one they are refused before sending", async () => {
    await rig.send(push({ pushkey: "a\0b", expiresAtMs: rig.clock.now() + 60_000 }));
    expect(rig.lastMessage()["token"]).toBe("ab");
    expect(rig.pushkin.render(push({ pushkey: "" }))).toEqual({
      kind: "rejected",
      reason: "invalid-pushkey",
    });
    expect(rig.pushkin.render(push({ pushkey: "\0" }))).toEqual({
      kind: "rejected",
      reason: "invalid-pushkey",
    });
  });
});

it.each(["android", "apns", "webpush", "notification", "fcm_options"])(
  "fcm_options.%s that is no mapping is refused by the configuration, not by every push",
  async (part) => {
    const config = {
      type: "gcm",
      api_version: "v1",
      project_id: "p",
      application_default_credentials: true,
    } as unknown as FcmOptions;
    for (const value of [null, [], "x"]) {
      expect(await checkFcm({ ...config, fcm_options: { [part]: value } })).toEqual([
        `fcm_options.${part}: must be a mapping`,
      ]);
    }
    expect(await checkFcm({ ...config, fcm_options: { [part]: {} } })).toEqual([]);
  },
);
