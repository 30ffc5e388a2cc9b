import type { IncomingMessage } from "node:http";
import request from "supertest";
import { frontDoors } from "../../src/doors/index.ts";
import { HttpError } from "../../src/http/errors.ts";
import { FastLane } from "../../src/http/fast-lane.ts";
import { eventually, notifyPath, oneDevice, startListener, type Listener } from "./listener.ts";

let listener: Listener;

async function start(...options: Parameters<typeof startListener>): Promise<void> {
  listener = await startListener(...options);
}

afterEach(() => listener.server.stop(0));

describe("GET /health", () => {
  it.each(["get", "head"] as const)("%s is 200 and empty", async (method) => {
    await start();
    const response = await request(listener.url)[method]("/health");
    expect(response.status).toBe(200);
    expect(response.text ?? "").toBe("");
    expect(response.headers["content-length"]).toBe("0");
    expect(response.headers).not.toHaveProperty("content-type");
  });

  it("other methods are 405 with what is allowed", async () => {
    await start();
    const response = await request(listener.url).post("/health");
    expect(response.status).toBe(405);
    expect(response.headers["allow"]).toBe("GET, HEAD");
    expect(response.body).toMatchObject({ errcode: "M_UNRECOGNIZED" });
  });

  it("is 503 from the moment a stop is asked for, while pushes are still served", async () => {
    await start();
    listener.stopping = true;
    expect((await request(listener.url).get("/health")).status).toBe(503);
    expect((await request(listener.url).post(notifyPath).send(oneDevice)).status).toBe(200);
  });
});

describe("everything else", () => {
  it.each([
    "/",
    "/health/",
    "/health/detail",
    "/metrics",
    "/admin",
    "/debug",
    "/api/config",
    "/.env",
    "/ready",
  ])("%s is 404 in JSON (H27)", async (path) => {
    await start();
    const response = await request(listener.url).get(path);
    expect(response.status).toBe(404);
    expect(response.headers["content-type"]).toBe("application/json");
    expect(response.body).toEqual({ errcode: "M_UNRECOGNIZED", error: expect.any(String) });
    await eventually(() => listener.heard.accesses.length === 1);
    expect(listener.heard.accesses[0]).not.toHaveProperty("path");
  });
});

describe("errors that a door throws", () => {
  const throwing = (error: unknown) => ({
    name: "throwing",
    mount: (router: { get(path: string, handler: () => void): unknown }) =>
      void router.get("/throws/:secret", () => {
        throw error;
      }),
  });

  it("an HttpError is its answer", async () => {
    await start({ doors: [throwing(new HttpError("limited", { retryAfterMs: 1500 }))] });
    const response = await request(listener.url).get("/throws/x");
    expect(response.status).toBe(429);
    expect(response.headers["retry-after"]).toBe("2");
    expect(response.body).toEqual({
      errcode: "M_LIMIT_EXCEEDED",
      error: expect.any(String),
      retry_after_ms: 1500,
    });
    await eventually(() => listener.heard.accesses.length === 1);
    expect(listener.heard.accesses[0]?.path).toBe("/throws/:secret");
  });

  it("anything else is 500 and a bug in the log, whose message stays out of both", async () => {
    await start({ doors: [throwing(new RangeError("hush"))] });
    const response = await request(listener.url).get("/throws/hush");
    expect(response.status).toBe(500);
    expect(response.body).toEqual({ errcode: "M_UNKNOWN", error: "The gateway failed." });
    expect(listener.logLines).toMatchObject([{ level: "error", fields: { error: "RangeError" } }]);
    expect(JSON.stringify(listener.logLines)).not.toContain("hush");
  });
});

describe("X-Forwarded-For", () => {
  it("is believed only of a trusted proxy (H26)", async () => {
    await start();
    await request(listener.url).get("/health").set("X-Forwarded-For", "203.0.113.9");
    await eventually(() => listener.heard.accesses.length === 1);
    expect(listener.heard.accesses[0]?.remote).toBe("127.0.0.1");
    expect(listener.heard.refusals).toEqual([]);
    await listener.server.stop(0);

    await start({ trustedProxies: ["127.0.0.0/8"] });
    await request(listener.url).get("/health").set("X-Forwarded-For", "203.0.113.9");
    await eventually(() => listener.heard.accesses.length === 1);
    expect(listener.heard.accesses[0]?.remote).toBe("203.0.113.9");
  });

  it("is logged as it is said when the access log asks for it, and limits go by the connection", async () => {
    await start({ logsClaimedAddress: true, perSource: { count: 1, windowMs: 60_000 } });
    const ask = (claimed: string) =>
      request(listener.url).post(notifyPath).set("X-Forwarded-For", claimed).send("{}");
    expect((await ask("203.0.113.9")).status).toBe(400);
    expect((await ask("203.0.113.10")).status).toBe(429);
    await eventually(() => listener.heard.accesses.length === 2);
    expect(listener.heard.accesses.map(({ remote }) => remote)).toEqual(["203.0.113.9", "203.0.113.10"]);
    expect(listener.heard.refusals).toMatchObject([
      { source: "127.0.0.1", path: notifyPath, status: 400, code: "no-notification" },
      { source: "127.0.0.1", status: 429, code: "limited" },
    ]);
  });
});

describe("the lane past Express", () => {
  const ways = [
    ["lane", notifyPath],
    ["Express", `${notifyPath}?query`],
    ["Express", `${notifyPath}/`],
  ] as const;
  const manyHeaders = Object.fromEntries(Array.from({ length: 501 }, (_, i) => [`x-${i}`, "y"]));

  it.each([
    ["a push", (url: string) => request(url).post("").send(oneDevice), 200],
    ["no JSON", (url: string) => request(url).post("").send("{"), 400],
    ["JSON that is no notification", (url: string) => request(url).post("").send({}), 400],
    [
      "too large a body",
      (url: string) =>
        request(url)
          .post("")
          .send(`"${"x".repeat(524_288)}"`),
      413,
    ],
    [
      "an encoded body",
      (url: string) => request(url).post("").set("content-encoding", "gzip").send("x"),
      415,
    ],
    ["too many headers", (url: string) => request(url).post("").set(manyHeaders).send(oneDevice), 431],
    ["GET", (url: string) => request(url).get(""), 405],
    ["another method", (url: string) => request(url).put("").send(oneDevice), 405],
  ])("answers, counts and logs %s as Express does", async (_what, send, status) => {
    await start();
    const seen: unknown[] = [];
    for (const [, path] of ways) {
      const response = await send(`${listener.url}${path}`);
      const requestId = response.headers["x-request-id"];
      expect(response.status).toBe(status);
      expect(requestId).toMatch(/^[0-9a-f-]{36}$/);
      await eventually(() => listener.heard.accesses.length === seen.length + 1);
      const { durationMs: _ms, requestId: logged, ...access } = listener.heard.accesses[seen.length] ?? {};
      expect(logged).toBe(requestId);
      const { date: _date, "x-request-id": _id, ...headers } = response.headers;
      seen.push({ access, headers, body: response.text });
    }
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).toEqual(seen[0]);
    const statuses = listener.heard.answers.map((answer) => [answer.door, answer.status]);
    expect(new Set(statuses.map(String)).size).toBeLessThanOrEqual(1);
    expect([0, ways.length]).toContain(statuses.length);
    expect(listener.heard.inFlightNow).toBe(0);
  });

  it("is taken by the usual push, which Express then does not see", async () => {
    const paths: string[] = [];
    const spy = {
      name: "spy",
      mount: (router: {
        use(handler: (req: { url: string }, res: unknown, next: () => void) => void): unknown;
      }) =>
        void router.use((req, _res, next) => {
          paths.push(req.url);
          next();
        }),
    };
    await start({ doors: [spy, ...frontDoors({ matrix: { unifiedpushGateway: false } })] });
    for (const [, path] of ways) await request(listener.url).post(path).send(oneDevice);
    expect(paths).toEqual(ways.slice(1).map(([, path]) => path));
  });

  it.each(ways)("takes a source's requests out of one allowance: %s first, %s", async (_way, first) => {
    await start({ perSource: { count: 2, windowMs: 60_000 } });
    const paths = [first, notifyPath, `${notifyPath}?query`];
    const statuses: number[] = [];
    for (const path of paths) statuses.push((await request(listener.url).post(path).send(oneDevice)).status);
    expect(statuses).toEqual([200, 200, 429]);
    const refused = await request(listener.url).post(notifyPath).send(oneDevice);
    expect(refused.status).toBe(429);
    expect(refused.headers["retry-after"]).toBe("30");
    expect((await request(listener.url).get("/health")).status).toBe(200);
    expect(listener.dispatcher.calls).toHaveLength(2);
  });

  it("answers a bug with 500 as well", async () => {
    const throwing = {
      name: "throwing",
      mount: () => {},
      enter: (lane: FastLane) =>
        lane.add("/throws", async () => {
          throw new RangeError("hush");
        }),
    };
    await start({ doors: [throwing] });
    const response = await request(listener.url).post("/throws");
    expect(response.status).toBe(500);
    expect(listener.logLines).toMatchObject([{ level: "error", fields: { error: "RangeError" } }]);
  });

  it("takes no path with parameters, and the first handler of a path", () => {
    const lane = new FastLane();
    const first = async (): Promise<void> => {};
    lane.add("/one", first);
    lane.add("/one", async () => {});
    lane.add("/:any", async () => {});
    const found = (method: string, url: string) => lane.find({ method, url } as IncomingMessage);
    expect(found("POST", "/one")).toBe(first);
    expect(found("POST", "/:any")).toBeUndefined();
    expect(found("GET", "/one")).toBeUndefined();
    expect(found("POST", "/one?")).toBeUndefined();
  });
});
