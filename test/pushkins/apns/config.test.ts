import { X509Certificate } from "node:crypto";
import { loadConfig } from "../../../src/config/load.ts";
import { certificateTopic } from "../../../src/pushkins/apns/config.ts";
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
  const path = files.write("sygnal.yaml", `apps: {"a": ${JSON.stringify({ type: "apns", ...options })}}`);
  const loaded = await loadConfig({ path, env: {}, pushkinTypes });
  const line = ({ path: at, message }: { path: string; message: string }): string => `${at}: ${message}`;
  const warnings = loaded.warnings.map(line);
  if (!loaded.ok) return { problems: loaded.problems.map(line), warnings };
  return { options: loaded.config.apps.get("a")?.options as Record<string, unknown>, problems: [], warnings };
}

const ids = { key_id: "ABCDE12345", team_id: "FGHIJ67890", topic: "com.example" };
const withKey = (change: Record<string, unknown> = {}): Record<string, unknown> => ({
  keyfile: files.write("key.p8", files.p256()),
  ...ids,
  ...change,
});

describe("an app of type apns", () => {
  it("takes a P-256 key, and fills in the defaults", async () => {
    const { options, problems, warnings } = await load(withKey());
    expect([...problems, ...warnings]).toEqual([]);
    expect(options).toEqual({
      type: "apns",
      keyfile: expect.any(String),
      ...ids,
      platform: "production",
      convert_device_token_to_hex: true,
      token_encoding: "auto",
      collapse: "none",
      send_badge_counts: true,
      counts_pushes: true,
      inflight_request_limit: 512,
    });
  });

  it.each(["com.example\n", "com example", "com.例", "x".repeat(256)])(
    "refuses the topic %j, which no header may carry (H20)",
    async (topic) => {
      const { problems } = await load(withKey({ topic }));
      expect(problems).toEqual([expect.stringContaining("no bundle id has")]);
    },
  );

  it("takes a key in the older SEC1 form", async () => {
    const { createPrivateKey } = await import("node:crypto");
    const sec1 = createPrivateKey(files.p256()).export({ type: "sec1", format: "pem" }).toString();
    expect((await load(withKey({ keyfile: files.write("sec1.p8", sec1) }))).problems).toEqual([]);
  });

  it.each([
    ["", "production"],
    ["prod", "production"],
    ["production", "production"],
    ["sandbox", "sandbox"],
  ])("reads platform %p as %s", async (platform, expected) => {
    expect((await load(withKey({ platform }))).options).toMatchObject({ platform: expected });
  });

  it.each([
    ...["alert", "background", "voip", "complication", "fileprovider", "mdm"],
    ...["pushtotalk", "liveactivity", "location", "widgets", "controls"],
  ])("takes push_type %s", async (push_type) => {
    expect((await load(withKey({ push_type }))).options).toMatchObject({ push_type });
  });

  it("takes an empty push_type as none", async () => {
    expect((await load(withKey({ push_type: "" }))).options).not.toHaveProperty("push_type");
  });

  it("takes this project's own options", async () => {
    const own = {
      endpoint: "https://localhost:2197",
      sandbox_endpoint: "https://localhost:2198",
      ca_file: files.write("ca.pem", files.certificate().cert),
      token_encoding: "hex",
      counts_pushes: false,
      inflight_request_limit: 1,
    };
    expect((await load(withKey(own))).options).toMatchObject(own);
  });

  it.each([
    [{ platform: "staging" }, "platform: must be one of production, sandbox"],
    [{ platform: null }, "platform: must be a string, is null"],
    [{ push_type: "loud" }, "push_type: must be one of alert, background, voip"],
    [{ key_id: 1234567890 }, "key_id: must be a string, is a number (put it in quotes if it is text)"],
    [{ team_id: null }, "team_id: must be a string, is null"],
    [{ topic: "" }, "topic: must not be empty"],
    [{ send_badge_counts: "no" }, "send_badge_counts: must be true or false, is a string"],
    [{ convert_device_token_to_hex: 0 }, "convert_device_token_to_hex: must be true or false, is a number"],
    [{ inflight_request_limit: -1 }, "inflight_request_limit: must be at least 0"],
    [{ collapse: "rooms" }, "collapse: must be one of none, room, event (did you mean `room`?)"],
    [{ inflight_request_limit: "512" }, "inflight_request_limit: must be a whole number, is a string"],
    [
      { token_encoding: "base32" },
      "token_encoding: must be one of auto, base64, hex (did you mean `base64`?)",
    ],
    [{ endpoint: "localhost:2197" }, "endpoint: must be a URL"],
    [{ counts_pushes: "never" }, "counts_pushes: must be true or false, is a string"],
    [{ ca_file: "/nonexistent.pem" }, "ca_file: cannot be read: no such file"],
    [{ keyfile: 5 }, "keyfile: must be a string, is a number"],
    [{ keyfile: "/nonexistent.p8" }, "keyfile: cannot be read: no such file"],
    [{ keyfile: "/" }, "keyfile: cannot be read: it is no regular file"],
    [{ keyfile: "/dev/zero" }, "keyfile: cannot be read: it is no regular file"],
  ])("refuses %j", async (change, expected) => {
    const { problems } = await load(withKey(change));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`apps["a"].${expected}`);
  });

  it("names every option that a key needs", async () => {
    const { problems } = await load({ keyfile: files.write("key.p8", files.p256()) });
    expect(problems).toEqual(
      ["key_id", "team_id", "topic"].map((option) => `apps["a"].${option}: is missing; \`keyfile\` needs it`),
    );
  });

  it("needs a key or a certificate", async () => {
    expect((await load(ids)).problems).toEqual([
      'apps["a"]: either `keyfile` (with key_id, team_id and topic) or `certfile` is required',
    ]);
  });

  it.each([
    ["an RSA key", () => files.rsa(), "another kind; APNs keys are EC, P-256"],
    ["a P-384 key", () => files.p384(), "another kind; APNs keys are EC, P-256"],
    ["an encrypted key", () => encrypted(), "an encrypted private key; remove its password"],
    ["text", () => "this is no key, synthetic-secret", "no private key in PEM form"],
    ["a broken key", () => files.p256().replace(/\n.{20}/, "\nAAAAsyntheticAAAAAAA"), "cannot be read"],
    ["a certificate", () => files.certificate().cert, "no private key in PEM form"],
    ["nothing", () => "", "no private key in PEM form"],
  ])("refuses a keyfile that holds %s, without printing it", async (_what, text, expected) => {
    const content = text();
    const { problems } = await load(withKey({ keyfile: files.write("wrong.p8", content) }));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain('apps["a"].keyfile: ');
    expect(problems[0]).toContain(expected);
    for (const line of content.split("\n").filter((text) => text.length > 20))
      expect(problems[0]).not.toContain(line);
  });

  it("takes a certificate with its key, in either order", async () => {
    const { cert, key } = files.certificate();
    expect((await load({ certfile: files.write("a.pem", cert + key) })).problems).toEqual([]);
    expect((await load({ certfile: files.write("b.pem", key + cert) })).problems).toEqual([]);
    expect(certificateTopic(new X509Certificate(cert))).toBe("com.example.ios");
  });

  it("lets the certificate win over a key, and says so", async () => {
    const { cert, key } = files.certificate();
    const { problems, warnings } = await load({
      certfile: files.write("a.pem", cert + key),
      keyfile: "/nonexistent.p8",
      topic: "com.example.other",
    });
    expect(problems).toEqual([]);
    expect(warnings).toEqual([
      'apps["a"].keyfile: is ignored because `certfile` is given, as in Sygnal',
      'apps["a"].topic: is ignored: with `certfile` the topic is the certificate\'s UID',
    ]);
  });

  it.each([
    ["without a key", () => files.certificate().cert, "holds no private key in PEM form"],
    ["without a certificate", () => files.certificate().key, "holds no certificate in PEM form"],
    ["with another's key", () => files.certificate().cert + files.p256(), "do not belong together"],
    ["with an encrypted key", () => files.certificate().cert + encrypted(), "encrypted private key"],
    ["that has expired", () => pair(files.certificate({ expired: true })), "its certificate expired on 20"],
    ["without a UID", () => pair(files.certificate({ uid: "" })), "subject has no UID"],
    ["that is broken", () => files.certificate().cert.replace(/\n.{30}/, "\nAAAA"), "cannot be read"],
  ])("refuses a certfile %s", async (_what, text, expected) => {
    const { problems } = await load({ certfile: files.write("wrong.pem", text()) });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain('apps["a"].certfile: ');
    expect(problems[0]).toContain(expected);
  });

  it("says when token_encoding has no effect", async () => {
    const { warnings } = await load(withKey({ convert_device_token_to_hex: false, token_encoding: "hex" }));
    expect(warnings).toEqual([expect.stringContaining("token_encoding: has no effect")]);
  });
});

function pair({ cert, key }: { readonly cert: string; readonly key: string }): string {
  return cert + key;
}

function encrypted(): string {
  return "-----BEGIN ENCRYPTED PRIVATE KEY-----\nc3ludGhldGljIHN5bnRoZXRpYw==\n-----END ENCRYPTED PRIVATE KEY-----\n";
}
