import { createCredentials } from "../../src/simulator/credentials.ts";
import { ask } from "../support/ask-explain.ts";
import { freePort } from "../support/free-port.ts";
import { asBob, BUNDLE, eventKey, startRegistry } from "../support/registry-gateway.ts";
import { spawnSignalbox } from "../support/spawn-gateway.ts";
import { iosPushkey, message } from "../support/with-gateway.ts";

type Gateway = Awaited<ReturnType<typeof startRegistry>>;

const credentials = createCredentials();
const notify = "/_matrix/push/v1/notify";
const pbxKey = "pbx-key-7f3a9c1e5b";
/** Stands in all that is sent here; nothing that is told may have it. */
const secret = "canary-5d1f";

let gateway: Gateway;
beforeAll(async () => (gateway = await start()));
afterAll(() => gateway.stop());

async function start(config: Readonly<Record<string, unknown>> = {}): Promise<Gateway> {
  return startRegistry(
    {},
    {
      simulators: { credentials },
      config: {
        admin: { port: await freePort() },
        softphone: { api_keys: [pbxKey] },
        limits: { max_devices: 3, max_body: 4_096, max_multisend: 2 },
        ...config,
      },
    },
  );
}

interface Sent {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Sends it, and gives the status and the id that came with the answer. */
async function send({ body, headers = {}, method = "POST", path = notify }: Sent, to = gateway) {
  const response = await fetch(`${to.origin}${path}`, {
    method,
    headers: { connection: "close", ...headers },
    ...(body === undefined ? {} : { body }),
  });
  await response.text();
  return { status: response.status, id: response.headers.get("x-request-id") ?? "" };
}

/** A refusal is remembered when its response is over, which may be a moment after the sender has it. */
async function askSoon(id: string, of = gateway) {
  for (let tries = 0; ; tries += 1) {
    const answer = await ask(of, id);
    if (answer.found || tries > 200) return answer;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const json = { "content-type": "application/json" };
const device = { app_id: BUNDLE, pushkey: `${iosPushkey("aa")}${secret}` };
const notification = (devices: readonly object[], more = {}): string =>
  JSON.stringify({ notification: message(devices, more) });

const refused: readonly (readonly [
  what: string,
  sent: Sent,
  status: number,
  reason: string,
  todo: RegExp,
])[] = [
  ["no JSON", { body: `{"${secret}` }, 400, "not-json", /whoever makes the sender/],
  ["no object", { body: `["${secret}"]` }, 400, "not-an-object", /whoever makes the sender/],
  ["no notification in it", { body: `{"${secret}": 1}` }, 400, "no-notification", /whoever makes the sender/],
  ["no devices in it", { body: notification([]) }, 400, "no-devices", /whoever makes the sender/],
  [
    "no device that has a pushkey",
    { body: notification([{ app_id: secret }]) },
    400,
    "no-usable-device",
    /whoever makes the sender/,
  ],
  [
    "too many devices",
    { body: notification(Array.from({ length: 4 }, () => device)) },
    400,
    "too-many-devices",
    /`limits\.max_devices`/,
  ],
  [
    "JSON that is too deep",
    { body: `${"[".repeat(40)}"${secret}"${"]".repeat(40)}` },
    400,
    "too-deep",
    /`limits\.max_depth`/,
  ],
  [
    "too large a body",
    { body: notification([device], { content: { body: secret.repeat(1_000) } }) },
    413,
    "body-too-large",
    /`limits\.max_body`/,
  ],
  [
    "a compressed body",
    { body: secret, headers: { "content-encoding": "gzip" } },
    415,
    "encoded-body",
    /Switch compression/,
  ],
  [
    "another method",
    { method: "PUT", body: secret, path: `${notify}?${secret}` },
    405,
    "wrong-method",
    /with POST/,
  ],
  [
    "a path where nothing is served",
    { path: `/_matrix/push/v1/${secret}?${secret}`, body: notification([device]) },
    404,
    "unknown-path",
    /Compare the URL/,
  ],
  [
    "more header lines than may be",
    {
      headers: Object.fromEntries(Array.from({ length: 510 }, (_, n) => [`x-${n}`, "1"])),
      body: notification([device]),
    },
    431,
    "header-too-large",
    /proxy that adds headers/,
  ],
  [
    "no key of the PBX",
    { path: "/pnm2/send", headers: { ...json, "x-api-key": secret }, body: "{}" },
    401,
    "unauthorized",
    /Compare the key/,
  ],
  [
    "no form",
    { path: "/pnm2/send", headers: { ...json, "x-api-key": pbxKey }, body: secret },
    400,
    "not-json",
    /whoever makes the sender/,
  ],
  [
    "too many objects at once",
    { path: "/pnm2/multisend", headers: { ...json, "x-api-key": pbxKey }, body: "[{}, {}, {}]" },
    413,
    "too-many-pushes",
    /`limits\.max_multisend`/,
  ],
  [
    "a wrong event key",
    { path: "/api/push/events", headers: { ...json, authorization: `Bearer ${secret}` }, body: "{}" },
    401,
    "unauthorized",
    /Compare the key/,
  ],
  [
    "a key for repeats that is none",
    {
      path: "/api/push/events",
      headers: {
        ...json,
        authorization: `Bearer ${eventKey}`,
        "idempotency-key": secret.repeat(50),
      },
      body: "{}",
    },
    400,
    "bad-idempotency-key",
    /another key for each request/,
  ],
  [
    "an account that is unknown",
    { path: "/api/push", method: "GET", headers: { authorization: `Bearer ${secret}` } },
    401,
    "unauthorized",
    /Compare the key/,
  ],
  [
    "a type that is not taken",
    { path: "/api/push", headers: { ...asBob, "content-type": `text/${secret}` }, body: "{}" },
    400,
    "wrong-content-type",
    /whoever makes the sender/,
  ],
];

describe("explain, asked for a request that was refused", () => {
  it.each(refused)("says of one with %s so, and what to do", async (_what, sent, status, reason, todo) => {
    const answer = await send(sent);
    expect(answer.status).toBe(status);
    const { found, now, pushes, refused: told, text } = await askSoon(answer.id);
    expect({ found, now, pushes }).toEqual({ found: true, now: [], pushes: [] });
    expect(told).toMatchObject({ status, reason, method: sent.method ?? "POST" });
    expect(text).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z {2}refused {2}\([A-Z]+.*\)\n {2}The request was refused with \d{3} before any push was made of it: [A-Z].*\.\n {2}What to do: /,
    );
    expect(text).toMatch(todo);
    expect(JSON.stringify([text, told])).not.toMatch(new RegExp(`${secret}|127\\.0\\.0\\.1`));
  });

  it("sends on to the answer where a door refused by one of its own, and names the path that it came to", async () => {
    const { id, status } = await send({
      path: "/api/push",
      headers: { ...asBob, ...json },
      body: `{"add": "${secret}"}`,
    });
    expect(status).toBe(400);
    const { refused: told, text } = await askSoon(id);
    expect(told).toMatchObject({ status: 400, path: "/api/push" });
    expect(told).not.toHaveProperty("reason");
    expect(text).toContain("the body of the answer told its sender why");
  });

  it("knows nothing of one that was taken but its pushes", async () => {
    const { headers, status } = await gateway.notify(
      message([{ app_id: BUNDLE, pushkey: iosPushkey("aa01") }]),
    );
    const answer = await askSoon(String(headers["x-request-id"]));
    expect(status).toBe(200);
    expect(answer.pushes).toHaveLength(1);
    expect(answer).not.toHaveProperty("refused");
  });

  it("is answered on the command line too, from an argument and from standard input", async () => {
    const { id } = await send({ body: "no JSON" });
    await askSoon(id);
    for (const [args, input] of [
      [[id], ""],
      [["-", "--json"], id],
    ] as const) {
      const command = spawnSignalbox(["explain", ...args, "--url", gateway.adminUrl], {
        cwd: gateway.directory,
        input,
      });
      expect([await command.ended(), command.stderr()]).toEqual([0, ""]);
      expect(command.stdout()).toContain("The body is not JSON in UTF-8.");
    }
  });

  it("says of a sender that sends too much so, whatever path he asks", async () => {
    const strict = await start({ limits: { per_source: "1/h" } });
    try {
      await send({ body: notification([device]) }, strict);
      for (const path of [notify, `/${secret}`]) {
        const { id, status } = await send({ path, body: notification([device]) }, strict);
        expect(status).toBe(429);
        const { text } = await askSoon(id, strict);
        expect(text).toMatch(
          /refused with 429 .*Too many requests\.\n {2}What to do: .*`http\.trusted_proxies`/,
        );
        expect(text).not.toContain(secret);
      }
    } finally {
      await strict.stop();
    }
  });

  it("is not pushed out by what another sender has refused a hundred times", async () => {
    const behind = await start({ http: { port: 0, trusted_proxies: ["127.0.0.0/8"] } });
    try {
      const refuse = async (address: string): Promise<string> =>
        (await send({ headers: { "x-forwarded-for": address }, body: "no JSON" }, behind)).id;
      const others = await Promise.all([1, 2, 3, 4, 5].map((n) => refuse(`203.0.113.${n}`)));
      const flood: string[] = [];
      for (let n = 0; n < 100; n += 1) flood.push(await refuse("203.0.113.9"));
      await askSoon(flood.at(-1) ?? "", behind);
      const known = async (ids: readonly string[]): Promise<number> => {
        let count = 0;
        for (const id of ids) count += (await ask(behind, id)).found ? 1 : 0;
        return count;
      };
      // One in 256 shares the shelf of whoever floods.
      expect(await known(others)).toBeGreaterThanOrEqual(3);
      expect(await known(flood)).toBe(32);
    } finally {
      await behind.stop();
    }
  });
});
