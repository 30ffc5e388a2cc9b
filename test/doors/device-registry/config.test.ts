import { loadConfig } from "../../../src/config/load.ts";
import { pushkinTypes } from "../../../src/pushkins/index.ts";
import { fcmAppOf } from "../../../src/doors/device-registry/config.ts";
import { createCredentials, type Credentials } from "../../support/credentials.ts";

let files: Credentials;
beforeAll(() => {
  files = createCredentials();
});
afterAll(() => files.remove());

const key = "3f1c0b8a7e5d42961a2b";
const hash = `scrypt:15:8:1:${"s".repeat(22)}:${"h".repeat(43)}`;
const tokenHash = `sha256:${"0a".repeat(32)}`;
const alice = `{id: a-1, username: alice, password_hash: "${hash}"}`;

/** A file with this `registry` section, an APNs app and the Firebase apps of these names. */
async function load(registry: string, { http = "{}", fcm = ["com.example.android"] } = {}) {
  const apns = `{type: apns, keyfile: ${files.write("a.p8", files.p256())}, key_id: K, team_id: T, topic: x}`;
  const account = files.write("sa.json", files.serviceAccount());
  const gcm = `{type: gcm, api_version: v1, project_id: p, service_account_file: ${account}}`;
  const apps = [`  com.example.ios: ${apns}`, ...fcm.map((name) => `  ${name}: ${gcm}`)];
  const path = files.write(
    "registry.yaml",
    `registry: ${registry}\nhttp: ${http}\napps:\n${apps.join("\n")}\n`,
  );
  return loadConfig({ path, env: {}, pushkinTypes });
}

async function problems(...args: Parameters<typeof load>): Promise<readonly string[]> {
  const loaded = await load(...args);
  return loaded.ok ? [] : loaded.problems.map(({ path, message }) => `${path}: ${message}`);
}

describe("registry", () => {
  it("is closed when it is absent", async () => {
    const loaded = await load("");
    expect(loaded.ok && loaded.config.registry).toBeUndefined();
  });

  it("has its defaults, and secrets from files", async () => {
    const file = files.write("alice.hash", `${hash}\n`);
    const events = files.write("event.key", `${key}\n`);
    const loaded = await load(
      `{accounts: [{id: a-1, username: alice, password_hash: {file: ${file}}}], event_keys: [{file: ${events}}]}`,
    );
    expect(loaded.ok && loaded.config.registry).toEqual({
      token_path: "/token",
      push_token_path: "/pushToken",
      push_path: "/api/push",
      accounts: [{ id: "a-1", username: "alice", password_hash: hash }],
      trusted_proxies: [],
      allow_anonymous: false,
      event_keys: [key],
      events: {},
      max_devices: 1_000_000,
    });
  });

  it.each([
    ["an account with a token", `{accounts: [{id: a-1, token_hash: "${tokenHash}"}]}`],
    [
      "accounts without secrets beside a JWT's issuer",
      `{accounts: [{id: a}], jwt: {issuer: i, audience: b, jwks_url: "https://id.example.org/k"}}`,
    ],
    ["events alone", `{event_keys: [${key}]}`],
    ["anybody", "{allow_anonymous: true}"],
    ["the entry of FCM tokens", "{allow_anonymous: true, fcm_app: com.example.android}"],
    [
      "events of its own",
      `{event_keys: [${key}], events: {door_bell: {type: object, properties: {door: {type: string}}}}}`,
    ],
  ])("takes %s", async (_what, registry) => {
    expect(await problems(registry)).toEqual([]);
  });

  it.each<[string, string, string]>([
    ["nobody who may use it", "{}", "registry: opens no door"],
    ["a misspelt key", `{acounts: [${alice}]}`, "registry.acounts: unknown key (did you mean `accounts`?)"],
    [
      "a misspelt account",
      `{accounts: [{id: a, user_name: b, password_hash: "${hash}"}]}`,
      "(did you mean `username`?)",
    ],
    [
      "a short key",
      "{event_keys: [0123456789abcde]}",
      "registry.event_keys[0]: must be at least 16 bytes long",
    ],
    [
      "a key from documentation",
      "{event_keys: [another-long-key-of-mine]}",
      "is an example from documentation",
    ],
    [
      "a file that is not there",
      "{event_keys: [{file: /nowhere}]}",
      "registry.event_keys[0].file: cannot be read",
    ],
    [
      "a password as it is",
      "{accounts: [{id: a, username: b, password_hash: hunter2}]}",
      "password_hash: must be what `signalbox hash-password` prints",
    ],
    [
      "a hash that costs too much",
      `{accounts: [{id: a, username: b, password_hash: "${hash.replace("15", "25")}"}]}`,
      "must be what",
    ],
    [
      "a token as it is",
      "{accounts: [{id: a, token_hash: abcdef}]}",
      "token_hash: must be sha256: and 64 hex digits",
    ],
    [
      "a password without a name",
      `{accounts: [{id: a, password_hash: "${hash}"}]}`,
      "registry.accounts[0].username: is missing",
    ],
    [
      "an account without a secret",
      "{accounts: [{id: a, username: b}]}",
      "registry.accounts[0]: has neither",
    ],
    [
      "an account without an id",
      `{accounts: [{username: b, token_hash: "${tokenHash}"}]}`,
      "registry.accounts[0].id: is missing",
    ],
    [
      "an id twice",
      `{accounts: [${alice}, {id: a-1, token_hash: "${tokenHash}"}]}`,
      "registry.accounts[1].id: is another account's too",
    ],
    [
      "a name twice",
      `{accounts: [${alice}, ${alice.replace("a-1", "a-2")}]}`,
      "registry.accounts[1].username: is another",
    ],
    ["a header that anybody could set", "{trusted_header: X-User}", "registry.trusted_header: needs"],
    [
      "a path with a slash at its end",
      "{allow_anonymous: true, token_path: /token/}",
      "registry.token_path: must be a path",
    ],
    [
      "two doors at one path",
      "{allow_anonymous: true, push_path: /token}",
      "registry.push_path: must differ",
    ],
    ["an issuer without keys", "{jwt: {issuer: i, audience: a}}", "registry.jwt: needs one of"],
    [
      "keys over plain http",
      "{jwt: {issuer: i, audience: a, jwks_url: 'http://id.example.org/'}}",
      "registry.jwt.jwks_url: must begin with https",
    ],
    [
      "no key set",
      `{jwt: {issuer: i, audience: a, jwks_file: FILE}}`,
      "registry.jwt.jwks_file: is no JWK set",
    ],
    [
      "an entry that is not there",
      "{allow_anonymous: true, fcm_app: com.example.x}",
      "registry.fcm_app: is no entry of apps",
    ],
    [
      "an entry of another type",
      "{allow_anonymous: true, fcm_app: com.example.ios}",
      "registry.fcm_app: is an entry of apps whose",
    ],
  ])("refuses %s", async (_what, registry, expected) => {
    const found = await problems(registry.replace("FILE", files.write("jwks.json", "{}")));
    expect(found.join("\n")).toContain(expected);
    expect(found.join("\n")).not.toMatch(/hunter2|abcdef|another-long/);
  });

  it("takes the header from proxies of either list", async () => {
    expect(await problems("{trusted_header: X-User}", { http: "{trusted_proxies: [10.0.0.1]}" })).toEqual([]);
    expect(await problems("{trusted_header: X-User, trusted_proxies: [10.0.0.0/8]}")).toEqual([]);
  });

  it.each([
    ["the only Firebase app", "{allow_anonymous: true}", ["com.example.android"], "com.example.android"],
    ["none of several", "{allow_anonymous: true}", ["com.example.a", "com.example.b"], undefined],
    [
      "the named one",
      "{allow_anonymous: true, fcm_app: com.example.b}",
      ["com.example.a", "com.example.b"],
      "com.example.b",
    ],
    ["none where there is none", "{allow_anonymous: true}", [], undefined],
  ])("means %s for FCM tokens", async (_what, registry, fcm, expected) => {
    const loaded = await load(registry, { fcm });
    if (!loaded.ok || loaded.config.registry === undefined) throw new Error("not loaded");
    expect(fcmAppOf(loaded.config.registry, loaded.config.apps)).toBe(expected);
  });
});
