import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { createApnsKey, createCredentials } from "../../src/simulator/credentials.ts";
import {
  ANDROID,
  IOS,
  iosPushkey,
  message,
  startGateway,
  type RunningGateway,
} from "../support/with-gateway.ts";

const credentials = createCredentials();
const secondKey = createApnsKey({ teamId: credentials.apnsKey.teamId });

/** Lends a gateway whose simulated APNs knows two signing keys. */
async function withGateway<T>(
  config: Readonly<Record<string, unknown>>,
  work: (gateway: RunningGateway) => Promise<T>,
): Promise<T> {
  const gateway = await startGateway({
    simulators: { credentials, apns: { keys: [credentials.apnsKey, secondKey] } },
    config,
  });
  try {
    return await work(gateway);
  } finally {
    await gateway.stop();
  }
}

/** Pushes one after the other on several lanes until told to stop; gives each answer's status and rejected list. */
function startLanes(gateway: RunningGateway, lanes: number) {
  let over = false;
  let count = 0;
  const answers: { status: number; body: unknown }[] = [];
  const lane = async (): Promise<void> => {
    while (!over) {
      count += 1;
      const device = { app_id: IOS, pushkey: iosPushkey(count.toString(16).padStart(8, "0")) };
      answers.push(await gateway.notify(message([device])));
    }
  };
  const running = Promise.all(Array.from({ length: lanes }, lane));
  return {
    answers,
    async stop() {
      over = true;
      await running;
    },
  };
}

/** Distinct device tokens that APNs has been given. */
function reached({ simulators }: RunningGateway): number {
  return new Set(
    simulators.recorder.requests
      .filter(({ upstream, accepted }) => upstream === "apns" && accepted)
      .map(({ token }) => token),
  ).size;
}

describe("a reload", () => {
  it("takes a new signing key under load: no error, nothing lost, the old key no longer used", () =>
    withGateway({}, async (gateway) => {
      const lanes = startLanes(gateway, 8);
      await until(() => lanes.answers.length > 50);
      await useSecondKey(gateway);
      const atReload = lanes.answers.length;
      await until(() => lanes.answers.length > atReload + 50);
      await lanes.stop();
      expect(lanes.answers.filter(({ status }) => status !== 200)).toEqual([]);
      expect(new Set(lanes.answers.map(({ body }) => JSON.stringify(body)))).toEqual(
        new Set(['{"rejected":[]}']),
      );
      expect(reached(gateway)).toBe(lanes.answers.length);
      const keyIds = keyIdsOf(gateway);
      expect(new Set(keyIds)).toEqual(new Set([credentials.apnsKey.keyId, secondKey.keyId]));
      // All lanes had at most one push under way when the key changed.
      expect(keyIds.slice(atReload + 8).filter((id) => id !== secondKey.keyId)).toEqual([]);
    }));

  it("leaves apps in which nothing has changed their connections, ten times under load", () =>
    withGateway({}, async (gateway) => {
      const lanes = startLanes(gateway, 4);
      await until(() => lanes.answers.length > 20);
      const before = gateway.simulators.apns.connections.total;
      for (let i = 0; i < 10; i += 1) {
        const result = await gateway.gateway.reload();
        expect(result).toMatchObject({ ok: true, apps: { added: [], removed: [], changed: [] } });
      }
      await lanes.stop();
      expect(lanes.answers.filter(({ status }) => status !== 200)).toEqual([]);
      expect(reached(gateway)).toBe(lanes.answers.length);
      expect(gateway.simulators.apns.connections.total).toBe(before);
    }));

  it("makes an app anew when a file that it names has another content", () =>
    withGateway({}, async (gateway) => {
      const keyfile = join(gateway.directory, "same-name.p8");
      await writeFile(keyfile, credentials.apnsKey.keyPem, { mode: 0o600 });
      await gateway.rewrite((config) => ({
        ...config,
        apps: { ...config.apps, [IOS]: { ...config.apps[IOS], keyfile } },
      }));
      expect(await gateway.gateway.reload()).toMatchObject({ ok: true, apps: { changed: [IOS] } });
      expect(await gateway.gateway.reload()).toMatchObject({ ok: true, apps: { changed: [] } });
      await writeFile(keyfile, secondKey.keyPem, { mode: 0o600 });
      expect(await gateway.gateway.reload()).toMatchObject({ ok: true, apps: { changed: [IOS] } });
    }));

  it("adds apps, and holds those that it removes", () =>
    withGateway({}, async (gateway) => {
      const android = { app_id: ANDROID, pushkey: "a-token" };
      expect((await gateway.notify(message([android]))).body).toEqual({ rejected: [] });
      await gateway.rewrite(({ apps: { [ANDROID]: _gone, ...apps }, ...config }) => ({
        ...config,
        apps: { ...apps, "com.example.new": apps[IOS] },
      }));
      expect(await gateway.gateway.reload()).toMatchObject({
        ok: true,
        apps: { added: ["com.example.new"], removed: [ANDROID], changed: [] },
      });
      const held = await gateway.notify(message([android]));
      expect(JSON.stringify(held.body)).not.toContain("a-token");
      expect(await gateway.metric(`signalbox_alarms_total{app="${ANDROID}",alarm="app-removed"}`)).toBe(1);
      const added = await gateway.notify(message([{ app_id: "com.example.new", pushkey: iosPushkey("ad") }]));
      expect([added.status, added.body]).toEqual([200, { rejected: [] }]);
      expect(await gateway.metrics()).toContain('sygnal_per_pushkin_type_total{pushkin="com.example.new"} 1');
    }));

  it("tells the ends of the certificates that are in use, and of no other", () =>
    withGateway({}, async (gateway) => {
      const certified = async (name: string): Promise<object> => {
        const issued = credentials.issueApnsCertificate({
          topics: ["com.example.app"],
          environments: ["production"],
        });
        const certfile = join(gateway.directory, `${name}.pem`);
        await writeFile(certfile, issued.certPem + issued.keyPem, { mode: 0o600 });
        const { url, port } = gateway.simulators.apns;
        return {
          type: "apns",
          certfile,
          endpoint: url.replace(/:\d+$/, `:${port}`),
          ca_file: join(gateway.directory, "ca.pem"),
        };
      };
      const apps = { "com.example.one": await certified("one"), "com.example.two": await certified("two") };
      const ends = async (): Promise<readonly string[]> =>
        (await gateway.metrics())
          .split("\n")
          .filter((line) => /^(sygnal_client_cert|signalbox_credential)_expiry/.test(line))
          .map((line) => /(?:app|pushkin)="([^"]*)"/.exec(line)?.[1] ?? "");
      await gateway.rewrite((config) => ({ ...config, apps: { ...config.apps, ...apps } }));
      expect(await gateway.gateway.reload()).toMatchObject({ ok: true });
      expect(await ends()).toEqual([
        "com.example.one",
        "com.example.two",
        "com.example.one",
        "com.example.two",
      ]);
      // One app goes, the other signs with a key from now on.
      await gateway.rewrite((config) => ({
        ...config,
        apps: { ...config.apps, "com.example.two": config.apps[IOS] },
      }));
      expect(await gateway.gateway.reload()).toMatchObject({
        ok: true,
        apps: { removed: ["com.example.one"], changed: ["com.example.two"] },
      });
      expect(await ends()).toEqual([]);
      // Nor does a gauge tell the state of an app that is gone.
      const gauges = (await gateway.metrics())
        .split("\n")
        .filter(
          (line) => line.includes('"com.example.one"') && !/^\S+_(?:total|bucket|sum|count)\{/.test(line),
        );
      expect(gauges).toEqual([]);
    }));

  it("lets what is promised go on through the new pushkin of its app", () =>
    withGateway({ delivery: { answer_within: "200ms" } }, async (gateway) => {
      gateway.simulators.script.add({
        upstream: "apns",
        answer: { kind: "error", reason: "ServiceUnavailable" },
      });
      const answer = await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey("cc01") }]));
      expect([answer.status, answer.body]).toEqual([200, { rejected: [] }]);
      await useSecondKey(gateway);
      gateway.simulators.script.clear();
      await until(() => reached(gateway) === 1);
      expect(keyIdsOf(gateway).at(-1)).toBe(secondKey.keyId);
    }));

  it("tries a new key at once, though Apple's refusal of the old one had stopped the app", () =>
    withGateway({ delivery: { answer_within: "200ms" } }, async (gateway) => {
      gateway.simulators.script.add({
        upstream: "apns",
        answer: { kind: "error", reason: "InvalidProviderToken" },
      });
      const refused = await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey("cc01") }]));
      expect([refused.status, refused.body]).toEqual([200, { rejected: [] }]);
      gateway.simulators.script.clear();
      await useSecondKey(gateway);
      await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey("cc02") }]));
      expect(reached(gateway)).toBe(1);
    }));

  it("takes a renewed certificate of the public listener", async () => {
    const certificates = [createCredentials().server, createCredentials().server];
    const directory = await mkdtemp(join(tmpdir(), "signalbox-tls-"));
    const tls = { cert_file: join(directory, "cert.pem"), key_file: join(directory, "key.pem") };
    const install = async ({ certPem, keyPem }: { certPem: string; keyPem: string }): Promise<void> => {
      await writeFile(tls.cert_file, certPem, { mode: 0o600 });
      await writeFile(tls.key_file, keyPem, { mode: 0o600 });
    };
    const [first = certificates[0], second] = certificates;
    if (first === undefined || second === undefined) throw new Error("no certificates");
    try {
      await install(first);
      await withGateway({ http: { port: 0, tls } }, async (gateway) => {
        const port = Number(new URL(gateway.url).port);
        // A homeserver's connection, which outlives the renewal.
        const agent = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
        const push = (): Promise<Pushed> =>
          pushOver(agent, port, message([{ app_id: IOS, pushkey: iosPushkey("71") }]));
        expect(await push()).toEqual({ status: 200, body: '{"rejected":[]}', reused: false });
        expect(await certificateAt(port)).toBe(new X509Certificate(first.certPem).fingerprint256);
        await install(second);
        expect(await gateway.gateway.reload()).toMatchObject({ ok: true });
        expect(await certificateAt(port)).toBe(new X509Certificate(second.certPem).fingerprint256);
        // A certificate without its key is refused, and the one in use stays.
        await writeFile(tls.cert_file, first.certPem);
        expect(await gateway.gateway.reload()).toMatchObject({ ok: false });
        expect(await certificateAt(port)).toBe(new X509Certificate(second.certPem).fingerprint256);
        expect(await push()).toEqual({ status: 200, body: '{"rejected":[]}', reused: true });
        expect(reached(gateway)).toBe(1);
        agent.destroy();
      });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it.each<[string, (config: Record<string, unknown>) => object | string, RegExp]>([
    ["broken YAML", () => "apps: [", /:1:|:2:/],
    ["a misspelt key", (config) => ({ ...config, delivery: { answer_witin: 5 } }), /answer_within/],
    ["no apps", (config) => ({ ...config, apps: {} }), /apps/],
  ])("refuses %s, names the problem, raises an alarm, and goes on as before", (_what, change, words) =>
    withGateway({}, async (gateway) => {
      await gateway.rewrite(change);
      const result = await gateway.gateway.reload();
      expect(result.ok).toBe(false);
      expect("problems" in result && result.problems.join("\n")).toMatch(words);
      const answer = await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey("dd") }]));
      expect([answer.status, answer.body]).toEqual([200, { rejected: [] }]);
      expect(await gateway.metric('signalbox_alarms_total{app="",alarm="reload"}')).toBe(1);
    }),
  );

  it("changes nothing when one app of several cannot be made", () =>
    withGateway({}, async (gateway) => {
      await rm(join(gateway.directory, "service-account.json"));
      await gateway.rewrite((config) => ({
        ...config,
        apps: { "com.example.first": config.apps[IOS], ...config.apps },
      }));
      const result = await gateway.gateway.reload();
      expect("problems" in result && result.problems.join("\n")).toContain(ANDROID);
      expect([...gateway.gateway.apps.apps.keys()]).toEqual([IOS, ANDROID]);
      expect((await gateway.notify(message([{ app_id: ANDROID, pushkey: "t" }]))).body).toEqual({
        rejected: [],
      });
    }));

  it("changes limits, answers and the log's level at once, and names what needs a restart", () =>
    withGateway({}, async (gateway) => {
      await gateway.rewrite((config) => ({
        ...config,
        http: { port: 4, bind_addresses: ["127.0.0.1"] },
        store: { url: "memory:" },
        limits: { max_devices: 1 },
        matrix: { unifiedpush_gateway: true },
        log: { setup: { version: 1, root: { level: "ERROR" } } },
      }));
      const result = await gateway.gateway.reload();
      expect(result).toMatchObject({ ok: true, needsRestart: ["http.port", "store", "log.setup"] });
      const linesBefore = gateway.logLines.length;
      const two = message([
        { app_id: IOS, pushkey: iosPushkey("e1") },
        { app_id: IOS, pushkey: iosPushkey("e2") },
      ]);
      expect((await gateway.notify(two)).status).toBe(400);
      expect((await fetch(gateway.url)).status).toBe(200);
      expect(gateway.logLines.slice(linesBefore)).toEqual([]);
    }));
});

interface Pushed {
  readonly status: number | undefined;
  readonly body: string;
  /** By the connection of before. */
  readonly reused: boolean;
}

/** A notification over HTTPS. */
function pushOver(agent: Agent, port: number, notification: object): Promise<Pushed> {
  return new Promise((resolve, reject) => {
    const path = "/_matrix/push/v1/notify";
    const asking = request({ agent, host: "127.0.0.1", port, path, method: "POST" }, (answer) => {
      let body = "";
      answer.on("data", (chunk) => (body += String(chunk)));
      answer.on("end", () => resolve({ status: answer.statusCode, body, reused: asking.reusedSocket }));
    });
    asking.on("error", reject);
    asking.end(JSON.stringify({ notification }));
  });
}

/** The app on APNs gets the second signing key. */
async function useSecondKey(gateway: RunningGateway): Promise<void> {
  const keyfile = join(gateway.directory, "second.p8");
  await writeFile(keyfile, secondKey.keyPem, { mode: 0o600 });
  await gateway.rewrite((config) => ({
    ...config,
    apps: { ...config.apps, [IOS]: { ...config.apps[IOS], keyfile, key_id: secondKey.keyId } },
  }));
  const result = await gateway.gateway.reload();
  expect(result).toMatchObject({ ok: true, apps: { added: [], removed: [], changed: [IOS] } });
}

/** SHA-256 fingerprint of the certificate that a listener shows. */
async function certificateAt(port: number): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

/** The key ids of APNs requests in their order. */
function keyIdsOf({ simulators }: RunningGateway): readonly string[] {
  return simulators.recorder.requests
    .filter(({ upstream }) => upstream === "apns")
    .map(({ headers }) => {
      const [header = ""] = String(headers["authorization"])
        .replace(/^bearer /i, "")
        .split(".");
      return (JSON.parse(Buffer.from(header, "base64url").toString()) as { kid: string }).kid;
    });
}

async function until(test: () => boolean): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!test()) {
    if (performance.now() > endMs) throw new Error("not within 20 s");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
