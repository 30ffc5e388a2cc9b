import { once } from "node:events";
import { request } from "node:http";
import { createServer, type AddressInfo } from "node:net";
import { Script } from "node:vm";
import { systemClock } from "../../src/clock.ts";
import { startAdminListener } from "../../src/gateway/admin.ts";
import { silentLog } from "../../src/log.ts";
import {
  ANDROID,
  IOS,
  iosPushkey,
  message,
  startGateway,
  type RunningGateway,
} from "../support/with-gateway.ts";
import { freePort } from "../support/free-port.ts";
import { createCredentials } from "../../src/simulator/credentials.ts";

const credentials = createCredentials();
const TOKEN = "Xq7vN2wL9sK4rT8yB3mZ6cF1hJ5pD0gA";

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** One request with exactly these headers; fetch would not let Host and Origin be set. */
function ask(
  url: string,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = "GET", headers = {}, body } = options;
    const sent = request(new URL(path, url), { method, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, body: text, headers: response.headers }),
      );
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

async function withAdmin<T>(
  setUp: Parameters<typeof startGateway>[0] & { token?: string },
  work: (gateway: RunningGateway) => Promise<T>,
): Promise<T> {
  const { token, ...rest } = setUp;
  const gateway = await startGateway({
    simulators: { credentials },
    ...rest,
    config: { admin: { port: await freePort(), ...(token === undefined ? {} : { token }) }, ...rest.config },
  });
  try {
    return await work(gateway);
  } finally {
    await gateway.stop();
  }
}

describe("the admin listener", () => {
  it("says ready, shows apps, circuits, what waits, guards and alarms, and reloads", () =>
    withAdmin({ config: { delivery: { answer_within: "2s" } } }, async (gateway) => {
      const { adminUrl, simulators } = gateway;
      const ready = await ask(adminUrl, "/ready");
      expect([ready.status, JSON.parse(ready.body)]).toEqual([
        200,
        { ready: true, stopping: false, store: "works", credentials_refused: [] },
      ]);
      await gateway.notify(message([{ app_id: ANDROID, pushkey: "t" }]));
      simulators.script.add({
        upstream: "apns",
        answer: { kind: "error", reason: "InvalidProviderToken" },
      });
      await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey("01") }]));
      const status = JSON.parse((await ask(adminUrl, "/status")).body) as Record<string, unknown>;
      expect(status).toMatchObject({ ready: true, credentials_refused: [IOS], removed_apps: [] });
      expect(status["apps"]).toEqual([
        expect.objectContaining({
          app: IOS,
          type: "apns",
          credentials: "refused",
          rejections: "held: never-succeeded",
          open_circuits: [expect.objectContaining({ host: expect.stringContaining("127.0.0.1") })],
          outbox: expect.objectContaining({ accepted: 1, pending: 1 }),
        }),
        expect.objectContaining({
          app: ANDROID,
          credentials: "work",
          rejections: "believed",
          open_circuits: [],
          in_flight: 0,
        }),
      ]);
      expect(status["alarms"]).toEqual([
        expect.objectContaining({ app: IOS, alarm: "credentials", count: 1, message: expect.any(String) }),
      ]);
      const reload = await ask(adminUrl, "/reload", { method: "POST" });
      expect([reload.status, JSON.parse(reload.body)]).toMatchObject([200, { ok: true, needs_restart: [] }]);
    }));

  it("describes what the present configuration opens, itself included", () =>
    withAdmin({ token: TOKEN, config: { softphone: { allow_anonymous: true } } }, async ({ adminUrl }) => {
      expect((await ask(adminUrl, "/openapi.json")).status).toBe(401);
      const headers = { authorization: `Bearer ${TOKEN}` };
      const { body, status } = await ask(adminUrl, "/openapi.json", { headers });
      const described = JSON.parse(body) as { openapi: string; paths: Record<string, unknown> };
      expect([status, described.openapi]).toEqual([200, expect.stringMatching(/^3\.1/)]);
      const paths = Object.keys(described.paths);
      expect(paths).toEqual(expect.arrayContaining(["/pnm2/send", "/ready", "/explain", "/openapi.json"]));
      expect(paths).not.toContain("/api/push");
      for (const path of ["/ready", "/status", "/openapi.json"])
        expect([path, (await ask(adminUrl, path, { headers })).status]).toEqual([path, 200]);
    }));

  it("answers a wrong reload 422 with the problems", () =>
    withAdmin({}, async (gateway) => {
      await gateway.rewrite(() => "apps: [");
      const reload = await ask(gateway.adminUrl, "/reload", { method: "POST" });
      expect([reload.status, JSON.parse(reload.body)]).toMatchObject([422, { ok: false }]);
    }));

  it("says which apps were removed and until when they are held", () =>
    withAdmin({}, async (gateway) => {
      await gateway.notify(message([{ app_id: ANDROID, pushkey: "t" }]));
      await gateway.rewrite(({ apps: { [ANDROID]: _gone, ...apps }, ...config }) => ({ ...config, apps }));
      await ask(gateway.adminUrl, "/reload", { method: "POST" });
      const status = JSON.parse((await ask(gateway.adminUrl, "/status")).body) as Record<string, unknown>;
      expect(status["removed_apps"]).toEqual([
        expect.objectContaining({ app: ANDROID, held_until: expect.stringMatching(/^\d{4}-/) }),
      ]);
    }));

  it("is not on the public listener", () =>
    withAdmin({}, async ({ url }) => {
      for (const path of ["/ready", "/status", "/reload", "/explain", "/console.js", "/"]) {
        expect((await ask(url, path)).status).toBe(404);
      }
    }));

  it("asks for the token, and without it says ready or not and nothing more", () =>
    withAdmin({ token: TOKEN }, async ({ adminUrl }) => {
      const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
      expect((await ask(adminUrl, "/status")).status).toBe(401);
      expect((await ask(adminUrl, "/status", bearer(`${TOKEN}x`))).status).toBe(401);
      expect((await ask(adminUrl, "/reload", { method: "POST" })).status).toBe(401);
      expect((await ask(adminUrl, "/status", bearer(TOKEN))).status).toBe(200);
      expect(JSON.parse((await ask(adminUrl, "/ready")).body)).toEqual({ ready: true });
      expect((await ask(adminUrl, "/")).status).toBe(200);
    }));

  it.each<[string, Record<string, string>, number]>([
    ["this machine's name", { host: "localhost:5001" }, 200],
    ["a loopback address", { host: "127.0.0.1" }, 200],
    ["another loopback address", { host: "127.8.8.8:1" }, 200],
    ["IPv6 loopback", { host: "[::1]:5001" }, 200],
    ["a name that was rebound to loopback", { host: "evil.example:5001" }, 403],
    ["a name that begins like an address", { host: "127.0.0.1.evil.example" }, 403],
    ["a name that ends like this machine's", { host: "evil.localhost" }, 403],
    ["credentials before the host", { host: "localhost@evil.example" }, 403],
    ["a form of another page", { host: "localhost:5001", origin: "https://evil.example" }, 403],
    ["a sandboxed page", { host: "localhost:5001", origin: "null" }, 403],
    ["an image of another page", { host: "localhost:5001", "sec-fetch-site": "cross-site" }, 403],
    ["a page of another port", { host: "localhost:5001", "sec-fetch-site": "same-site" }, 403],
    [
      "the console",
      { host: "localhost:5001", origin: "http://localhost:5001", "sec-fetch-site": "same-origin" },
      200,
    ],
  ])("meets %s as it should", (_who, headers, status) =>
    sharedUrl().then(async (url) => expect((await ask(url, "/status", { headers })).status).toBe(status)),
  );

  it.each<[string, string, { method?: string; body?: string }, number]>([
    ["an unknown path", "/nothing", {}, 404],
    ["a path with a slash more", "/status/", {}, 404],
    ["a wrong method", "/reload", { method: "GET" }, 405],
    ["a body that is no JSON", "/reload", { method: "POST", body: "{" }, 400],
    [
      "a body that is too large",
      "/reload",
      { method: "POST", body: JSON.stringify("x".repeat(20_000)) },
      413,
    ],
  ])("refuses %s", async (_what, path, options, status) => {
    const answer = await ask(await sharedUrl(), path, options);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toEqual({ errcode: expect.any(String), error: expect.any(String) });
  });

  it("serves a console that needs nothing from elsewhere and may run nothing inline", async () => {
    const url = await sharedUrl();
    const page = await ask(url, "/");
    expect(page.headers["content-security-policy"]).toContain("default-src 'none'");
    expect(page.headers["cache-control"]).toBe("no-store");
    expect(page.body).not.toMatch(/https?:\/\/|style=|\son\w+=|<script>|<style>/);
    const linked = [...page.body.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path = ""]) => path);
    expect(linked).toEqual(["/console.css", "/console.js"]);
    for (const path of linked) expect((await ask(url, path)).status).toBe(200);
    const script = (await ask(url, "/console.js")).body;
    expect(script).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval/);
    expect(() => new Script(script)).not.toThrow();
  });

  it("refuses to start where a port that the file names is taken, and goes on without where it is the default", async () => {
    const taken = createServer();
    // Whoever has the default port already serves as well.
    const holder = createServer().on("error", () => {});
    taken.listen(0, "127.0.0.1");
    holder.listen(5001, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    const warnings: string[] = [];
    const deps = {
      clock: systemClock,
      log: { ...silentLog, warn: (text: string) => void warnings.push(text) },
    };
    const admin = { enabled: true, bind_address: "127.0.0.1" };
    try {
      await expect(startAdminListener({ ...admin, port }, [], deps)).rejects.toThrow(
        `admin: cannot listen on 127.0.0.1:${port}`,
      );
      expect(await startAdminListener({ ...admin, port: 5001 }, [], deps)).toBeUndefined();
      expect(warnings).toEqual([expect.stringContaining("the gateway goes on without this listener")]);
    } finally {
      taken.close();
      holder.close();
    }
  });
});

let shared: Promise<RunningGateway> | undefined;

async function sharedUrl(): Promise<string> {
  shared ??= (async () =>
    startGateway({ simulators: { credentials }, config: { admin: { port: await freePort() } } }))();
  return (await shared).adminUrl;
}

afterAll(async () => (await shared)?.stop());
