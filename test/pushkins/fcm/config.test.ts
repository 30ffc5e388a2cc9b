import { loadConfig } from "../../../src/config/load.ts";
import { pushkinTypes } from "../../../src/pushkins/index.ts";
import { createCredentials } from "../../support/credentials.ts";
import type { Credentials } from "../../support/credentials.ts";

let files: Credentials;
beforeAll(() => {
  files = createCredentials();
});
afterAll(() => files.remove());

interface Result {
  readonly options?: Readonly<Record<string, unknown>>;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** One app with these options (JSON is YAML), through the real loader. */
async function load(options: Record<string, unknown>): Promise<Result> {
  const path = files.write("sygnal.yaml", `apps: {"a": ${JSON.stringify({ type: "gcm", ...options })}}`);
  const loaded = await loadConfig({ path, env: {}, pushkinTypes });
  const line = ({ path: at, message }: { path: string; message: string }): string => `${at}: ${message}`;
  const warnings = loaded.warnings.map(line);
  if (!loaded.ok) return { problems: loaded.problems.map(line), warnings };
  return { options: loaded.config.apps.get("a")?.options as Record<string, unknown>, problems: [], warnings };
}

const v1 = (change: Record<string, unknown> = {}): Record<string, unknown> => ({
  api_version: "v1",
  project_id: "example-project",
  service_account_file: files.write("account.json", files.serviceAccount()),
  ...change,
});

describe("an app of type gcm", () => {
  it("takes a service account, and fills in the defaults", async () => {
    const { options, problems, warnings } = await load(v1());
    expect([...problems, ...warnings]).toEqual([]);
    expect(options).toEqual({
      type: "gcm",
      api_version: "v1",
      project_id: "example-project",
      service_account_file: expect.any(String),
      application_default_credentials: false,
      fcm_options: {},
      payload_layout: "sygnal",
      max_connections: 20,
      send_badge_counts: true,
      counts_pushes: true,
      inflight_request_limit: 512,
    });
  });

  it("may be called fcm", async () => {
    expect((await load(v1({ type: "fcm" }))).options).toMatchObject({ type: "fcm" });
  });

  it.each([
    ["authorized_user", { client_id: "i", client_secret: "s", refresh_token: "r" }],
    [
      "external_account",
      {
        audience: "//iam",
        subject_token_type: "jwt",
        token_url: "https://sts",
        credential_source: { file: "/t" },
      },
    ],
  ])("takes credentials of type %s", async (type, content) => {
    const file = files.write("other.json", JSON.stringify({ type, ...content }));
    expect((await load(v1({ service_account_file: file }))).problems).toEqual([]);
  });

  it("takes the machine's own credentials when asked to", async () => {
    const options = { api_version: "v1", project_id: "p", application_default_credentials: true };
    expect((await load(options)).problems).toEqual([]);
  });

  it("takes an absent api_version as v1 when all that v1 needs is there, with a warning", async () => {
    const { api_version: _version, ...rest } = v1({ api_key: "unused" });
    const { problems, warnings } = await load(rest);
    expect(problems).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining('apps["a"]: is taken as `api_version: v1`')]);
  });

  it.each([
    ["legacy", { api_version: "legacy", api_key: "synthetic-key" }],
    [
      "legacy beside what v1 needs",
      { ...{ api_version: "legacy", project_id: "p" }, api_key: "synthetic-key" },
    ],
    ["no api_version", { api_key: "synthetic-key" }],
    ["nothing at all", {}],
  ])("refuses %s, and says since when and what to write", async (_what, options) => {
    const { problems } = await load(options);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(
      /^apps\["a"\]\.api_version: .*2024-07-22.*`api_version: v1`.*`service_account_file`/,
    );
    expect(problems[0]).not.toContain("synthetic-key");
  });

  it("names all that v1 needs", async () => {
    expect((await load({ api_version: "v1" })).problems).toEqual([
      'apps["a"].project_id: is missing; `api_version: v1` needs it',
      'apps["a"].service_account_file: is missing; `api_version: v1` needs it',
    ]);
  });

  it.each([
    [{ api_version: "v2" }, "api_version: must be one of v1, legacy (did you mean `v1`?)"],
    [{ api_version: 1 }, "api_version: must be a string, is a number"],
    [{ project_id: null }, "project_id: must be a string, is null"],
    [{ max_connections: 0 }, "max_connections: must be at least 1"],
    [{ max_connections: "20" }, "max_connections: must be a whole number, is a string"],
    [{ fcm_options: null }, "fcm_options: must be a mapping, is null"],
    [{ fcm_options: [] }, "fcm_options: must be a mapping, is a list"],
    [{ fcm_options: { android: null } }, "fcm_options.android: must be a mapping"],
    [{ payload_layout: "hedgehog" }, "payload_layout: must be one of sygnal, hedwig"],
    [{ send_badge_counts: 1 }, "send_badge_counts: must be true or false, is a number"],
    [{ service_account_file: "/nonexistent.json" }, "service_account_file: cannot be read: no such file"],
    [{ service_account_file: ["x"] }, "service_account_file: must be a string, is a list"],
    [{ ca_file: "/nonexistent.pem" }, "ca_file: cannot be read: no such file"],
  ])("refuses %j", async (change, expected) => {
    const { problems } = await load(v1(change));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`apps["a"].${expected}`);
  });

  it.each([
    ["no JSON", () => "synthetic-secret {", "holds no JSON object"],
    ["a list", () => "[]", "holds no JSON object"],
    ["no type", () => "{}", "is not of a known type"],
    ["another type", () => JSON.stringify({ type: "gdch_service_account" }), "is not of a known type"],
    ["no key and no email", () => '{"type": "service_account"}', "lacks client_email, private_key"],
    [
      "a broken key",
      () => files.serviceAccount({ private_key: "synthetic-secret" }),
      "its private_key holds no private key",
    ],
    [
      "an EC key",
      () => files.serviceAccount({ private_key: files.p256() }),
      "its private_key is not an RSA key",
    ],
    [
      "a token_uri that is none",
      () => files.serviceAccount({ token_uri: "oauth2" }),
      "its token_uri is no URL",
    ],
    [
      "half a user",
      () => '{"type": "authorized_user", "client_id": "x"}',
      "lacks client_secret, refresh_token",
    ],
  ])("refuses a credentials file with %s, without printing it", async (_what, text, expected) => {
    const { problems } = await load(v1({ service_account_file: files.write("wrong.json", text()) }));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`apps["a"].service_account_file: ${expected}`);
    expect(problems[0]).not.toContain("synthetic-secret");
  });
});
