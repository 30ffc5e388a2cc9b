import { monitorEventLoopDelay } from "node:perf_hooks";
import request from "supertest";
import type { Settled } from "../../../src/core/outcome.ts";
import {
  bodyOf,
  eventually,
  lifetimesMs,
  notifyPath,
  notifyRequest,
  oneDevice,
  rawCaller,
  startListener,
  type Listener,
} from "../../http/listener.ts";

let listener: Listener;

beforeEach(async () => {
  listener = await startListener();
});

afterEach(async () => {
  await listener.server.stop(0);
  expect(listener.heard.inFlightNow).toBe(0);
});

const post = (body: string, path = notifyPath) =>
  request(listener.url).post(path).set("Content-Type", "application/json").send(body);

/** Every answer of the door is JSON with a length; an error has a code and a sentence. */
function expectError(response: request.Response, status: number, errcode: string): void {
  expect(response.status).toBe(status);
  expect(response.headers["content-type"]).toBe("application/json");
  expect(response.headers["content-length"]).toBe(String(Buffer.byteLength(response.text)));
  expect(response.body).toEqual({ errcode, error: expect.stringMatching(/^[A-Z].*\.$/) });
}

const devicesOf = (devices: unknown): string => JSON.stringify({ notification: { event_id: "$e", devices } });

describe("a good request", () => {
  it("is answered 200 with a length and a list, and nothing that names the software", async () => {
    const response = await post(oneDevice);
    expect(response.status).toBe(200);
    expect(response.text).toBe('{"rejected":[]}');
    expect(response.headers["content-type"]).toBe("application/json");
    expect(response.headers["content-length"]).toBe("15");
    expect(Object.keys(response.headers).sort()).toEqual([
      "connection",
      "content-length",
      "content-type",
      "date",
      ...(response.headers["keep-alive"] === undefined ? [] : ["keep-alive"]),
      "x-request-id",
    ]);
    expect(response.headers["x-request-id"]).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });

  it("reaches the core with its id, its deadline and its expiry", async () => {
    const before = performance.now();
    const response = await post(oneDevice);
    const after = performance.now();
    const [call] = listener.dispatcher.calls;
    expect(call?.options.requestId).toBe(response.headers["x-request-id"]);
    expect(call?.options.answerByMs).toBeGreaterThanOrEqual(before + 5000);
    expect(call?.options.answerByMs).toBeLessThanOrEqual(after + 5000);
    const [push] = call?.pushes ?? [];
    expect(push?.expiresAtMs).toBe((push?.receivedAtMs ?? 0) + lifetimesMs.message);
    expect(call?.options.callerGone.aborted).toBe(false);
  });

  it("is heard of: one notification, one answer, one line of the access log without query or key", async () => {
    await post(oneDevice, `${notifyPath}?token=secret`);
    await eventually(() => listener.heard.accesses.length === 1);
    expect(listener.heard.notifications).toEqual(["matrix"]);
    expect(listener.heard.answers).toEqual([
      {
        door: "matrix",
        requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        trace: {},
        status: 200,
        dispatched: true,
        durationMs: expect.any(Number),
      },
    ]);
    expect(listener.heard.accesses).toEqual([
      {
        requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        remote: "127.0.0.1",
        method: "POST",
        path: notifyPath,
        httpVersion: "1.1",
        status: 200,
        bytes: 15,
        durationMs: expect.any(Number),
      },
    ]);
    expect(JSON.stringify(listener.logLines)).not.toContain("secret");
  });
});

describe("HTTP and JSON (10.1)", () => {
  it.each(["get", "put", "delete", "options", "patch", "head"] as const)(
    "1: %s is 405 with what is allowed",
    async (method) => {
      const response = await request(listener.url)[method](notifyPath);
      expect(response.status).toBe(405);
      expect(response.headers["allow"]).toBe("POST");
      if (method === "head") expect(response.text ?? "").toBe("");
      else expectError(response, 405, "M_UNRECOGNIZED");
    },
  );

  it("1: GET is the discovery object where UnifiedPush is served, and the rest stays 405", async () => {
    const gateway = await startListener({ unifiedpushGateway: true });
    try {
      const get = await request(gateway.url).get(notifyPath);
      expect(get.status).toBe(200);
      expect(get.body).toEqual({ unifiedpush: { gateway: "matrix" }, gateway: "matrix" });
      expect((await request(gateway.url).head(notifyPath)).status).toBe(200);
      const put = await request(gateway.url).put(notifyPath);
      expectError(put, 405, "M_UNRECOGNIZED");
      expect(put.headers["allow"]).toBe("GET, HEAD, POST");
    } finally {
      await gateway.server.stop(0);
    }
  });

  it.each([
    "/",
    "/_matrix/push/v1",
    "/_matrix/push/v1/notify/x",
    "/_matrix/push/v1/notify//",
    "/_MATRIX/push/v1/notify",
    "/%5fmatrix/push/v1/notify",
    "//_matrix/push/v1/notify",
    "/%",
    "/%zz?%",
  ])("2: POST %s is 404", async (path) => {
    const caller = await rawCaller(listener.port);
    caller.socket.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`,
    );
    const text = await caller.closed();
    expect(text).toMatch(/^HTTP\/1\.1 404 /);
    expect(JSON.parse(bodyOf(text))).toMatchObject({ errcode: "M_UNRECOGNIZED" });
  });

  it.each([`${notifyPath}/`, `${notifyPath}?x=y`, `${notifyPath}/?x=%zz&__proto__[a]=1`])(
    "3: %s is the endpoint",
    async (path) => {
      const response = await post(oneDevice, path);
      expect(response.status).toBe(200);
    },
  );

  it("3: so is the whole URL, as a proxy may send it", async () => {
    const caller = await rawCaller(listener.port);
    const start = `POST http://gateway.example${notifyPath}?x=y HTTP/1.1\r\nHost: gateway.example\r\n`;
    caller.socket.write(
      `${start}Connection: close\r\nContent-Length: ${oneDevice.length}\r\n\r\n${oneDevice}`,
    );
    expect(await caller.closed()).toMatch(/^HTTP\/1\.1 200 /);
  });

  it.each([
    ["4: empty", ""],
    ["4: white space", " \r\n"],
    ["5: truncated", '{"notification":'],
    ["5: no JSON", "notification=1"],
    ["5: NaN", '{"notification":{"x":NaN}}'],
    ["5: raw NUL", '{"notification":{"x":"\0"}}'],
  ])("%s is M_NOT_JSON", async (_title, body) => {
    expectError(await post(body), 400, "M_NOT_JSON");
    expect(listener.dispatcher.calls).toEqual([]);
  });

  it.each([
    ["a lone byte", [0xff]],
    ["an overlong form", [0xc0, 0xaf]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["a cut character", [0xe6, 0xb5]],
  ])("5: %s is not UTF-8", async (_title, bytes) => {
    const whole = `{"notification":{"x":"${"?".repeat(bytes.length)}"}}`;
    const sent = Buffer.from(notifyRequest(whole, ["Connection: close"]));
    Buffer.from(bytes).copy(sent, sent.indexOf("?"));
    const caller = await rawCaller(listener.port);
    caller.socket.write(sent);
    const text = await caller.closed();
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(JSON.parse(bodyOf(text))).toMatchObject({ errcode: "M_NOT_JSON" });
  });

  it("6: a byte order mark is accepted", async () => {
    expect((await post(`\ufeff${oneDevice}`)).status).toBe(200);
  });

  it.each(["[]", "null", "42", '"notification"', "true"])("7: %s is M_BAD_JSON", async (body) => {
    expectError(await post(body), 400, "M_BAD_JSON");
  });

  it.each(["{}", '{"notification":[]}', '{"notification":null}', '{"notification":"x"}'])(
    "8: %s is M_BAD_JSON",
    async (body) => {
      expectError(await post(body), 400, "M_BAD_JSON");
    },
  );

  it.each([
    [],
    ["Content-Type: text/plain"],
    ["Content-Type: application/json\ta"],
    ["Content-Type:  application/json"],
    ["Content-Type: application/json; charset=latin1"],
    ["Content-Type: multipart/form-data"],
    ["Content-Type: ; ;"],
    ["Content-Encoding: identity"],
    ["X-Text: \xff\xfe"],
    ["__proto__: x", "constructor: y"],
  ])("9: the header %j changes nothing (B11, H09)", async (...headers) => {
    const caller = await rawCaller(listener.port);
    caller.socket.write(notifyRequest(oneDevice, [...headers, "Connection: close"]), "latin1");
    expect(bodyOf(await caller.closed())).toBe('{"rejected":[]}');
  });

  it("10: HTTP/1.0 is answered with a length, then closed", async () => {
    const caller = await rawCaller(listener.port);
    caller.socket.write(notifyRequest(oneDevice, [], "1.0").replace("Host: gateway.example\r\n", ""));
    const text = await caller.closed();
    expect(text).toMatch(/^HTTP\/1\.1 200 .*Content-Length: 15\r\n/s);
    expect(text).toContain("Connection: close");
    expect(text).not.toContain("Transfer-Encoding");
  });

  it("13: nesting 100,000 deep is refused, at the limit it is served (H07)", async () => {
    expectError(await post("[".repeat(100_000) + "]".repeat(100_000)), 400, "M_BAD_JSON");
    expectError(await post('{"a":'.repeat(80_000) + "1" + "}".repeat(80_000)), 400, "M_BAD_JSON");
    // The outermost object, the notification and its content are three levels.
    const nested = (levels: number): string =>
      `{"notification":{"type":"t","content":${'{"a":'.repeat(levels)}1${"}".repeat(levels)},` +
      `"devices":[{"app_id":"a","pushkey":"p"}]}}`;
    expect((await post(nested(30))).status).toBe(200);
    expectError(await post(nested(31)), 400, "M_BAD_JSON");
  });

  it("13: brackets in strings are not nesting, quotes after backslashes end none", async () => {
    const body = devicesOf([{ app_id: `${"[{".repeat(50)}\\\\"\\`, pushkey: '\\"[['.repeat(40) }]);
    expect((await post(body)).status).toBe(200);
    expect(listener.dispatcher.calls[0]?.pushes[0]?.pushkey).toBe('\\"[['.repeat(40));
  });

  it("13: keys of prototypes do no harm", async () => {
    const body =
      '{"__proto__":{"polluted":1},"notification":{"__proto__":{"devices":[]},"constructor":1,"event_id":"$e","devices":[{"__proto__":null,"app_id":"a","pushkey":"p","data":{"constructor":{"prototype":{"polluted":1}}}}]}}';
    expect((await post(body)).status).toBe(200);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it("14: of a key that stands twice the last counts", async () => {
    await post('{"notification":{"event_id":"$a","event_id":"$b","devices":[{"app_id":"a","pushkey":"p"}]}}');
    expect(listener.dispatcher.calls[0]?.pushes[0]?.content).toMatchObject({ eventId: "$b" });
  });

  it("15: lone surrogates and NUL are cleaned on the way, Go's escapes are read", async () => {
    await post(
      '{"notification":{"type":"t","room_name":"\\uD800\\u0000x","sender":"\\u003cb\\u003e","devices":[{"app_id":"a","pushkey":"p"}]}}',
    );
    expect(listener.dispatcher.calls[0]?.pushes[0]?.content).toMatchObject({
      roomName: "\ufffdx",
      sender: "<b>",
    });
  });

  it("16: a caller that hangs up is told to the core, which goes on", async () => {
    let finish: (settled: Settled) => void = () => {};
    listener.dispatcher.settle = () => new Promise((resolve) => (finish = resolve));
    const caller = await rawCaller(listener.port);
    caller.socket.write(notifyRequest(oneDevice));
    await eventually(() => listener.dispatcher.calls.length === 1);
    const gone = listener.dispatcher.calls[0]?.options.callerGone;
    expect(gone?.aborted).toBe(false);
    caller.socket.destroy();
    await eventually(() => gone?.aborted === true);
    finish({ kind: "delivered" });
    await eventually(() => listener.heard.inFlightNow === 0 && listener.heard.accesses.length === 1);
    expect(listener.heard.accesses[0]).toMatchObject({ status: 499, bytes: 0 });
  });

  it("the connection is usable after a refusal (B01)", async () => {
    const caller = await rawCaller(listener.port);
    caller.socket.write(notifyRequest("nonsense"));
    await caller.until((text) => text.includes("M_NOT_JSON"));
    caller.socket.write(notifyRequest(oneDevice));
    expect(await caller.until((text) => text.includes("rejected"))).toContain("200 OK");
    caller.socket.destroy();
  });

  it.each(["gzip", "br", "nonsense", "identity, gzip"])("a body in %s is 415 (B12)", async (coding) => {
    const caller = await rawCaller(listener.port);
    caller.socket.write(notifyRequest(oneDevice, [`Content-Encoding: ${coding}`, "Connection: close"]));
    const text = await caller.closed();
    expect(text).toMatch(/^HTTP\/1\.1 415 /);
    expect(JSON.parse(bodyOf(text))).toMatchObject({ errcode: "M_UNKNOWN" });
    expect(listener.dispatcher.calls).toEqual([]);
  });

  it("a refusal is logged by its code, without anything that was sent", async () => {
    await post('{"notification":{"secret":"hush","devices":[{"app_id":"hush"}]}}');
    expect(listener.logLines).toEqual([
      {
        level: "warn",
        message: "request refused",
        fields: { request_id: expect.any(String), status: 400, reason: "no-usable-device" },
      },
    ]);
    expect(listener.heard.notifications).toEqual([]);
    expect(listener.heard.answers).toMatchObject([{ status: 400, dispatched: false }]);
  });
});

describe("devices and outcomes (10.2, 10.4)", () => {
  it.each([
    ["17", '{"notification":{}}'],
    ["17", '{"notification":{"devices":{}}}'],
    ["18", devicesOf([])],
    ["19", devicesOf([{ app_id: "a" }])],
    ["19", devicesOf([null])],
  ])("%s: %s is M_BAD_JSON", async (_case, body) => {
    expectError(await post(body), 400, "M_BAD_JSON");
    expect(listener.dispatcher.calls).toEqual([]);
  });

  it("21, 22: what can be no pushkey is rejected without the core", async () => {
    const long = "k".repeat(5000);
    const response = await post(
      devicesOf([
        { app_id: "a", pushkey: "" },
        { app_id: "a", pushkey: long },
      ]),
    );
    expect(response.status).toBe(200);
    expect(response.body).toEqual({ rejected: ["", long] });
    expect(listener.dispatcher.calls).toEqual([]);
    expect(listener.heard.notifications).toEqual(["matrix"]);
  });

  it("23, 25, 54: dead pushkeys are named once, in order", async () => {
    listener.dispatcher.settle = (push) =>
      push.pushkey.startsWith("dead") ? { kind: "rejected", reason: "unregistered" } : { kind: "delivered" };
    const device = (pushkey: string): object => ({ app_id: "a", pushkey });
    const response = await post(devicesOf(["dead2", "live", "dead1", "dead2"].map(device)));
    expect(response.status).toBe(200);
    expect(response.body).toEqual({ rejected: ["dead2", "dead1"] });
    expect(listener.dispatcher.calls[0]?.pushes).toHaveLength(3);
  });

  it("26: one for later makes it 502, with the upstream's wait", async () => {
    listener.dispatcher.settle = (push) =>
      push.pushkey === "later"
        ? { kind: "retryable", reason: "rate-limited", retryAfterMs: 2500 }
        : { kind: "delivered" };
    const response = await post(
      devicesOf([
        { app_id: "a", pushkey: "later" },
        { app_id: "a", pushkey: "now" },
      ]),
    );
    expectError(response, 502, "M_UNKNOWN");
    expect(response.headers["retry-after"]).toBe("3");
    expect(response.text).not.toContain("later");
  });

  it("61: our own overload is 503", async () => {
    listener.dispatcher.settle = () => ({ kind: "retryable", reason: "overloaded" });
    const response = await post(oneDevice);
    expectError(response, 503, "M_UNKNOWN");
    expect(response.headers["retry-after"]).toBe("5");
  });

  it("100 devices are served, 101 are 400 M_TOO_LARGE (B15)", async () => {
    const devices = (n: number): string =>
      devicesOf(Array.from({ length: n }, (_, i) => ({ app_id: "a", pushkey: `k${i}` })));
    expect((await post(devices(100))).status).toBe(200);
    expect(listener.dispatcher.calls[0]?.pushes).toHaveLength(100);
    expectError(await post(devices(101)), 400, "M_TOO_LARGE");
  });

  it("a bug is 500, logged with its place and without its message", async () => {
    listener.dispatcher.settle = () => {
      throw new TypeError("key-1 was hush");
    };
    expectError(await post(oneDevice), 500, "M_UNKNOWN");
    const [line] = listener.logLines;
    expect(line).toMatchObject({ level: "error", fields: { error: "TypeError" } });
    expect(line?.fields?.stack).toContain("index.test.ts");
    expect(JSON.stringify(line)).not.toContain("hush");
    expect(listener.heard.answers).toMatchObject([{ status: 500 }]);
  });
});

describe("hostile bodies hold the event loop for less than 50 ms (H08)", () => {
  const keys = (n: number): string => Array.from({ length: n }, (_, i) => `"k${i.toString(36)}":1`).join(",");
  const device = '{"app_id":"a","pushkey":"p"}';
  it.each([
    ["50,000 keys", `{"notification":{"type":"t","content":{${keys(50_000)}},"devices":[${device}]}}`, 400],
    ["19,000 keys", `{"notification":{"type":"t","content":{${keys(19_000)}},"devices":[${device}]}}`, 200],
    [
      "19,000 keys of a pusher",
      `{"notification":{"event_id":"$e","devices":[{"app_id":"a","pushkey":"p","data":{${keys(19_000)}}}]}}`,
      200,
    ],
    ["170,000 devices", `{"notification":{"devices":[${"{},".repeat(170_000)}{}]}}`, 400],
    ["250,000 devices", `{"notification":{"devices":[${"1,".repeat(250_000)}1]}}`, 400],
    [
      "one long string",
      `{"notification":{"type":"t","content":{"body":"${"x".repeat(500_000)}"},"devices":[${device}]}}`,
      200,
    ],
    [
      "one long string of NULs",
      `{"notification":{"type":"t","content":{"body":"${"\\u0000".repeat(80_000)}"},"devices":[${device}]}}`,
      200,
    ],
    [
      "backslashes and quotes",
      `{"notification":{"type":"t","content":{"body":"${'\\\\\\"'.repeat(120_000)}"},"devices":[${device}]}}`,
      200,
    ],
    [
      "170,000 empty strings",
      `{"notification":{"type":"t","content":{"list":[${'"",'.repeat(170_000)}""]},"devices":[${device}]}}`,
      400,
    ],
    [
      "59,000 empty strings",
      `{"notification":{"type":"t","content":{"list":[${'"",'.repeat(59_000)}""]},"devices":[${device}]}}`,
      200,
    ],
    [
      "59,000 lists of a pusher, beside a text to clean",
      `{"notification":{"event_id":"\\u0000$e","devices":[{"app_id":"a","pushkey":"p","data":{"list":[${"[],".repeat(59_000)}0]}}]}}`,
      200,
    ],
    ["lists in lists", "[".repeat(260_000) + "]".repeat(260_000), 400],
    [
      "a long pushkey",
      `{"notification":{"devices":[{"app_id":"a","pushkey":"${"é".repeat(250_000)}"}]}}`,
      200,
    ],
  ])("%s", async (_title, body, status) => {
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual(524_288);
    const head = notifyRequest("", ["Connection: close"]).replace(
      "Length: 0",
      `Length: ${Buffer.byteLength(body)}`,
    );
    const bytes = Buffer.from(head + body);
    // The best of three: other processes on the machine can hold the loop up too.
    let bestMs = Infinity;
    for (let round = 0; round < 3 && bestMs >= 50; round += 1) {
      const caller = await rawCaller(listener.port);
      const delay = monitorEventLoopDelay({ resolution: 1 });
      delay.enable();
      caller.socket.write(bytes);
      const text = await caller.closed();
      delay.disable();
      expect(text.slice(0, 12)).toBe(`HTTP/1.1 ${status}`);
      bestMs = Math.min(bestMs, delay.max / 1e6);
    }
    expect(bestMs).toBeLessThan(50);
  });
});
