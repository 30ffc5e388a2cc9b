import { loadConfig } from "../../../src/config/load.ts";
import { pushkinTypes } from "../../../src/pushkins/index.ts";
import { createCredentials, type Credentials } from "../../support/credentials.ts";

let files: Credentials;
beforeAll(() => {
  files = createCredentials();
});
afterAll(() => files.remove());

/** A file with this `softphone` section and one app. */
function load(softphone: string) {
  const app = `{type: apns, keyfile: ${files.write("a.p8", files.p256())}, key_id: K, team_id: T, topic: x}`;
  const path = files.write("softphone.yaml", `softphone: ${softphone}\napps:\n  com.example.ios: ${app}\n`);
  return loadConfig({ path, env: {}, pushkinTypes });
}

describe("softphone", () => {
  it("has its defaults, and keys from files", async () => {
    const key = files.write("pbx.key", "3f1c0b8a7e5d42961a2b\n");
    const loaded = await load(`{api_keys: [{file: ${key}}, another-key-of-the-operator]}`);
    expect(loaded.ok && loaded.config.softphone).toEqual({
      path: "/pnm2",
      api_keys: ["3f1c0b8a7e5d42961a2b", "another-key-of-the-operator"],
      allow_anonymous: false,
      silent_content_types: ["message/imdn+xml", "application/im-iscomposing+xml"],
    });
  });

  it.each([
    ["{}", "softphone.api_keys: is missing: nobody could send"],
    ["{api_keys: []}", "softphone.api_keys: is missing: nobody could send"],
    ["{api_keys: [0123456789abcde]}", "softphone.api_keys[0]: must be at least 16 bytes long"],
    ["{api_keys: [{file: /nowhere}]}", "softphone.api_keys[0].file: cannot be read"],
    [
      "{api_keys: [0123456789abcdef], allow_anonymous: true}",
      "softphone.allow_anonymous: makes api_keys useless",
    ],
    ["{api_key: [0123456789abcdef]}", "softphone.api_key: unknown key (did you mean `api_keys`?)"],
  ])("is refused as %s", async (softphone, problem) => {
    const loaded = await load(softphone);
    const problems = loaded.ok ? [] : loaded.problems.map(({ path, message }) => `${path}: ${message}`);
    expect(problems).toContainEqual(expect.stringContaining(problem));
    expect(problems.join("\n")).not.toContain("0123456789abcde");
  });
});
