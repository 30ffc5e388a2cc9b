import { asAlice, BUNDLE, CALLS, MESSAGES, startRegistry } from "../support/registry-gateway.ts";

const QUERY =
  "username=%account[username]%&selector=%selector%&token_calls=%pushTokenIncomingCall%&appid_calls=%pushappid_incoming_call%&token_msgs=%pushTokenOther%&appid_msgs=%pushappid_other%";
const JSON_TEMPLATE =
  '{ "username" : "%account[username]%", "token_calls" : "%pushTokenIncomingCall%", "token_msgs" : "%pushTokenOther%", "selector" : "%selector%", "appId_calls": "%pushappid_incoming_call%", "appId_msgs" : "%pushappid_other%" }';
/** What an app puts into the templates' places. */
const PLACES: readonly (readonly [placeholder: string, value: string])[] = [
  ["%account[username]%", "johndow"],
  ["%selector%", "12869E0E6E553673C54F29105A0647204C416A2A:7C3A0D14"],
  ["%pushTokenIncomingCall%", Buffer.alloc(32, 7).toString("base64")],
  ["%pushappid_incoming_call%", CALLS],
  ["%pushTokenOther%", Buffer.from("fcm-token-of-johndow").toString("base64")],
  ["%pushappid_other%", MESSAGES],
  ["%pushToken%", Buffer.from("fcm-token-of-johndow").toString("base64")],
  ["%pushappid%", MESSAGES],
];
const filled = (template: string, encode: (value: string) => string): string =>
  PLACES.reduce((text, [placeholder, value]) => text.replaceAll(placeholder, encode(value)), template);

const JSON_TYPE = "application/json";
const FORM_TYPE = "application/x-www-form-urlencoded";

/** The templates of the token reporter's page; in a URL their per cent signs are no encoding, so no name can be read. */
const templates = [
  { what: "a GET with a query", path: `/token/?${QUERY}`, asPrinted: 401, encode: encodeURIComponent },
  {
    what: "a GET without a query",
    path: "/pushToken/%account[username]%/%selector%/%pushToken%&appid=%pushappid%",
    asPrinted: 401,
    encode: encodeURIComponent,
  },
  {
    what: "a POST of a form",
    path: "/token/",
    type: FORM_TYPE,
    body: QUERY,
    asPrinted: 400,
    encode: encodeURIComponent,
  },
  {
    what: "a POST of JSON",
    path: "/token/",
    type: JSON_TYPE,
    body: JSON_TEMPLATE,
    asPrinted: 400,
    encode: (value: string) => value,
  },
] as const;

/** The bodies of the registry's page: as printed the APNs ones have a shortened token, one of them no comma either. */
const bodies = [
  ['{ "system": "fcm", "action": "add", "device_token": "APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx..." }', 200],
  ['{ "system": "fcm", "action": "delete", "device_token": "APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx..." }', 200],
  [
    '{ "system": "apns", "action": "add", "device_token": "a6461732069737d42065496e...f39ad", "sandbox": true, "application_id": "39JSDKGJ38.de.cospace.app" "apns_topic": "de.cospace.app.voip" }',
    400,
  ],
  ['{ "system": "apns", "action": "delete", "device_token": "a6461732069737d42065496e...f39ad" }', 400],
] as const;

type Gateway = Awaited<ReturnType<typeof startRegistry>>;
let gateway: Gateway;
beforeAll(async () => {
  gateway = await startRegistry({ allow_anonymous: true });
});
afterAll(() => gateway.stop());

async function ask(path: string, type?: string, body?: string, headers: Record<string, string> = {}) {
  const init =
    body === undefined ? {} : { method: "POST", body, headers: { ...headers, "content-type": type ?? "" } };
  const response = await fetch(gateway.origin + path, init);
  return { status: response.status, text: await response.text() };
}

describe("the token reporter's templates", () => {
  it.each(templates)("$what: $asPrinted as it is printed, 200 as an app fills it in", async (template) => {
    const { asPrinted, path, encode } = template;
    const [type, body] = "body" in template ? [template.type, template.body] : [];
    const printed = await ask(path, type, body);
    expect([printed.status, printed.text.length > 0]).toEqual([asPrinted, true]);
    const used = await ask(filled(path, encode), type, body === undefined ? undefined : filled(body, encode));
    expect(used).toEqual({ status: 200, text: "" });
  });
});

describe("the registry's bodies as printed", () => {
  it.each(bodies)("%s: %i", async (body, status) => {
    const printed = await ask("/api/push", JSON_TYPE, body, asAlice);
    expect(printed.status).toBe(status);
    if (status === 200) expect(printed.text).toBe("{}");
    else
      expect(JSON.parse(printed.text)).toMatchObject({
        status: "invalid-request",
        error: expect.any(String),
      });
  });

  it.each([
    [true, undefined],
    [false, "de.cospace.app.voip"],
  ])(
    "with a whole token and its commas they register and delete (sandbox %s, topic %s)",
    async (sandbox, topic) => {
      const token = "a6461732069737d42065496e".padEnd(59, "0") + "f39ad";
      const add = {
        system: "apns",
        action: "add",
        device_token: token,
        sandbox,
        application_id: `39JSDKGJ38.${BUNDLE}`,
        ...(topic === undefined ? {} : { apns_topic: topic }),
      };
      const listed = async (): Promise<unknown> =>
        (await fetch(`${gateway.origin}/api/push`, { headers: asAlice })).json();
      expect(await ask("/api/push", JSON_TYPE, JSON.stringify(add), asAlice)).toEqual({
        status: 200,
        text: "{}",
      });
      const { application_id, apns_topic } = { apns_topic: undefined, ...add };
      expect(await listed()).toEqual({
        fcm: { device_tokens: [] },
        apns: {
          device_tokens: {
            [token]: { application_id, sandbox, ...(apns_topic === undefined ? {} : { apns_topic }) },
          },
        },
      });
      const remove = { system: "apns", action: "delete", device_token: token };
      expect(await ask("/api/push", JSON_TYPE, JSON.stringify(remove), asAlice)).toEqual({
        status: 200,
        text: "{}",
      });
      expect(await listed()).toEqual({ fcm: { device_tokens: [] }, apns: { device_tokens: {} } });
    },
  );
});
