import request from "supertest";
import type { Settled } from "../../../src/core/outcome.ts";
import type { SoftphoneContent } from "../../../src/core/push.ts";
import { lifetimesMs, type Listener } from "../../http/listener.ts";
import { ANDROID, CALLS, device, IOS, KEY, notice, SELECTOR, startDoor, TOKEN, TOKEN_HEX } from "./rig.ts";

const listeners: Listener[] = [];
async function start(...options: Parameters<typeof startDoor>): Promise<Listener> {
  const listener = await startDoor(...options);
  listeners.push(listener);
  return listener;
}
afterEach(async () => {
  for (const { heard, server } of listeners.splice(0)) {
    await server.stop(0);
    expect(heard.inFlightNow).toBe(0);
  }
});

const post = (listener: Listener, path: string, body: unknown, headers: Record<string, string> = {}) =>
  request(listener.url)
    .post(path)
    .set({ "Content-Type": "application/json", "X-Api-Key": KEY, ...headers })
    .send(typeof body === "string" ? body : JSON.stringify(body));
const postForm = (listener: Listener, body: string, headers: Record<string, string> = {}) =>
  post(listener, "/pnm2", body, { "Content-Type": "application/x-www-form-urlencoded", ...headers });

const sent = { code: 200, status: 200, response: "Your message was sent." };
const refused = (response: unknown = expect.any(String), code = 400): object => ({
  code,
  status: code,
  response,
});

describe("a push of /pnm2/send", () => {
  it("becomes one for the core", async () => {
    const listener = await start();
    const body = notice({ Selector: SELECTOR, Badge: "7", Id: "sms-1", Sound: "", Unknown: { a: 1 } });
    const response = await post(listener, "/pnm2/send", body, {
      "Content-Type": "Application/JSON; charset=utf-8",
    });
    expect([response.status, response.text]).toEqual([200, JSON.stringify(sent)]);
    expect(response.headers["content-type"]).toBe("application/json");
    const [push] = listener.dispatcher.calls[0]?.pushes ?? [];
    expect(push).toMatchObject({ appId: IOS, pushkey: TOKEN_HEX, priority: "high", urgency: "message" });
    expect(push?.expiresAtMs).toBe((push?.receivedAtMs ?? 0) + lifetimesMs.message);
    expect(push?.content).toEqual({
      kind: "softphone",
      action: "notice",
      isSilent: false,
      selector: SELECTOR,
      messageId: "sms-1",
      text: "Some message",
      badge: 7,
    } satisfies SoftphoneContent);
    expect(listener.heard.answers).toMatchObject([{ door: "softphone", status: 200, dispatched: true }]);
  });

  it("to an app for calls is worth as long as a ring", async () => {
    const listener = await start();
    await post(listener, "/pnm2/send", notice({ AppId: CALLS }));
    const [push] = listener.dispatcher.calls[0]?.pushes ?? [];
    expect(push?.urgency).toBe("call");
    expect(push?.expiresAtMs).toBe((push?.receivedAtMs ?? 0) + lifetimesMs.call);
  });

  const text = { verb: "NotifyTextMessage", Selector: SELECTOR };
  it.each<[string, object, boolean]>([
    ["a text message with a preview is shown", text, false],
    ["one without is not", { ...text, Message: undefined }, true],
    ["one with an empty preview is not", { ...text, Message: "" }, true],
    ["a delivery report is not", { ...text, ContentType: "message/imdn+xml" }, true],
    ["in any case and with parameters", { ...text, ContentType: "Message/IMDN+xml; charset=utf-8" }, true],
    ["is-composing is not", { ...text, ContentType: "application/im-iscomposing+xml" }, true],
    ["plain text is shown", { ...text, ContentType: "text/plain" }, false],
    ["a notice is shown, whatever its type", { ContentType: "message/imdn+xml" }, false],
    ["a reprovisioning is not", { ...text, verb: "NotifyReprovision" }, true],
  ])("%s", async (_what, fields, isSilent) => {
    const listener = await start();
    expect((await post(listener, "/pnm2/send", notice({ ...fields }))).body).toEqual(sent);
    expect(listener.dispatcher.calls[0]?.pushes[0]?.content).toMatchObject({ isSilent });
  });

  it("is the same again by its Id, verb and account", async () => {
    const listener = await start();
    for (const fields of [{}, { Id: "1" }, { Id: "1" }, { Id: "1", Selector: "another" }, { Id: "2" }]) {
      await post(listener, "/pnm2/send", notice(fields));
    }
    const keys = listener.dispatcher.calls.map(({ pushes }) => pushes[0]?.dedupeOn);
    expect(keys[0]).toBeUndefined();
    expect(keys[1]).toBe(keys[2]);
    expect(new Set(keys).size).toBe(4);
  });

  it("holds no NUL and no half characters", async () => {
    const listener = await start();
    await post(
      listener,
      "/pnm2/send",
      `{"verb":"NotifyGenericTextMessage","AppId":"${IOS}","DeviceToken":"${TOKEN}","Message":"a\\u0000\\ud800b"}`,
    );
    expect(listener.dispatcher.calls[0]?.pushes[0]?.content).toMatchObject({ text: "a\ufffdb" });
  });
});

describe("attributes that are wrong", () => {
  const table: readonly [string, Record<string, unknown>, readonly string[]][] = [
    [
      "nothing at all",
      { verb: undefined, AppId: undefined, DeviceToken: undefined, Message: undefined },
      ["verb is missing", "AppId is missing", "DeviceToken is missing"],
    ],
    [
      "empty ones",
      { verb: "", AppId: "", DeviceToken: "", Message: "" },
      ["verb is missing", "AppId is missing", "DeviceToken is missing"],
    ],
    ["no verb", { verb: undefined }, ["verb is missing"]],
    ["an unknown verb", { verb: "NotifyNothing" }, ["verb is unknown"]],
    ["a verb in another case", { verb: "notifyreprovision" }, ["verb is unknown"]],
    ["an AppId that nobody serves", { AppId: "org.nobody" }, ["AppId is not served here"]],
    [
      "an AppId of an app without softphones",
      { AppId: "org.unifiedpush" },
      ["AppId is no app for softphones"],
    ],
    ["a notice without its text", { Message: undefined }, ["Message is missing"]],
    ["a text message without its account", { verb: "NotifyTextMessage" }, ["Selector is missing"]],
    [
      "a text message with an empty account",
      { verb: "NotifyTextMessage", Selector: "" },
      ["Selector is missing"],
    ],
    ["a reprovisioning without its account", { verb: "NotifyReprovision" }, ["Selector is missing"]],
    [
      "a token with white space",
      { DeviceToken: `${TOKEN.slice(0, 9)} ${TOKEN.slice(9)}` },
      ["DeviceToken is no device token"],
    ],
    ["a token of white space", { DeviceToken: " " }, ["DeviceToken is no device token"]],
    ["a token with a line end", { DeviceToken: `${TOKEN}\n` }, ["DeviceToken is no device token"]],
    ["a token of 10 KB", { DeviceToken: "A".repeat(10_240) }, ["DeviceToken is no device token"]],
    [
      "a token of an Android phone with a space",
      { AppId: ANDROID, DeviceToken: "a b" },
      ["DeviceToken is no device token"],
    ],
    ["a negative badge", { Badge: -1 }, ["Badge must be"]],
    ["a broken badge", { Badge: "1.5" }, ["Badge must be"]],
    ["a badge that is no number", { Badge: true }, ["Badge must be"]],
    [
      "all of the wrong type",
      {
        verb: 1,
        AppId: [],
        DeviceToken: {},
        Message: null,
        Badge: [],
        Sound: 2,
        UserName: false,
        UserDisplayName: 3,
        ContentType: {},
        Id: 4,
        ThreadId: 5,
        Selector: 6,
      },
      [
        "verb",
        "AppId",
        "DeviceToken",
        "Message",
        "Badge",
        "Sound",
        "UserName",
        "UserDisplayName",
        "ContentType",
        "Id",
        "ThreadId",
        "Selector",
      ].map((name) => `${name} must be`),
    ],
  ];
  it.each(table)("%s: all are named, and nothing is sent", async (_what, fields, named) => {
    const listener = await start();
    const response = await post(listener, "/pnm2/send", notice(fields));
    expect(response.status).toBe(200);
    expect(response.body).toEqual(refused());
    const said = (response.body as { response: string }).response;
    for (const name of named) expect(said).toContain(name);
    expect(said.split(",")).toHaveLength(named.length);
    expect(listener.dispatcher.calls).toEqual([]);
  });

  it.each<[string, Record<string, unknown>]>([
    ["no verb and no token", { verb: undefined, DeviceToken: undefined }],
    ["an AppId that nobody serves", { AppId: "org.nobody" }],
    ["no text", { Message: "" }],
    ["a broken badge", { Badge: "-1" }],
  ])("as a form, %s is HTTP 400 with the same sentence", async (_what, fields) => {
    const listener = await start();
    const { body } = await post(listener, "/pnm2/send", notice(fields));
    const form = new URLSearchParams(notice(fields) as Record<string, string>).toString();
    const legacy = await postForm(listener, form);
    expect([legacy.status, legacy.text]).toEqual([400, (body as { response: string }).response]);
    expect(listener.dispatcher.calls).toEqual([]);
  });
});

describe("what became of a push", () => {
  const outcomes: readonly [Settled, number][] = [
    [{ kind: "delivered" }, 200],
    [{ kind: "accepted" }, 200],
    [{ kind: "dropped", reason: "duplicate" }, 200],
    [{ kind: "rejected", reason: "unregistered" }, 404],
    [{ kind: "rejected", reason: "known-dead" }, 404],
    [{ kind: "rejected", reason: "bad-token" }, 404],
    [{ kind: "rejected", reason: "token-of-another-app" }, 404],
    [{ kind: "rejected", reason: "unknown-app" }, 400],
    [{ kind: "rejected", reason: "invalid-pushkey" }, 400],
    [{ kind: "dropped", reason: "too-large" }, 400],
    [{ kind: "dropped", reason: "not-wanted" }, 400],
    [{ kind: "dropped", reason: "nothing-to-send" }, 400],
    [{ kind: "dropped", reason: "refused-by-upstream" }, 500],
    [{ kind: "dropped", reason: "expired" }, 500],
    [{ kind: "retryable", reason: "upstream-unavailable" }, 500],
    [{ kind: "retryable", reason: "held" }, 500],
    [{ kind: "retryable", reason: "store" }, 500],
  ];
  it.each(outcomes)(
    "%j is %i in the body of send and multisend, and the form's status",
    async (settled, code) => {
      const listener = await start();
      listener.dispatcher.settle = () => settled;
      const body = code === 200 ? sent : refused(expect.any(String), code);
      const single = await post(listener, "/pnm2/send", notice());
      expect([single.status, single.body]).toEqual([200, body]);
      const many = await post(listener, "/pnm2/multisend", [notice()]);
      expect([many.status, many.body]).toEqual([200, [body]]);
      const form = await postForm(
        listener,
        new URLSearchParams(notice() as Record<string, string>).toString(),
      );
      expect([form.status, form.type]).toEqual([code, "text/plain"]);
      expect(form.text).toBe((single.body as { response: string }).response);
      expect(form.text).not.toContain("\n");
    },
  );

  it("that is a fault of the gateway's own is 500 in the same shape", async () => {
    const listener = await start();
    listener.dispatcher.dispatch = () => Promise.reject(new Error("a bug"));
    const single = await post(listener, "/pnm2/send", notice());
    expect([single.status, single.body]).toEqual([500, refused(expect.any(String), 500)]);
    const form = await postForm(listener, new URLSearchParams(notice() as Record<string, string>).toString());
    expect([form.status, form.type]).toEqual([500, "text/plain"]);
  });
});

describe("multisend", () => {
  it("answers each object in its place, and no bad one stops the others", async () => {
    const listener = await start();
    listener.dispatcher.settle = (push) =>
      push.content.kind === "softphone" && push.content.text === "dead"
        ? { kind: "rejected", reason: "unregistered" }
        : { kind: "delivered" };
    const list = [notice(), notice({ Message: "dead" }), null, notice({ verb: "x" }), 7, [], "x", notice()];
    const { body, status } = await post(listener, "/pnm2/multisend", list);
    expect(status).toBe(200);
    const bad = refused("Bad object you sent here");
    const gone = refused(expect.any(String), 404);
    expect(body).toEqual([sent, gone, bad, refused("Bad attributes: verb is unknown."), bad, bad, bad, sent]);
  });

  it.each<[string, unknown, number, unknown]>([
    ["an object counts as a list of one", notice(), 200, [sent]],
    ["[]", [], 200, []],
    ["[null]", [null], 200, [refused("Bad object you sent here")]],
    ["null", "null", 400, refused()],
    ["a string", '"x"', 400, refused()],
    ["a number", "7", 400, refused()],
  ])("%s", async (_what, body, status, answer) => {
    const listener = await start();
    const response = await post(listener, "/pnm2/multisend", body);
    expect([response.status, response.body]).toEqual([status, answer]);
  });

  it("takes as many as are configured, one more is 413", async () => {
    const listener = await start();
    const list = Array.from({ length: 1000 }, () => notice());
    const { body } = await post(listener, "/pnm2/multisend", list);
    expect(body).toEqual(list.map(() => sent));
    const more = await post(listener, "/pnm2/multisend", [...list, null]);
    expect([more.status, more.body]).toEqual([413, refused(expect.any(String), 413)]);
    expect(listener.dispatcher.calls).toHaveLength(1);
  });

  it("of 500 with one bad serves 499", async () => {
    const listener = await start();
    const list = Array.from({ length: 500 }, (_, i) => (i === 250 ? notice({ DeviceToken: 1 }) : notice()));
    const { body } = await post(listener, "/pnm2/multisend", list);
    const codes = (body as { code: number }[]).map(({ code }) => code);
    expect(codes.filter((code) => code === 200)).toHaveLength(499);
    expect(codes[250]).toBe(400);
  });
});

describe("a request that is none", () => {
  const jsonRows: readonly [string, Record<string, string>, string, number][] = [
    ["no JSON", {}, "{verb:", 400],
    ["nothing", {}, "", 400],
    ["null", {}, "null", 400],
    ["a list", {}, "[{}]", 400],
    ["a string", {}, '"NotifyReprovision"', 400],
    ["text/plain", { "Content-Type": "text/plain" }, JSON.stringify(notice()), 400],
    ["a form", { "Content-Type": "application/x-www-form-urlencoded" }, "verb=x", 400],
    ["a type that only begins right", { "Content-Type": "application/json-patch+json" }, "{}", 400],
    ["no type", { "Content-Type": "" }, "{}", 400],
    ["a type with a broken charset", { "Content-Type": "application/json; charset=" }, "null", 400],
    ["a body in gzip", { "Content-Encoding": "gzip" }, "{}", 415],
    ["a body that is too large", {}, JSON.stringify({ a: "x".repeat(600_000) }), 413],
    ["a nest that is too deep", {}, "[".repeat(100) + "]".repeat(100), 400],
  ];
  it.each(jsonRows)("%s is refused as JSON", async (_what, headers, body, status) => {
    const listener = await start();
    const response = await post(listener, "/pnm2/send", body, headers);
    expect([response.status, response.body]).toEqual([status, refused(expect.any(String), status)]);
    expect(response.type).toBe("application/json");
  });

  it.each(["get", "put", "delete", "patch"] as const)("%s is 400 with Allow: POST", async (method) => {
    const listener = await start();
    for (const path of ["/pnm2/send", "/pnm2/multisend"]) {
      const response = await request(listener.url)[method](path);
      expect([response.status, response.body, response.headers["allow"]]).toEqual([400, refused(), "POST"]);
    }
    const form = await request(listener.url)[method]("/pnm2");
    expect([form.status, form.type, form.headers["allow"]]).toEqual([400, "text/plain", "POST"]);
  });

  it.each<[string, Record<string, string>, string, number]>([
    ["JSON", { "Content-Type": "application/json" }, "{}", 400],
    ["a broken percent sign", {}, "verb=%zz", 400],
    ["Latin-1", {}, "verb=NotifyGenericTextMessage&Message=%E9", 400],
    ["too much", {}, `Message=${"x".repeat(600_000)}`, 413],
  ])("as a form, %s is refused as text", async (_what, headers, body, status) => {
    const listener = await start();
    const response = await postForm(listener, body, headers);
    expect([response.status, response.type]).toEqual([status, "text/plain"]);
    expect(response.text).toMatch(/^[A-Z].*\.$/);
  });
});

describe("the legacy form", () => {
  it("puts the plus back into a token whose sender did not encode it", async () => {
    const listener = await start();
    const hex = "fb".repeat(32);
    const token = Buffer.from(hex, "hex").toString("base64");
    expect(token).toContain("+");
    const body = `verb=NotifyGenericTextMessage&Message=a+b&AppId=${IOS}&DeviceToken=${token}`;
    expect((await postForm(listener, body)).text).toBe("Your message was sent.");
    const [push] = listener.dispatcher.calls[0]?.pushes ?? [];
    expect(push?.pushkey).toBe(hex);
    expect(push?.content).toMatchObject({ text: "a b" });
  });

  it("does not look at the query", async () => {
    const listener = await start();
    const query = new URLSearchParams(notice() as Record<string, string>).toString();
    const response = await post(listener, `/pnm2?${query}`, "", {
      "Content-Type": "application/x-www-form-urlencoded",
    });
    expect([response.status, response.text]).toEqual([
      400,
      "Bad attributes: verb is missing, AppId is missing, DeviceToken is missing.",
    ]);
  });
});

describe("who may not send", () => {
  it.each<[string, Record<string, string>]>([
    ["no key", { "X-Api-Key": "" }],
    ["a wrong key", { "X-Api-Key": `${KEY}x` }],
    ["a part of a key", { "X-Api-Key": KEY.slice(0, -1) }],
    ["a wrong bearer", { "X-Api-Key": "", Authorization: "Bearer nothing-like-it-at-all" }],
    [
      "the key as a password",
      { "X-Api-Key": "", Authorization: `Basic ${Buffer.from(`x:${KEY}`).toString("base64")}` },
    ],
  ])("%s is 401 in the same shape, before the body is read", async (_what, headers) => {
    const listener = await start();
    const response = await post(listener, "/pnm2/send", "not even JSON", headers);
    expect([response.status, response.body]).toEqual([
      401,
      refused("The credentials are missing or wrong.", 401),
    ]);
    expect(response.headers["www-authenticate"]).toBe("Bearer");
    const form = await postForm(listener, "", headers);
    expect([form.status, form.type, form.text]).toEqual([
      401,
      "text/plain",
      "The credentials are missing or wrong.",
    ]);
    expect(listener.dispatcher.calls).toEqual([]);
  });

  it("a bearer is as good as X-Api-Key", async () => {
    const listener = await start();
    const headers = { "X-Api-Key": "", Authorization: `Bearer ${KEY}` };
    expect((await post(listener, "/pnm2/send", notice(), headers)).body).toEqual(sent);
  });
});

describe("sending to an account or selector", () => {
  const audience = {
    ofOwner: (owner: string) =>
      Promise.resolve(
        owner === "alice-id"
          ? [device(), device({ appId: ANDROID, pushkey: "android-token", selector: "S:2", pushkeyTsMs: 9 })]
          : [],
      ),
    ofSelector: (selector: string, owner?: string) =>
      Promise.resolve(selector === SELECTOR && owner !== "bob" ? [device({ environment: "sandbox" })] : []),
  };
  const without = { AppId: undefined, DeviceToken: undefined };

  it("goes to each device of the account, for the account that each of them knows", async () => {
    const listener = await start({ audience });
    listener.dispatcher.settle = (push) =>
      push.appId === ANDROID ? { kind: "rejected", reason: "unregistered" } : { kind: "delivered" };
    const body = notice({ ...without, verb: "NotifyTextMessage", Account: "alice" });
    const response = await post(listener, "/pnm2/send", body);
    expect(response.body).toEqual({
      ...sent,
      devices: [
        { AppId: IOS, ...sent },
        { AppId: ANDROID, ...refused(expect.any(String), 404) },
      ],
    });
    expect(response.text).not.toContain('token":');
    const pushes = listener.dispatcher.calls[0]?.pushes ?? [];
    expect(
      pushes.map(({ pushkey, pushkeyTsMs, content }) => [
        pushkey,
        pushkeyTsMs,
        (content as SoftphoneContent).selector,
      ]),
    ).toEqual([
      [TOKEN_HEX, 5, SELECTOR],
      ["android-token", 9, "S:2"],
    ]);
  });

  it("goes to the selector's device, in its environment, within a multisend too", async () => {
    const listener = await start({ audience });
    const body = [notice(), notice({ ...without, Selector: SELECTOR }), notice()];
    expect((await post(listener, "/pnm2/multisend", body)).body).toEqual([
      sent,
      { ...sent, devices: [{ AppId: IOS, ...sent }] },
      sent,
    ]);
    const environments = listener.dispatcher.calls[0]?.pushes.map(({ environment }) => environment);
    expect(environments?.toSorted()).toEqual(["sandbox", undefined, undefined]);
  });

  it.each<[string, object, number]>([
    ["a selector that nobody has", { Selector: "unknown" }, 404],
    ["another account's selector", { Selector: SELECTOR, Account: "bob" }, 404],
    ["an account without devices", { Account: "carol" }, 404],
    ["half an address", { Selector: SELECTOR, AppId: IOS }, 400],
    ["no address", {}, 400],
    ["an empty selector", { Selector: "" }, 400],
    ["an account that is no text", { Account: 7 }, 400],
  ])("%s is %j -> %i", async (_what, fields, code) => {
    const listener = await start({ audience });
    const response = await post(listener, "/pnm2/send", notice({ ...without, ...fields }));
    expect([response.status, response.body]).toEqual([200, refused(expect.any(String), code)]);
    expect(listener.dispatcher.calls).toEqual([]);
  });

  it("of a hundred devices each makes no more pushes of one list than can be borne", async () => {
    const many = Array.from({ length: 100 }, (_, i) => device({ pushkey: String(i) }));
    const listener = await start({ audience: { ...audience, ofOwner: () => Promise.resolve(many) } });
    const list = Array.from({ length: 150 }, () => notice({ ...without, Account: "alice" }));
    const { body } = await post(listener, "/pnm2/multisend", list);
    const codes = (body as { code: number }[]).map(({ code }) => code);
    expect([codes.filter((code) => code === 200), codes.filter((code) => code === 500)]).toEqual([
      Array<number>(100).fill(200),
      Array<number>(50).fill(500),
    ]);
    expect(listener.dispatcher.calls[0]?.pushes).toHaveLength(10_000);
  });

  it("is no address where nobody registers devices", async () => {
    const listener = await start();
    const response = await post(listener, "/pnm2/send", notice({ ...without, Selector: SELECTOR }));
    expect(response.body).toEqual(refused("Bad attributes: AppId is missing, DeviceToken is missing."));
  });
});
