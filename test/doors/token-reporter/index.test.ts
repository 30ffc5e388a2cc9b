import { connect } from "node:net";
import {
  alice,
  asAlice,
  asBob,
  basic,
  bob,
  BUNDLE,
  CALLS,
  MESSAGES,
  startRegistry,
} from "../../support/registry-gateway.ts";

let gateway: Awaited<ReturnType<typeof startRegistry>>;
afterEach(() => gateway.stop());

const selector = "12869E0E6E553673C54F29105A0647204C416A2A:7C3A0D14";
const messagesToken = "QVBBOTFiRzlhcVd2bW54bllCWldHOWh4dnRrZ3pUWFNvcGZpdWZ6bWM2dFAzS2J";
const callsToken = "Udl99X2JFP1bWwS5gR/wGeLE1hmAB2CMpr1Ej0wxkrY=";
const messagesText = Buffer.from(messagesToken, "base64").toString("latin1");
const callsHex = Buffer.from(callsToken, "base64").toString("hex");
const pair = `token_msgs=${messagesToken}&appid_msgs=${MESSAGES}`;
const credentials = `username=alice&password=${encodeURIComponent(alice.password)}`;

type Call = readonly [path: string, init?: RequestInit];
const call = (...[path, init]: Call): Promise<Response> => fetch(gateway.origin + path, init);
const json = (body: unknown, headers = {}): RequestInit => ({
  method: "POST",
  body: typeof body === "string" ? body : JSON.stringify(body),
  headers: { "content-type": "application/json", ...headers },
});
const form = (body: string, headers = {}): RequestInit => ({
  method: "POST",
  body,
  headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
});

/** What an account has by now, seen through the registry's own door. */
async function devicesOf(headers: Record<string, string>): Promise<{ fcm: string[]; apns: string[] }> {
  const response = await call("/api/push", { headers });
  expect(response.status).toBe(200);
  const body = (await response.json()) as {
    fcm: { device_tokens: string[] };
    apns: { device_tokens: Record<string, unknown> };
  };
  return { fcm: body.fcm.device_tokens, apns: Object.keys(body.apns.device_tokens) };
}

/** Writes a request byte by byte as a document prints it; gives the whole answer. */
function raw(lines: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(gateway.origin).port), "127.0.0.1");
    let answer = "";
    socket.setEncoding("latin1").on("data", (text: string) => (answer += text));
    socket.on("error", reject).on("close", () => resolve(answer));
    socket.write(lines.join("\r\n"));
  });
}

describe("the vendor's examples, as they are printed", () => {
  const both = { fcm: [messagesText], apns: [callsHex] };
  beforeEach(async () => {
    gateway = await startRegistry({ allow_anonymous: true });
  });
  const headers = [
    "Host: example.com",
    "Connection: close",
    "Cache-Control: max-age=0",
    "User-Agent: CloudSoftphone/1.5.6",
  ];

  it("GET method", async () => {
    const answer = await raw([
      `GET /token/?username=johndow&password=12345678&selector=${selector}&token_msgs=${messagesToken}&appid_msgs=com.cloudsoftphone.app&token_calls=Udl99X2JFP1bWwS5gR%2FwGeLE1hmAB2CMpr1Ej0wxkrY%3D&appid_calls=com.cloudsoftphone.app.pushkit HTTP/1.1`,
      ...headers,
      "",
      "",
    ]);
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).toMatch(/\r\nContent-Length: 0\r\n/);
    expect(answer).not.toMatch(/\r\nContent-Type/i);
    // The same token for an account that can list it takes it from him who reported it.
    expect(await devicesOf(asBob)).toEqual({ fcm: [], apns: [] });
  });

  it("POST method, JSON", async () => {
    const body = [
      "{",
      `    "token_msgs"    : "${messagesToken}",`,
      `    "appid_msgs"    : "com.cloudsoftphone.app",`,
      `    "token_calls"   : "${callsToken}",`,
      `    "appid_calls"   : "com.cloudsoftphone.app.pushkit",`,
      `    "selector"      : "${selector}"`,
      "}",
    ].join("\n");
    const answer = await raw([
      "POST /token/bob/ HTTP/1.1",
      ...headers,
      "Content-Type: application/json",
      // The document counts 183 for a body of another layout.
      `Content-Length: ${Buffer.byteLength(body)}`,
      "",
      body,
    ]);
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(await devicesOf(asBob)).toEqual(both);
  });

  it.each<[string, Call]>([
    [
      "with query-string and both pairs",
      [
        `/token/?username=bob&selector=${selector}&token_calls=${encodeURIComponent(callsToken)}&appid_calls=${CALLS}&token_msgs=${messagesToken}&appid_msgs=${MESSAGES}`,
      ],
    ],
    [
      "as form post data",
      [
        "/token/",
        form(
          `username=bob&selector=${selector}&token_calls=${callsToken}&appid_calls=${CALLS}&token_msgs=${messagesToken}&appid_msgs=${MESSAGES}`,
        ),
      ],
    ],
    [
      "as JSON post data",
      [
        "/token/",
        json({
          username: "bob",
          token_calls: callsToken,
          token_msgs: messagesToken,
          selector,
          appId_calls: CALLS,
          appId_msgs: MESSAGES,
        }),
      ],
    ],
  ])("template %s", async (_what, [path, init]) => {
    expect((await call(path, init)).status).toBe(200);
    expect(await devicesOf(asBob)).toEqual(both);
  });

  it("template without query-string", async () => {
    expect((await call(`/pushToken/bob/${selector}/${messagesToken}&appid=${MESSAGES}`)).status).toBe(200);
    expect(await devicesOf(asBob)).toEqual({ fcm: [messagesText], apns: [] });
  });
});

describe("tokens", () => {
  beforeEach(async () => {
    gateway = await startRegistry();
  });
  const report = (fields: string): Promise<Response> =>
    call(`/token?${credentials}&selector=${selector}&${fields}`);

  it.each([
    ["base64", callsToken],
    ["URL-safe base64", callsToken.replace("/", "_")],
    ["base64 without padding", callsToken.replace("=", "")],
    ["hex", callsHex],
    ["upper-case hex", callsHex.toUpperCase()],
  ])("of APNs in %s are the same one", async (_what, token) => {
    expect((await report(`token_calls=${encodeURIComponent(token)}&appid_calls=${CALLS}`)).status).toBe(200);
    expect(await devicesOf(asAlice)).toEqual({ fcm: [], apns: [callsHex] });
  });

  it("of FCM in base64 and as they are are the same one, and pluses survive a form", async () => {
    await report(pair);
    await report(`token_msgs=${messagesText}&appid_msgs=${MESSAGES}`);
    expect((await devicesOf(asAlice)).fcm).toEqual([messagesText]);
    const bytes = Buffer.from("fb".repeat(32), "hex").toString("base64");
    expect(bytes).toContain("+");
    await report(`token_calls=${bytes}&appid_calls=${CALLS}`);
    expect((await devicesOf(asAlice)).apns).toEqual(["fb".repeat(32)]);
  });

  it.each([["token_msgs=&appid_msgs=x"], ["token_msgs=null&appid_msgs=null"], [`appid_msgs=${MESSAGES}`]])(
    "that are not there yet leave the stored one, and the other pair is stored: %s",
    async (absent) => {
      await report(pair);
      expect((await report(`${absent}&token_calls=${callsHex}&appid_calls=${CALLS}`)).status).toBe(200);
      expect(await devicesOf(asAlice)).toEqual({ fcm: [messagesText], apns: [callsHex] });
    },
  );

  it("as JSON null leave the stored one", async () => {
    await report(pair);
    const body = {
      selector,
      token_msgs: null,
      appid_msgs: null,
      token_calls: callsToken,
      appid_calls: CALLS,
    };
    expect((await call("/token/alice/", json({ ...body, password: alice.password }))).status).toBe(200);
    expect(await devicesOf(asAlice)).toEqual({ fcm: [messagesText], apns: [callsHex] });
  });

  it("are replaced by a newer report of the selector", async () => {
    await report(pair);
    await report(`token_msgs=new-token_text.1&appid_msgs=${MESSAGES}`);
    expect((await devicesOf(asAlice)).fcm).toEqual(["new-token_text.1"]);
  });

  it.each<[string, Call, number, string]>([
    ["no selector", [`/token?${credentials}&${pair}`], 400, "selector is missing"],
    [
      "no app id",
      [`/token?${credentials}&selector=S&token_msgs=${messagesToken}`],
      400,
      "appid_msgs is missing",
    ],
    [
      "all of it at once",
      [`/token?${credentials}&token_msgs=x&token_calls=y`],
      400,
      "selector is missing; appid_msgs is missing beside its token; appid_calls is missing beside its token",
    ],
    [
      "an app that is not configured",
      [`/token?${credentials}&selector=S&token_msgs=x&appid_msgs=org.example`],
      400,
      "appid_msgs is no app that is served here",
    ],
    [
      "no token of APNs",
      [`/token?${credentials}&selector=S&token_calls=%C3%A4&appid_calls=${CALLS}`],
      400,
      "token_calls is no token",
    ],
    [
      "white space in a token",
      [
        "/token/",
        json({
          username: "alice",
          password: alice.password,
          selector,
          token_msgs: "a b",
          appid_msgs: MESSAGES,
        }),
      ],
      400,
      "token_msgs is no token",
    ],
    [
      "a token with a control character",
      [`/token?${credentials}&selector=S&token_msgs=a%00b&appid_msgs=${MESSAGES}`],
      400,
      "token_msgs is no token",
    ],
    [
      "a token without an end",
      [
        "/token/",
        json({
          username: "alice",
          password: alice.password,
          selector,
          token_msgs: "x.".repeat(4000),
          appid_msgs: MESSAGES,
        }),
      ],
      400,
      "token_msgs is no token",
    ],
    ["no JSON", ["/token/alice/", json("{")], 400, "not JSON"],
    ["no form", ["/token/alice/", form("%zz=1", asAlice)], 400, "no form"],
    ["a list", ["/token/alice/", json([], asAlice)], 400, "the body must be an object"],
    ["another method", ["/token/", { method: "PUT", body: "x" }], 405, "method"],
    ["too much", ["/token/", json(`"${"x".repeat(600_000)}"`)], 413, "too large"],
  ])("%s: answers why, and stores nothing", async (_what, [path, init], status, sentence) => {
    const response = await call(path, init);
    expect(response.status).toBe(status);
    expect(((await response.json()) as { error: string }).error).toContain(sentence);
    expect(await devicesOf(asAlice)).toEqual({ fcm: [], apns: [] });
  });
});

describe("who may report", () => {
  beforeEach(async () => {
    gateway = await startRegistry();
  });
  const query = `selector=${selector}&${pair}`;

  it.each<[string, Call]>([
    ["the parameters' password", [`/token/?${credentials}&${query}`]],
    ["Basic", [`/token/?${query}`, { headers: asAlice }]],
    ["Basic beside a name in the path", ["/token/alice/", form(query, asAlice)]],
    [
      "a path and a query",
      [
        `/pushToken/alice/${selector}/${messagesToken}&appid=${MESSAGES}?password=${encodeURIComponent(alice.password)}`,
      ],
    ],
  ])("%s opens", async (_what, [path, init]) => {
    expect((await call(path, init)).status).toBe(200);
    expect((await devicesOf(asAlice)).fcm).toEqual([messagesText]);
  });

  it("an account with a token alone does by Bearer", async () => {
    expect((await call(`/token/?${query}`, { headers: asBob })).status).toBe(200);
    expect((await devicesOf(asBob)).fcm).toEqual([messagesText]);
  });

  it.each<[string, Call]>([
    ["nothing", [`/token/?${query}`]],
    ["a name alone", [`/token/?username=alice&${query}`]],
    ["a wrong password", [`/token/?username=alice&password=no&${query}`]],
    ["an empty password", [`/token/?username=alice&password=&${query}`]],
    ["an unknown name", [`/token/?username=mallory&password=no&${query}`]],
    ["another's password", [`/token/?username=bob&password=${encodeURIComponent(alice.password)}&${query}`]],
    ["wrong Basic", [`/token/?${query}`, { headers: { authorization: basic("alice", "no") } }]],
    ["a wrong token", [`/token/?${query}`, { headers: { authorization: "Bearer no" } }]],
    ["a wrong password for a removal", [`/token/remove?username=alice&password=no&${query}`]],
    [
      "an unknown app with a wrong password",
      ["/token/?username=alice&password=no&selector=S&token_msgs=x&appid_msgs=x"],
    ],
  ])("%s is refused like all others", async (_what, [path, init]) => {
    await call(`/token/?${credentials}&${query}`);
    const response = await call(path, init);
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toBe('Basic realm="signalbox", charset="UTF-8", Bearer');
    expect(await response.text()).toBe('{"error":"The credentials are missing or wrong."}');
    expect(await devicesOf(asAlice)).toEqual({ fcm: [messagesText], apns: [] });
  });

  it("another account's selector is unknown, and nothing has changed", async () => {
    await call(`/token/?${credentials}&${query}`);
    const response = await call(`/token/?selector=${selector}&token_msgs=mine&appid_msgs=${MESSAGES}`, {
      headers: asBob,
    });
    expect(response.status).toBe(404);
    expect(await devicesOf(asBob)).toEqual({ fcm: [], apns: [] });
    expect((await call(`/token/remove?selector=${selector}`, { headers: asBob })).status).toBe(200);
    expect(await devicesOf(asAlice)).toEqual({ fcm: [messagesText], apns: [] });
  });
});

describe("a name that nobody checks", () => {
  it("is the account of this name, or itself", async () => {
    gateway = await startRegistry({ allow_anonymous: true });
    const report = (name: string, s: string): Promise<Response> =>
      call(`/token/?username=${name}&selector=${s}&${pair}`);
    expect((await report("alice", "S:1")).status).toBe(200);
    expect((await devicesOf(asAlice)).fcm).toEqual([messagesText]);
    expect((await report("carol", "S:2")).status).toBe(200);
    expect((await devicesOf(asAlice)).fcm).toEqual([]);
    expect((await call(`/token/?selector=S:3&${pair}`)).status).toBe(401);
  });

  it("is missing where nobody could prove who he is either", async () => {
    gateway = await startRegistry({ allow_anonymous: true, accounts: [] });
    const response = await call(`/token/?selector=S:3&${pair}`);
    expect([response.status, await response.json()]).toEqual([400, { error: "username is missing" }]);
    // Unchecked names never open the registry's own door.
    expect((await call("/api/push")).status).toBe(404);
  });
});

describe("the account removal reporter", () => {
  beforeEach(async () => {
    gateway = await startRegistry();
    const both = `${pair}&token_calls=${callsHex}&appid_calls=${CALLS}`;
    await call(`/token/?${credentials}&selector=S:1&${both}`);
    await call(`/token/?${credentials}&selector=S:2&token_msgs=other.token&appid_msgs=${MESSAGES}`);
  });

  it.each<[string, Call, { fcm: string[]; apns: string[] }]>([
    ["a selector", [`/token/remove?${credentials}&selector=S:1`], { fcm: ["other.token"], apns: [] }],
    [
      "a selector by POST",
      ["/token/remove/", form("selector=S:1", asAlice)],
      { fcm: ["other.token"], apns: [] },
    ],
    [
      "a selector in a path",
      ["/pushToken/remove/alice/S:1/", { headers: asAlice }],
      { fcm: ["other.token"], apns: [] },
    ],
    [
      "one token",
      ["/token/remove/alice/", json({ token_calls: callsToken }, asAlice)],
      { fcm: [messagesText, "other.token"], apns: [] },
    ],
    [
      "one token of a selector",
      [`/token/remove?selector=S:1&token_msgs=${messagesToken}`, { headers: asAlice }],
      { fcm: ["other.token"], apns: [callsHex] },
    ],
    [
      "a token that another selector has",
      ["/token/remove?selector=S:1&token_msgs=other.token", { headers: asAlice }],
      { fcm: [messagesText, "other.token"], apns: [callsHex] },
    ],
    [
      "what is unknown",
      ["/token/remove?selector=S:3", { headers: asAlice }],
      { fcm: [messagesText, "other.token"], apns: [callsHex] },
    ],
  ])("removes %s", async (_what, [path, init], expected) => {
    const response = await call(path, init);
    expect([response.status, await response.text()]).toEqual([200, ""]);
    expect(await devicesOf(asAlice)).toEqual(expected);
  });

  it("needs to know what", async () => {
    expect((await call("/token/remove", { headers: asAlice })).status).toBe(400);
  });
});

describe("everything else", () => {
  it("is closed where it is not configured, and below other paths", async () => {
    gateway = await startRegistry();
    for (const path of ["/tokens", "/token.x", "/pushtoken/a/b/c"])
      expect((await call(path)).status).toBe(404);
    await gateway.stop();
    gateway = await startRegistry({}, { config: { registry: undefined } });
    expect((await call("/token/")).status).toBe(404);
    expect((await call("/api/push")).status).toBe(404);
  });

  it("never logs a password, a token or a query string, at debug level and with its access lines", async () => {
    gateway = await startRegistry();
    const canary = "canary-7f3a9";
    const calls: readonly Call[] = [
      [`/token/?${credentials}&selector=${canary}&token_msgs=${canary}&appid_msgs=${MESSAGES}`],
      [
        `/token/?username=${canary}&password=${canary}&selector=${canary}&token_msgs=${canary}&appid_msgs=${canary}`,
      ],
      [`/pushToken/${canary}/${canary}/${canary}&appid=${canary}`, { headers: asAlice }],
      ["/token/", json(`{"${canary}": `, asAlice)],
      ["/token/", form(`${canary}=%zz`, asAlice)],
      [`/token/remove?selector=${canary}&pushToken=${canary}`, { headers: asAlice }],
      ["/api/push", json({ system: "fcm", action: "add", device_token: canary }, asAlice)],
      ["/api/push", json({ system: canary, action: canary }, asAlice)],
      ["/api/push", { headers: { authorization: basic(canary, canary), "x-api-key": canary } }],
      [`/${canary}?${canary}`],
    ];
    for (const [path, init] of calls) expect((await call(path, init)).status).toBeLessThan(500);
    const text = gateway.logLines.join("\n");
    expect(text).toContain("/token");
    expect(text).toContain("/api/push");
    for (const secret of [canary, alice.password, bob.token, messagesText, asAlice.authorization]) {
      expect(text).not.toContain(secret);
      expect(await gateway.metrics()).not.toContain(secret);
    }
    expect(text).not.toContain(BUNDLE);
  });
});
