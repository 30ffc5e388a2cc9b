import { readFileSync } from "node:fs";
import { loadConfig } from "../../src/config/load.ts";
import type { Loaded } from "../../src/config/load.ts";
import { propertiesOf } from "../../src/config/prepare.ts";
import { RootConfig } from "../../src/config/schema.ts";
import type { TSchema } from "@sinclair/typebox";
import { pushkinTypes } from "../../src/pushkins/index.ts";
import { createCredentials } from "../support/credentials.ts";
import type { Credentials } from "../support/credentials.ts";

const example = readFileSync(new URL("../../sygnal.example.yaml", import.meta.url), "utf8");
let files: Credentials;

beforeAll(() => {
  files = createCredentials();
});
afterAll(() => files.remove());

async function load(text: string): Promise<Extract<Loaded, { ok: true }>> {
  const path = files.write("sygnal.yaml", text);
  const loaded = await loadConfig({ path, env: {}, pushkinTypes });
  if (!loaded.ok)
    throw new Error(loaded.problems.map((problem) => `${problem.path}: ${problem.message}`).join("\n"));
  return loaded;
}

/** The example with its key files in the temporary directory. */
function withKeys(): string {
  return example
    .replace("AuthKey_ABCDE12345.p8", files.write("AuthKey_ABCDE12345.p8", files.p256()))
    .replace("service-account.json", files.write("service-account.json", files.serviceAccount()))
    .replaceAll(": vapid.pem", `: ${files.write("vapid.pem", files.p256())}`);
}

describe("sygnal.example.yaml", () => {
  it("loads without problems or warnings", async () => {
    const loaded = await load(withKeys());
    expect(loaded.warnings).toEqual([]);
    expect([...loaded.config.apps.keys()]).toEqual([
      "com.example.ios",
      "com.example.android.*",
      "com.example.web",
      "com.example.unifiedpush.*",
    ]);
  });

  it("says the defaults", async () => {
    const { apps, ...settings } = (await load(withKeys())).config;
    const key = files.write("least.p8", files.p256());
    const account = files.write("least.json", files.serviceAccount());
    const vapid = `vapid_private_key: ${key}, vapid_contact_email: ops@example.com`;
    const least = (
      await load(
        `apps:\n  com.example.ios: {type: apns, keyfile: ${key}, key_id: K, team_id: T, topic: x}\n` +
          `  com.example.android.*: {type: gcm, api_version: v1, project_id: p, service_account_file: ${account}}\n` +
          `  com.example.web: {type: webpush, ${vapid}}\n` +
          `  com.example.unifiedpush.*: {type: unifiedpush}\n`,
      )
    ).config;
    const { apps: leastApps, ...defaults } = least;
    expect(settings).toEqual(defaults);
    for (const [id, app] of apps) {
      const given = new Set([
        "keyfile",
        "key_id",
        "team_id",
        "topic",
        "project_id",
        "service_account_file",
        "vapid_private_key",
      ]);
      for (const [option, value] of Object.entries(leastApps.get(id)?.options ?? {})) {
        const shown = (app.options as Record<string, unknown>)[option];
        expect({ [option]: given.has(option) ? value : shown }).toEqual({ [option]: value });
      }
    }
  });

  it("has every key of the schema, each with a comment", () => {
    const lines = example.split("\n");
    for (const path of [...keysOf(RootConfig), ...pushkinTypes.flatMap((type) => keysOf(type.config))]) {
      const key = path.at(-1) ?? "";
      const line = lines.findIndex((text) => new RegExp(`^\\s*(?:# +)?${key}:`).test(text));
      expect({ path, found: line >= 0 }).toEqual({ path, found: true });
      const around = `${lines[line - 1] ?? ""}\n${lines[line]?.replace(/^\s*# +/, "") ?? ""}`;
      expect({ path, comment: around.includes("# ") }).toEqual({ path, comment: true });
    }
  });
});

function keysOf(schema: TSchema, path: readonly string[] = []): readonly (readonly string[])[] {
  return Object.entries(propertiesOf(schema)).flatMap(([key, property]) => [
    [...path, key],
    ...keysOf(property, [...path, key]),
  ]);
}
