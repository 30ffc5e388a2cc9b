import { generateKeyPairSync } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { systemClock, type Clock } from "../../src/clock.ts";
import { examine } from "../../src/cli/doctor/examine.ts";
import { isHealthy, printReport, type ReportLine } from "../../src/cli/doctor/report.ts";
import { pushkinTypes } from "../../src/pushkins/index.ts";
import { createAuthority } from "../../src/simulator/certificate.ts";
import { createApnsKey } from "../../src/simulator/credentials.ts";
import { startSimulators, type Simulators } from "../../src/simulator/index.ts";
import { writeWorkspace, type WorkspaceFiles } from "../../src/simulator/workspace.ts";
import { openStore } from "../../src/store/open.ts";
import { silentLog } from "../../src/log.ts";
import { startForwardProxy } from "../support/forward-proxy.ts";
import { listen, reply, startHttp2Upstream, testCa, testCertificate } from "../support/upstream-server.ts";

const IOS = "com.example.app.ios";
const ANDROID = "com.example.app.android";
const WEB = "com.example.app.web";
const UP = "com.example.app.unifiedpush";

type Options = Record<string, unknown>;

/** What one case may change before the doctor looks. */
interface Rig {
  readonly simulators: Simulators;
  readonly files: WorkspaceFiles;
  readonly directory: string;
  readonly sections: Options;
  readonly apps: Record<string, Options>;
  clock: Clock;
  own: readonly string[];
  /** Called at the case's end. */
  readonly ends: (() => unknown)[];
}

let simulators: Simulators;
let files: WorkspaceFiles;
let directory: string;
let closedPort: number;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "signalbox-doctor-"));
  simulators = await startSimulators({ apnsSandbox: {} });
  files = await writeWorkspace(simulators, directory);
  const server = createServer();
  closedPort = await portOf(server);
  await new Promise((resolve) => server.close(resolve));
});
afterAll(async () => {
  await simulators.stop();
  rmSync(directory, { recursive: true, force: true });
});

function portOf(server: Server): Promise<number> {
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)),
  );
}

function goodApps(): Record<string, Options> {
  const { apnsKey, projectId } = simulators.credentials;
  return {
    [IOS]: {
      type: "apns",
      keyfile: files.apnsKey,
      key_id: apnsKey.keyId,
      team_id: apnsKey.teamId,
      topic: "com.example.app",
      endpoint: simulators.apns.url,
      sandbox_endpoint: simulators.apnsSandbox?.url,
      ca_file: files.ca,
    },
    [ANDROID]: {
      type: "gcm",
      api_version: "v1",
      project_id: projectId,
      service_account_file: files.serviceAccount,
      endpoint: simulators.fcm.url,
      ca_file: files.ca,
    },
    [WEB]: {
      type: "webpush",
      vapid_private_key: files.vapidKey,
      vapid_contact_email: "operator@example.com",
      endpoint: simulators.webPush.url,
      ca_file: files.ca,
    },
    [UP]: { type: "unifiedpush", endpoint: simulators.unifiedPush.url, ca_file: files.ca },
  };
}

let cases = 0;

/** Breaks what the case breaks, and has the doctor look. */
async function look(breakIt: (rig: Rig) => unknown): Promise<readonly ReportLine[]> {
  const own = join(directory, `case-${(cases += 1)}`);
  mkdirSync(own);
  const rig: Rig = {
    simulators,
    files,
    directory: own,
    sections: {
      http: { port: closedPort },
      admin: { port: 5001 },
      store: { url: `sqlite:${join(own, "signalbox.db")}` },
    },
    apps: goodApps(),
    clock: systemClock,
    own: ["127.0.0.1", "10.1.2.3"],
    ends: [],
  };
  try {
    await breakIt(rig);
    const file = join(own, "sygnal.yaml");
    writeFileSync(file, stringify({ ...rig.sections, apps: rig.apps }, { version: "1.1", lineWidth: 0 }), {
      mode: 0o600,
    });
    return await examine({
      file,
      env: {},
      clock: rig.clock,
      pushkinTypes,
      ownAddresses: () => rig.own,
    });
  } finally {
    for (const end of rig.ends) await end();
    simulators.script.clear();
  }
}

/** Only this app is left, with these options over its good ones. */
function only(rig: Rig, app: string, options: Options): void {
  const changed = { ...rig.apps[app], ...options };
  for (const name of Object.keys(rig.apps)) delete rig.apps[name];
  rig.apps[app] = changed;
}

const offClock = (byMs: number): Clock => ({ ...systemClock, now: () => systemClock.now() + byMs });
const HOUR_MS = 3_600_000;

/** Serves HTTP/2 with one of the synthetic certificates. */
async function tlsServer(rig: Rig, certificate: "expired" | "wrong-host"): Promise<Options> {
  const upstream = await startHttp2Upstream((request) => reply(request), {
    certificate: testCertificate(certificate),
  });
  rig.ends.push(() => upstream.close());
  const ca = join(rig.directory, "ca.pem");
  writeFileSync(ca, testCa);
  return { endpoint: upstream.origin.href, ca_file: ca };
}

interface Case {
  readonly title: string;
  readonly breakIt: (rig: Rig) => unknown;
  readonly subject: string;
  readonly check: string;
  readonly verdict?: "failed" | "warning";
  /** The credentials fail besides. */
  readonly failsBesides?: true;
  readonly finding: RegExp;
  readonly remedy: RegExp;
}

const broken: readonly Case[] = [
  {
    title: "a topic that the key's team does not own",
    breakIt(rig) {
      const key = createApnsKey({ topics: ["com.example.other"] });
      simulators.apns.addKey(key);
      const keyfile = join(rig.directory, "key.p8");
      writeFileSync(keyfile, key.keyPem, { mode: 0o600 });
      only(rig, IOS, { keyfile, key_id: key.keyId, team_id: key.teamId });
    },
    subject: IOS,
    check: "credentials",
    finding: /TopicDisallowed.*topic/,
    remedy: /set `topic` to the app's bundle id/,
  },
  {
    title: "a topic without the suffix that its push type needs",
    breakIt: (rig) => only(rig, IOS, { push_type: "voip" }),
    subject: IOS,
    check: "credentials",
    finding: /BadTopic/,
    remedy: /\.voip/,
  },
  {
    title: "a wrong team",
    breakIt: (rig) => only(rig, IOS, { team_id: "WRONGTEAM1" }),
    subject: IOS,
    check: "credentials",
    finding: /InvalidProviderToken.*wrong key_id or team_id/,
    remedy: /compare key_id, team_id and keyfile/,
  },
  {
    title: "a wrong key id",
    breakIt: (rig) => only(rig, IOS, { key_id: "WRONGKEYID" }),
    subject: IOS,
    check: "credentials",
    finding: /InvalidProviderToken.*wrong key_id/,
    remedy: /compare key_id, team_id and keyfile/,
  },
  {
    title: "a revoked key",
    breakIt(rig) {
      const key = createApnsKey();
      simulators.apns.addKey(key);
      simulators.apns.removeKey(key.keyId);
      const keyfile = join(rig.directory, "key.p8");
      writeFileSync(keyfile, key.keyPem, { mode: 0o600 });
      only(rig, IOS, { keyfile, key_id: key.keyId, team_id: key.teamId });
    },
    subject: IOS,
    check: "credentials",
    finding: /InvalidProviderToken.*revoked key/,
    remedy: /make a new key if it is gone/,
  },
  {
    title: "a key of the sandbox for production",
    breakIt(rig) {
      const key = createApnsKey({ environment: "sandbox" });
      simulators.apns.addKey(key);
      const keyfile = join(rig.directory, "key.p8");
      writeFileSync(keyfile, key.keyPem, { mode: 0o600 });
      only(rig, IOS, { keyfile, key_id: key.keyId, team_id: key.teamId });
    },
    subject: IOS,
    check: "credentials",
    finding: /BadEnvironmentKeyIdInToken.*mixed up/,
    remedy: /set `platform`/,
  },
  {
    title: "a certificate of production for the sandbox",
    breakIt(rig) {
      const { certPem, keyPem } = simulators.credentials.issueApnsCertificate({
        topics: ["com.example.app"],
        environments: ["production"],
      });
      const certfile = join(rig.directory, "certificate.pem");
      writeFileSync(certfile, certPem + keyPem, { mode: 0o600 });
      const { type, endpoint, ca_file, sandbox_endpoint } = rig.apps[IOS] ?? {};
      for (const name of Object.keys(rig.apps)) delete rig.apps[name];
      rig.apps[IOS] = { type, endpoint, sandbox_endpoint, ca_file, certfile, platform: "sandbox" };
    },
    subject: IOS,
    check: "credentials",
    finding: /BadCertificateEnvironment.*mixed up/,
    remedy: /set `platform`/,
  },
  {
    title: "an app for debug builds that sends to production",
    breakIt(rig) {
      const app = rig.apps[IOS] ?? {};
      for (const name of Object.keys(rig.apps)) delete rig.apps[name];
      rig.apps["com.example.app.ios.dev"] = app;
    },
    subject: "com.example.app.ios.dev",
    check: "environment",
    verdict: "warning",
    finding: /speaks of sandbox, but `platform` is production/,
    remedy: /set `platform: sandbox`/,
  },
  {
    title: "an APNs certificate that expires in ten days",
    breakIt(rig) {
      const authority = createAuthority("Synthetic CA", Date.now(), 10.5);
      const { certPem, keyPem } = authority.issueApnsClient({
        topics: ["com.example.app"],
        environments: ["production"],
      });
      const certfile = join(rig.directory, "certificate.pem");
      writeFileSync(certfile, certPem + keyPem, { mode: 0o600 });
      const { type, endpoint, ca_file } = rig.apps[IOS] ?? {};
      for (const name of Object.keys(rig.apps)) delete rig.apps[name];
      rig.apps[IOS] = { type, endpoint, ca_file, certfile };
    },
    subject: IOS,
    check: "certificate",
    verdict: "warning",
    // It is none that the simulator has issued.
    failsBesides: true,
    finding: /valid until .* \(10 days\)/,
    remedy: /make a new certificate/,
  },
  {
    title: "an expired APNs certificate",
    breakIt(rig) {
      const authority = createAuthority("Synthetic CA", Date.UTC(2020, 0, 1));
      const { certPem, keyPem } = authority.issueApnsClient({
        topics: ["com.example.app"],
        environments: ["production"],
      });
      const certfile = join(rig.directory, "certificate.pem");
      writeFileSync(certfile, certPem + keyPem, { mode: 0o600 });
      only(rig, IOS, { certfile });
    },
    subject: IOS,
    check: "config",
    finding: /certfile .*expired on 2020-12-31/,
    remedy: /get a new certificate/,
  },
  {
    title: "a project of somebody else's",
    breakIt: (rig) => only(rig, ANDROID, { project_id: "not-ours" }),
    subject: ANDROID,
    check: "credentials",
    finding: /404 NOT_FOUND: there is no project not-ours/,
    remedy: /copy `project_id` from the Firebase console/,
  },
  {
    title: "an account that may not send",
    breakIt(rig) {
      only(rig, ANDROID, {});
      simulators.script.add({ upstream: "fcm", answer: { kind: "error", reason: "IAM_PERMISSION_DENIED" } });
    },
    subject: ANDROID,
    check: "credentials",
    finding: /403 PERMISSION_DENIED: this account may not send for project/,
    remedy: /give the account the role/,
  },
  {
    title: "an FCM API that is switched off",
    breakIt(rig) {
      only(rig, ANDROID, {});
      simulators.script.add({ upstream: "fcm", answer: { kind: "error", reason: "SERVICE_DISABLED" } });
    },
    subject: ANDROID,
    check: "credentials",
    finding: /the Firebase Cloud Messaging API is switched off/,
    remedy: /enable fcm\.googleapis\.com/,
  },
  {
    title: "fcm_options that FCM does not take",
    breakIt: (rig) => only(rig, ANDROID, { fcm_options: { android: { ttl: "60" } } }),
    subject: ANDROID,
    check: "credentials",
    finding: /400 INVALID_ARGUMENT.*message\.android\.ttl is wrong/,
    remedy: /correct `fcm_options`/,
  },
  {
    title: "a service account whose key was deleted",
    breakIt(rig) {
      const deleted = generateKeyPairSync("rsa", { modulusLength: 2048 })
        .privateKey.export({ type: "pkcs8", format: "pem" })
        .toString();
      const account = simulators.credentials.serviceAccount(simulators.fcm.tokenUri);
      const path = join(rig.directory, "account.json");
      writeFileSync(path, JSON.stringify({ ...account, private_key: deleted }), { mode: 0o600 });
      only(rig, ANDROID, { service_account_file: path });
    },
    subject: ANDROID,
    check: "access token",
    finding: /400 invalid_grant/,
    remedy: /make a new key for the service account/,
  },
  {
    title: "a clock that is two hours behind, at Apple",
    breakIt(rig) {
      only(rig, IOS, {});
      rig.clock = offClock(-2 * HOUR_MS);
    },
    subject: IOS,
    check: "clock",
    finding: /this machine's clock is 7\d\d\d s behind/,
    remedy: /NTP/,
  },
  {
    title: "a clock that is two hours ahead, at Apple",
    breakIt(rig) {
      only(rig, IOS, {});
      rig.clock = offClock(2 * HOUR_MS);
    },
    subject: IOS,
    // Apple then says what it says of a wrong key.
    check: "credentials",
    finding: /403 InvalidProviderToken: .*this machine's clock is wrong/,
    remedy: /NTP/,
  },
  {
    title: "an APNs key of another kind",
    breakIt(rig) {
      const keyfile = join(rig.directory, "rsa.p8");
      const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
      writeFileSync(keyfile, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
      only(rig, IOS, { keyfile });
    },
    subject: IOS,
    check: "config",
    finding: /keyfile holds a private key of another kind; APNs keys are EC, P-256/,
    remedy: /the \.p8 file that Apple gave/,
  },
  {
    title: "the app's google-services.json for a service account",
    breakIt(rig) {
      const path = join(rig.directory, "google-services.json");
      writeFileSync(path, JSON.stringify({ project_info: { project_number: "1" } }), { mode: 0o600 });
      only(rig, ANDROID, { service_account_file: path });
    },
    subject: ANDROID,
    check: "config",
    finding: /service_account_file is not of a known type/,
    remedy: /google-services\.json is none/,
  },
  {
    title: "an address that push services refuse to write to",
    breakIt: (rig) => only(rig, WEB, { vapid_contact_email: "operator@localhost" }),
    subject: WEB,
    check: "config",
    verdict: "warning",
    finding: /vapid_contact_email is refused by Apple's push service/,
    remedy: /reach you/,
  },
  {
    title: "an address that this machine does not have",
    breakIt: (rig) => (rig.sections["http"] = { port: closedPort, bind_addresses: ["192.0.2.7"] }),
    subject: "http",
    check: "port",
    finding: /this machine has no address 192\.0\.2\.7/,
    remedy: /correct http\.bind_addresses/,
  },
  {
    title: "a clock that is ten minutes ahead, at Google",
    breakIt(rig) {
      only(rig, ANDROID, {});
      rig.clock = offClock(10 * 60_000);
    },
    subject: ANDROID,
    check: "clock",
    finding: /this machine's clock is (599|600|601) s ahead/,
    remedy: /NTP/,
  },
  {
    title: "a closed port",
    breakIt: (rig) => only(rig, IOS, { endpoint: `https://127.0.0.1:${closedPort}` }),
    subject: IOS,
    check: "address",
    finding: /refuses connections: the port is closed/,
    remedy: /check host and port of `endpoint`/,
  },
  {
    title: "a name that does not exist",
    breakIt: (rig) => only(rig, ANDROID, { endpoint: "https://no-such-host.invalid" }),
    subject: ANDROID,
    check: "name",
    finding: /no-such-host\.invalid has no address/,
    remedy: /check `endpoint` and this machine's DNS/,
  },
  {
    title: "another CA",
    breakIt(rig) {
      const ca = join(rig.directory, "ca.pem");
      writeFileSync(ca, createAuthority("Another CA", Date.now()).certPem);
      only(rig, IOS, { ca_file: ca });
    },
    subject: IOS,
    check: "TLS",
    finding: /signed by an unknown CA|not signed by the CA/,
    remedy: /name the CA that signed it in `ca_file`/,
  },
  {
    title: "an upstream whose certificate has expired",
    breakIt: async (rig) => only(rig, IOS, await tlsServer(rig, "expired")),
    subject: IOS,
    check: "TLS",
    finding: /its certificate has expired/,
    remedy: /renew the certificate/,
  },
  {
    title: "an upstream whose certificate is for another host name",
    breakIt: async (rig) => only(rig, ANDROID, await tlsServer(rig, "wrong-host")),
    subject: ANDROID,
    check: "TLS",
    finding: /its certificate is for another host name/,
    remedy: /write the name that the certificate has/,
  },
  {
    title: "a key file that is not there",
    breakIt: (rig) => only(rig, IOS, { keyfile: join(rig.directory, "gone.p8") }),
    subject: IOS,
    check: "config",
    finding: /keyfile cannot be read: no such file/,
    remedy: /correct the path/,
  },
  {
    title: "a key that others can read",
    breakIt(rig) {
      const keyfile = join(rig.directory, "open.p8");
      writeFileSync(keyfile, simulators.credentials.apnsKey.keyPem);
      chmodSync(keyfile, 0o644);
      only(rig, IOS, { keyfile });
    },
    subject: IOS,
    check: "config",
    verdict: "warning",
    finding: /keyfile others can read the file$/,
    remedy: /chmod o=/,
  },
  {
    title: "a store in a directory that is not there",
    breakIt: (rig) => (rig.sections["store"] = { url: `sqlite:${rig.directory}/gone/signalbox.db` }),
    subject: "store",
    check: "directory",
    finding: /gone is not there/,
    remedy: /mkdir -p/,
  },
  {
    // Nobody may write there, root included.
    title: "a store in a directory that cannot be written",
    breakIt: (rig) => (rig.sections["store"] = { url: "sqlite:/proc/self/signalbox.db" }),
    subject: "store",
    check: "directory",
    finding: /cannot be written/,
    remedy: /chown it to the user that runs the gateway/,
  },
  {
    title: "a store that is another program's file",
    breakIt(rig) {
      const file = join(rig.directory, "other.db");
      writeFileSync(file, "this is no database at all, and long enough not to be taken for one".repeat(4));
      rig.sections["store"] = { url: `sqlite:${file}` };
    },
    subject: "store",
    check: "database",
    finding: /does not begin like a SQLite database/,
    remedy: /restore a backup or move it away/,
  },
  {
    title: "a PostgreSQL server that is not there",
    breakIt: (rig) =>
      (rig.sections["store"] = { url: `postgresql://signalbox:secret@127.0.0.1:${closedPort}/signalbox` }),
    subject: "store",
    check: "database",
    finding: /cannot look at the database/,
    remedy: /check host, user, password and database/,
  },
  {
    title: "a proxy that is down",
    breakIt(rig) {
      only(rig, UP, { endpoint: undefined });
      rig.sections["proxy"] = `http://user:password@127.0.0.1:${closedPort}`;
    },
    subject: "proxy",
    check: "proxy",
    finding: /cannot be reached \(ECONNREFUSED\)/,
    remedy: /start the proxy/,
  },
  {
    title: "a proxy that wants other credentials",
    async breakIt(rig) {
      const proxy = await startForwardProxy("Basic of somebody else");
      rig.ends.push(() => proxy.close());
      only(rig, IOS, {});
      rig.sections["proxy"] = `http://user:password@127.0.0.1:${proxy.port}`;
    },
    subject: IOS,
    check: "address",
    finding: /the proxy refuses our credentials \(407\)/,
    remedy: /check user and password in `proxy`/,
  },
  {
    title: "metrics that the world can read",
    breakIt(rig) {
      rig.sections["metrics"] = { prometheus: { enabled: true, address: "0.0.0.0" } };
      rig.own = ["127.0.0.1", "8.8.4.4"];
    },
    subject: "metrics",
    check: "exposure",
    finding: /can be read by the whole world on 8\.8\.4\.4:8000/,
    remedy: /set metrics\.prometheus\.address to 127\.0\.0\.1/,
  },
  {
    title: "metrics that the local network can read",
    breakIt: (rig) => (rig.sections["metrics"] = { prometheus: { enabled: true, address: "" } }),
    subject: "metrics",
    check: "exposure",
    verdict: "warning",
    finding: /everybody in this network: every interface, port 8000/,
    remedy: /firewall/,
  },
  {
    title: "an admin listener without a token",
    breakIt: (rig) => (rig.sections["admin"] = { bind_address: "0.0.0.0" }),
    subject: "config",
    check: "config",
    finding: /admin\.token is missing/,
    remedy: /openssl rand -base64 32/,
  },
  {
    title: "another program on the gateway's port",
    async breakIt(rig) {
      const server = createHttpServer((_request, response) => response.writeHead(404).end());
      const other = await listen(server);
      rig.ends.push(() => other.close());
      rig.sections["http"] = { port: other.port };
    },
    subject: "http",
    check: "port",
    finding: /something else answers/,
    remedy: /choose another http\.port/,
  },
  {
    title: "a VAPID key of another kind",
    breakIt: (rig) => only(rig, WEB, { vapid_private_key: files.serviceAccount }),
    subject: WEB,
    check: "config",
    finding: /vapid_private_key holds/,
    remedy: /`signalbox vapid`/,
  },
  {
    title: "a misspelt key",
    breakIt: (rig) => (rig.sections["rejections"] = { kep: "1d" }),
    subject: "config",
    check: "config",
    finding: /did you mean/,
    remedy: /write the key as suggested/,
  },
];

describe("signalbox doctor", () => {
  it("finds nothing wrong with a good configuration, and asks no phone", async () => {
    const before = simulators.recorder.accepted.length;
    const lines = await look(() => undefined);
    expect(lines.filter(({ verdict }) => verdict === "failed" || verdict === "warning")).toEqual([]);
    const credentials = lines.filter(({ check }) => check === "credentials");
    expect(credentials.map(({ subject, verdict }) => `${subject} ${verdict}`)).toEqual([
      `${IOS} ok`,
      `${ANDROID} ok`,
    ]);
    for (const subject of [IOS, ANDROID, WEB, UP]) {
      expect(lines.find((line) => line.subject === subject && line.check === "clock")?.verdict).toBe("ok");
    }
    expect(simulators.recorder.accepted.length).toBe(before);
  });

  it("knows at least twenty broken settings", () => {
    expect(broken.length).toBeGreaterThanOrEqual(20);
    expect(new Set(broken.map(({ title }) => title)).size).toBe(broken.length);
  });

  it.each(broken.map((one) => [one.title, one] as const))("names %s", async (_title, wanted) => {
    const { verdict = "failed", subject, check } = wanted;
    const lines = await look(wanted.breakIt);
    const line = lines.find((one) => one.subject === subject && one.check === check);
    expect(line).toMatchObject({
      verdict,
      finding: expect.stringMatching(wanted.finding),
      remedy: expect.stringMatching(wanted.remedy),
    });
    expect(isHealthy(lines)).toBe(verdict !== "failed" && wanted.failsBesides !== true);
    // One line, and what else is amiss follows from the same cause.
    const printed = printReport(lines, false)
      .split("\n")
      .filter((row) => row.startsWith(verdict) && row.includes(line?.remedy ?? "none"));
    expect(printed.length).toBeGreaterThan(0);
    const others = lines.filter((one) => one.verdict === "failed" && one !== line);
    expect(others.every((one) => ["credentials", "access token", "clock"].includes(one.check))).toBe(true);
    // Nothing that a log may not hold either.
    expect(JSON.stringify(lines)).not.toMatch(/password@|secret@|PRIVATE KEY/);
  });

  it("looks at a store that a gateway holds, and leaves it and its files alone", async () => {
    const lines = await look(async (rig) => {
      const url = String((rig.sections["store"] as Options)["url"]);
      const store = await openStore(url, { clock: systemClock, log: silentLog });
      rig.ends.push(() => store.close());
      only(rig, UP, { endpoint: undefined });
    });
    const store = lines.filter(({ subject }) => subject === "store");
    expect(store.map(({ check, verdict }) => `${check} ${verdict}`)).toEqual([
      "directory ok",
      "lock ok",
      "database ok",
    ]);
    expect(store[1]?.finding).toBe("a running gateway holds the store, as it should");
    expect(store[2]?.finding).toContain("WAL");
  });

  it("makes no store where there is none", async () => {
    let file = "";
    const lines = await look((rig) => {
      file = String((rig.sections["store"] as Options)["url"]).slice("sqlite:".length);
      only(rig, UP, { endpoint: undefined });
    });
    expect(lines.find(({ check }) => check === "file")?.verdict).toBe("ok");
    expect(statSync(file, { throwIfNoEntry: false })).toBeUndefined();
  });

  it("reaches every upstream through a proxy that works", async () => {
    const proxy = await startForwardProxy();
    const lines = await look((rig) => {
      rig.ends.push(() => proxy.close());
      rig.sections["proxy"] = proxy.url.href;
    });
    expect(lines.filter(({ verdict }) => verdict === "failed")).toEqual([]);
    const ports = [simulators.apns, simulators.fcm, simulators.webPush, simulators.unifiedPush].map(
      ({ port }) => port,
    );
    expect(new Set(proxy.asked.map(({ target }) => Number(target.split(":")[1])))).toEqual(new Set(ports));
  });

  it("says so when an app that is asked for is not configured", async () => {
    const file = join(directory, "sygnal.yaml");
    const lines = await examine({
      file,
      env: {},
      clock: systemClock,
      pushkinTypes,
      only: ["com.example.gone"],
    });
    expect(lines.find(({ subject }) => subject === "com.example.gone")?.verdict).toBe("failed");
    expect(lines.some(({ subject }) => subject === IOS)).toBe(false);
  });
});
