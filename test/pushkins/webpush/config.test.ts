import { loadConfig } from "../../../src/config/load.ts";
import { pushkinTypes } from "../../../src/pushkins/index.ts";
import { createCredentials, type Credentials } from "../../support/credentials.ts";

let files: Credentials;
let key: string;
beforeAll(() => {
  files = createCredentials();
  key = files.write("vapid.pem", files.p256());
});
afterAll(() => files.remove());

interface Result {
  readonly options?: Readonly<Record<string, unknown>>;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** One app with these options (JSON is YAML), through the real loader. */
async function load(options: Record<string, unknown>): Promise<Result> {
  const path = files.write("sygnal.yaml", `apps: {"a": ${JSON.stringify(options)}}`);
  const loaded = await loadConfig({ path, env: {}, pushkinTypes });
  const line = ({ path: at, message }: { path: string; message: string }): string => `${at}: ${message}`;
  const warnings = loaded.warnings.map(line);
  if (!loaded.ok) return { problems: loaded.problems.map(line), warnings };
  return { options: loaded.config.apps.get("a")?.options as Record<string, unknown>, problems: [], warnings };
}

const web = (change: Record<string, unknown> = {}): Record<string, unknown> => ({
  type: "webpush",
  vapid_private_key: key,
  vapid_contact_email: "ops@example.com",
  ...change,
});

describe("an app of type webpush", () => {
  it("takes Sygnal's options, and fills in the defaults", async () => {
    const { options, problems, warnings } = await load(web());
    expect([...problems, ...warnings]).toEqual([]);
    expect(options).toEqual({
      ...web(),
      ttl: 900,
      allowed_endpoints: [],
      counts_pushes: true,
      inflight_request_limit: 512,
    });
    const given = {
      ttl: 0,
      allowed_endpoints: ["fcm.googleapis.com", "*.push.apple.com"],
      max_connections: 20,
    };
    expect((await load(web(given))).options).toMatchObject(given);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ["no key", { vapid_private_key: undefined }, /vapid_private_key: is missing/],
    ["no contact", { vapid_contact_email: undefined }, /vapid_contact_email: is missing/],
    ["a key that is a number", { vapid_private_key: 1 }, /vapid_private_key: must be a string/],
    ["a key of null", { vapid_private_key: null }, /vapid_private_key: must be a string, is null/],
    [
      "a key file that is not there",
      { vapid_private_key: "/nowhere/vapid.pem" },
      /vapid_private_key: .*no such file/,
    ],
    ["an empty contact", { vapid_contact_email: " " }, /vapid_contact_email: must be an e-mail address/],
    [
      "a contact with spaces",
      { vapid_contact_email: "a b" },
      /vapid_contact_email: must be an e-mail address/,
    ],
    ["a ttl in words", { ttl: "900" }, /ttl: must be a whole number/],
    ["a negative ttl", { ttl: -1 }, /ttl: must be at least 0/],
    [
      "one pattern for a list",
      { allowed_endpoints: "fcm.googleapis.com" },
      /allowed_endpoints: must be a list/,
    ],
    ["patterns that are no strings", { allowed_endpoints: [1] }, /allowed_endpoints.*must be a string/],
    ["no connections", { max_connections: 0 }, /max_connections: must be at least 1/],
    ["a CA that is none", { ca_file: "/nowhere/ca.pem" }, /ca_file: /],
  ])("refuses %s", async (_what, change, problem) => {
    const { problems } = await load(web(change));
    expect(problems).toEqual([expect.stringMatching(problem)]);
  });

  it.each<[string, () => string]>([
    ["an RSA key", () => files.rsa()],
    ["a key of another curve", () => files.p384()],
    ["no key", () => "hello"],
  ])("refuses a file with %s, and says nothing of what is in it", async (_what, text) => {
    const { problems } = await load(web({ vapid_private_key: files.write("other.pem", text()) }));
    expect(problems).toEqual([expect.stringMatching(/vapid_private_key: holds /)]);
    expect(problems.join()).not.toContain(text().slice(0, 5));
  });

  it.each(["ops", "ops@localhost", "https://localhost/contact", "ops@box.localhost"])(
    "warns that Apple refuses %s",
    async (contact) => {
      const { problems, warnings } = await load(web({ vapid_contact_email: contact }));
      expect(problems).toEqual([]);
      expect(warnings).toEqual([expect.stringMatching(/vapid_contact_email: is refused by Apple/)]);
    },
  );
});

describe("an app of type unifiedpush", () => {
  it("needs no options", async () => {
    const { options, problems, warnings } = await load({ type: "unifiedpush" });
    expect([...problems, ...warnings]).toEqual([]);
    expect(options).toEqual({
      type: "unifiedpush",
      ttl: 86_400,
      allowed_endpoints: [],
      counts_pushes: true,
      inflight_request_limit: 512,
    });
  });

  it("takes VAPID whole or not at all", async () => {
    expect((await load({ type: "unifiedpush", vapid_private_key: key })).problems).toEqual([
      expect.stringMatching(/vapid_contact_email: is missing/),
    ]);
    expect((await load({ type: "unifiedpush", vapid_contact_email: "ops@example.com" })).problems).toEqual([
      expect.stringMatching(/vapid_private_key: is missing/),
    ]);
    expect((await load({ ...web(), type: "unifiedpush" })).problems).toEqual([]);
  });
});
