import request from "supertest";
import { HttpError } from "../../src/http/errors.ts";
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
    await listener.server.stop(0);

    await start({ trustedProxies: ["127.0.0.0/8"] });
    await request(listener.url).get("/health").set("X-Forwarded-For", "203.0.113.9");
    await eventually(() => listener.heard.accesses.length === 1);
    expect(listener.heard.accesses[0]?.remote).toBe("203.0.113.9");
  });
});
