import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adminTarget } from "../../src/cli/admin-client.ts";

const APPS = "apps: { a: { type: unifiedpush } }\n";
const WRONG_APPS = "apps: { a: { type: pigeon } }\n";
const TOKEN = "Zk3vQ9xT1mB7rL5cW8nJ2hD6gF4sA0pY";
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "signalbox-target-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  writeFileSync(join(directory, name), text, { mode: 0o600 });
  return join(directory, name);
}

describe("the admin listener that a command asks", () => {
  it.each([
    ["the usual one", APPS, { url: "http://127.0.0.1:5001" }],
    ["another port", `admin: { port: 5101 }\n${APPS}`, { url: "http://127.0.0.1:5101" }],
    [
      "every interface",
      `admin: { bind_address: "::", token: ${TOKEN} }\n${APPS}`,
      { url: "http://[::1]:5001", token: TOKEN },
    ],
    [
      "none",
      `admin: { enabled: false }\n${APPS}`,
      { problem: "`admin` is switched off in the configuration" },
    ],
    // Else a reload of one gateway's wrong file would be another's reload.
    [
      "that of a file whose apps are wrong",
      `admin: { port: 5101 }\n${WRONG_APPS}`,
      { url: "http://127.0.0.1:5101" },
    ],
    [
      "the usual one where the other settings are wrong too",
      `http: { port: x }\n${WRONG_APPS}`,
      { url: "http://127.0.0.1:5001" },
    ],
  ])("is %s", async (what, text, target) => {
    expect(await adminTarget({ config: file(`${what}.yaml`, text) }, {})).toEqual(target);
  });

  it.each([
    ["--config", { config: "/nonexistent.yaml" }, {}],
    ["SYGNAL_CONF", {}, { SYGNAL_CONF: "/nonexistent.yaml" }],
  ])("is nobody's when the file of %s is not there", async (_where, flags, env) => {
    expect(await adminTarget(flags, env)).toEqual({
      problem: "/nonexistent.yaml: cannot be read: no such file",
    });
  });

  it("is that of --url, whatever the file says", async () => {
    const flags = {
      config: "/nonexistent.yaml",
      url: "http://127.0.0.1:9",
      tokenFile: file("token", "s3cret\n"),
    };
    expect(await adminTarget(flags, {})).toEqual({ url: "http://127.0.0.1:9", token: "s3cret" });
  });

  it("is the usual one where no file is named and none is there", async () => {
    // The project's own directory holds no sygnal.yaml.
    expect(await adminTarget({}, {})).toEqual({ url: "http://127.0.0.1:5001" });
  });
});
