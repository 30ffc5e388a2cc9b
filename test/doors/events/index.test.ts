import request from "supertest";
import type { AudienceDevice } from "../../../src/core/audience.ts";
import type { Settled } from "../../../src/core/outcome.ts";
import { checkEvents } from "../../../src/doors/events/config.ts";
import { eventsDoor, type EventsDoorOptions } from "../../../src/doors/events/index.ts";
import { createApiKeys } from "../../../src/http/auth.ts";
import type { JsonObject } from "../../../src/json.ts";
import { lifetimesMs, startListener, type Listener } from "../../http/listener.ts";
import { seedEvents } from "../../support/seed-events.ts";
import { apps, CALLS, device } from "../softphone/rig.ts";

const KEY = "event-key-5c1d9e7b3f";
const OWNER = "9aed5e94-3803-11e3-8475-0024e8f90cc0";
const order: JsonObject = {
  type: "object",
  properties: {
    order: { type: "string", format: "uuid" },
    state: { enum: ["open", "sent"] },
    text: { type: "string" },
  },
  required: ["order"],
};

const listeners: Listener[] = [];
async function start(
  devices: readonly AudienceDevice[],
  options: Partial<EventsDoorOptions> = {},
): Promise<Listener> {
  const door = eventsDoor({
    path: "/api/push/events",
    keys: createApiKeys([KEY]),
    apps,
    audience: { ofOwner: (owner) => Promise.resolve(owner === OWNER ? devices : []) },
    events: { order_moved: order },
    ...options,
  });
  const listener = await startListener({ doors: [door] });
  listeners.push(listener);
  return listener;
}
afterEach(() => Promise.all(listeners.splice(0).map(({ server }) => server.stop(0))));

const post = (listener: Listener, body: unknown, headers: Record<string, string> = {}) =>
  request(listener.url)
    .post("/api/push/events")
    .set({ "Content-Type": "application/json", Authorization: `Bearer ${KEY}`, ...headers })
    .send(typeof body === "string" ? body : JSON.stringify(body));

const fax = seedEvents[0]?.body ?? {};
const phones = [
  device(),
  device({ apnsTopic: "com.example.app.voip", environment: "sandbox" }),
  device({ appId: CALLS }),
];
const invalid = (error: unknown): object => ({ status: "invalid-request", error });

describe("a push event", () => {
  it.each(seedEvents)("$name goes to each device of its owner", async ({ body, name }) => {
    const listener = await start(phones);
    const response = await post(listener, body);
    expect([response.status, response.body]).toEqual([
      200,
      { devices: 3, delivered: 3, accepted: 0, rejected: 0, dropped: 0 },
    ]);
    const { owner, message: _name, ...fields } = body;
    const pushes = listener.dispatcher.calls[0]?.pushes ?? [];
    for (const { content } of pushes) expect(content).toEqual({ kind: "event", name, owner, fields });
    // Where it makes a phone ring it is worth no longer than a ring.
    expect(pushes.map((push) => [push.urgency, push.expiresAtMs - push.receivedAtMs])).toEqual([
      ["message", lifetimesMs.message],
      ["call", lifetimesMs.call],
      ["call", lifetimesMs.call],
    ]);
    expect(pushes[1]).toMatchObject({
      apnsTopic: "com.example.app.voip",
      environment: "sandbox",
      pushkeyTsMs: 5,
    });
  });

  it("of an owner without devices is 200 with zeros", async () => {
    const listener = await start(phones);
    const response = await post(listener, { ...fax, owner: "somebody-else" });
    expect([response.status, response.body]).toEqual([
      200,
      { devices: 0, delivered: 0, accepted: 0, rejected: 0, dropped: 0 },
    ]);
  });

  it("is counted by what became of each push; a duplicate was delivered", async () => {
    const outcomes: readonly Settled[] = [
      { kind: "delivered" },
      { kind: "accepted" },
      { kind: "rejected", reason: "unregistered" },
      { kind: "dropped", reason: "too-large" },
      { kind: "dropped", reason: "duplicate" },
    ];
    const listener = await start(outcomes.map((_one, i) => device({ pushkey: String(i) })));
    listener.dispatcher.settle = ({ pushkey }) => outcomes[Number(pushkey)] ?? { kind: "delivered" };
    expect((await post(listener, fax)).body).toEqual({
      devices: 5,
      delivered: 2,
      accepted: 1,
      rejected: 1,
      dropped: 1,
    });
  });

  it("that could not be kept for a device is 503 with a time", async () => {
    const listener = await start(phones);
    listener.dispatcher.settle = ({ appId }) =>
      appId === CALLS ? { kind: "retryable", reason: "store", retryAfterMs: 9_000 } : { kind: "delivered" };
    const response = await post(listener, fax);
    expect([response.status, response.headers["retry-after"]]).toEqual([503, "9"]);
    expect(response.body).toMatchObject({ status: "try-again", devices: 3, delivered: 2, failed: 1 });
  });

  it("has exactly the fields of its type, cleaned", async () => {
    const listener = await start([device()]);
    const text = JSON.stringify({ ...fax, more: 1, phone: "+49" }).replace("+49", "+49\\u0000\\ud800");
    expect((await post(listener, text)).status).toBe(200);
    const { content } = listener.dispatcher.calls[0]?.pushes[0] ?? {};
    expect(content).toMatchObject({ fields: { fax: fax["fax"], phone: "+49\ufffd", page_count: 2 } });
    expect(JSON.stringify(content)).not.toContain("more");
  });
});

describe("an event that is none", () => {
  it.each<[string, unknown, string]>([
    ["nothing", {}, "owner is missing, message is missing."],
    ["an unknown event", { owner: OWNER, message: "fax_old" }, "message is no event that is known here."],
    [
      "names of the wrong type",
      { owner: 1, message: [] },
      "owner must be string of at most 255 characters, message must be string of at most 255 characters.",
    ],
    [
      "a fax without its fields",
      { owner: OWNER, message: "fax_new" },
      "fax is missing, phone is missing, page_count is missing.",
    ],
    [
      "a fax with wrong ones and no owner",
      { message: "fax_new", fax: "x", phone: 1, page_count: "2" },
      'owner is missing, fax must match format "uuid", phone must be string, page_count must be integer.',
    ],
    ["half a page", { ...fax, page_count: 1.5 }, "page_count must be integer."],
    [
      "a chat in milliseconds",
      { ...seedEvents[4]?.body, time: 1_362_407_297_000 },
      "time must be <= 253402300799.",
    ],
    [
      "one's own with a wrong field",
      { owner: OWNER, message: "order_moved", state: "lost" },
      "order is missing, state must be equal to one of the allowed values.",
    ],
    [
      "one's own with a field that is Apple's",
      { owner: OWNER, message: "order_moved", order: fax["fax"], aps: {} },
      "there are fields with names that are taken.",
    ],
  ])("%s: all is named, and nothing is sent", async (_what, body, error) => {
    const listener = await start(phones);
    const response = await post(listener, body);
    expect([response.status, response.body]).toEqual([400, invalid(error)]);
    expect(listener.dispatcher.calls).toEqual([]);
  });

  it.each<[string, string, number, string]>([
    ["no JSON", "{", 400, "invalid-request"],
    ["a list", "[]", 400, "invalid-request"],
    ["too large", JSON.stringify({ a: "x".repeat(600_000) }), 413, "invalid-request"],
  ])("%s is refused in the registry's form", async (_what, body, code, status) => {
    const listener = await start(phones);
    const response = await post(listener, body);
    expect([response.status, response.body]).toEqual([code, { status, error: expect.any(String) }]);
  });

  it("comes with the key, by POST", async () => {
    const listener = await start(phones);
    for (const headers of [{ Authorization: "" }, { Authorization: "Bearer wrong-wrong-wrong-wrong" }]) {
      const response = await post(listener, fax, headers);
      expect([response.status, response.body]).toEqual([
        401,
        { status: "unauthorized", error: "The credentials are missing or wrong." },
      ]);
      expect(response.headers["www-authenticate"]).toBe("Bearer");
    }
    expect((await post(listener, fax, { Authorization: "", "X-Api-Key": KEY })).status).toBe(200);
    const get = await request(listener.url).get("/api/push/events");
    expect([get.status, get.headers["allow"]]).toEqual([405, "POST"]);
  });
});

describe("one's own events", () => {
  it("are sent with their fields as they came", async () => {
    const listener = await start([device()]);
    const fields = { state: "sent", order: fax["fax"], note: { by: ["a", 1, null] } };
    expect((await post(listener, { message: "order_moved", ...fields, owner: OWNER })).status).toBe(200);
    expect(listener.dispatcher.calls[0]?.pushes[0]?.content).toEqual({
      kind: "event",
      name: "order_moved",
      owner: OWNER,
      fields,
    });
  });

  it("are refused shortly, whatever names were sent and however many", async () => {
    const anything: JsonObject = {
      type: "object",
      additionalProperties: { type: "object", additionalProperties: { type: "string" } },
    };
    const listener = await start([device()], { events: { anything } });
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`n${i}`, i]));
    const name = "\u{1f984}".repeat(50_000);
    const response = await post(listener, { owner: OWNER, message: "anything", [name]: many });
    expect([response.status, response.body]).toEqual([
      400,
      invalid(expect.stringMatching(/ must be string/)),
    ]);
    expect(response.text.length).toBeLessThan(10_000);
    expect(response.text.isWellFormed()).toBe(true);
  });

  it.each<[string, Record<string, JsonObject>, RegExp | undefined]>([
    ["that compile are taken", { order_moved: order }, undefined],
    ["need a type", { a: { properties: {} } }, /^must be a JSON Schema with `type: object`$/],
    [
      "with a word that is none are refused",
      { a: { type: "object", propertys: {} } },
      /^is no JSON Schema: .*propertys/,
    ],
    [
      "that lead elsewhere are refused",
      { a: { type: "object", $ref: "https://example.org/x" } },
      /^is no JSON Schema: /,
    ],
    [
      "have no fields of Apple's or Google's",
      { a: { type: "object", properties: { aps: {}, "google.x": {} } } },
      /taken: aps, google\.x$/,
    ],
    ["have names of their own", { fax_new: { type: "object" } }, /^is an event that there is already$/],
    ["have names without spaces", { "a b": { type: "object" } }, /^is no name of an event/],
    [
      "are bounded",
      { a: { type: "object", description: "x".repeat(20_000) } },
      /^must have at most 16384 bytes/,
    ],
  ])("%s", (_what, events, message) => {
    const findings = checkEvents(events);
    expect(findings.map(({ path }) => path)).toEqual(
      message === undefined ? [] : [["registry", "events", Object.keys(events)[0]]],
    );
    expect(findings[0]?.message ?? "").toMatch(message ?? /^$/);
  });

  it("are not more than a hundred", () => {
    const many = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`e${i}`, order]));
    expect(checkEvents(many)).toEqual([
      { path: ["registry", "events"], message: "must have at most 100 entries" },
    ]);
  });
});
