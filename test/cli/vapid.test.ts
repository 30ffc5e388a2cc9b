import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vapidCommand } from "../../src/cli/vapid.ts";
import { readVapidKey } from "../../src/pushkins/push-service/vapid-key.ts";

let directory: string;
beforeAll(() => (directory = mkdtempSync(join(tmpdir(), "signalbox-vapid-"))));
afterAll(() => rmSync(directory, { recursive: true }));

async function run(...args: readonly string[]): Promise<{ stdout: string; stderr: string; code: number }> {
  const seen = { stdout: "", stderr: "", code: -1 };
  const command = vapidCommand({
    stdout: (text) => (seen.stdout += text),
    stderr: (text) => (seen.stderr += text),
    exit: (code) => (seen.code = code),
  });
  await command.parseAsync(args, { from: "user" });
  return seen;
}

describe("signalbox vapid", () => {
  it("writes a private key that only its owner can read, and says the public one", async () => {
    const path = join(directory, "vapid.pem");
    const { stdout, stderr, code } = await run("--out", path);
    expect([stderr, code]).toEqual(["", 0]);
    expect(statSync(path).mode & 0o077).toBe(0);
    const key = await readVapidKey(path);
    if ("problem" in key) throw new Error(key.problem);
    expect(key.publicKey).toMatch(/^B[A-Za-z0-9_-]{86}$/);
    expect(stdout).toContain(`applicationServerKey: "${key.publicKey}"`);
    expect(stdout).not.toContain(key.privateKey);
    expect((await run("--key", path)).stdout).toBe(`${key.publicKey}\n`);
  });

  it("keeps a file that is there", async () => {
    const path = join(directory, "precious.pem");
    writeFileSync(path, "precious");
    const { stdout, stderr, code } = await run("--out", path);
    expect([stdout, code]).toEqual(["", 1]);
    expect(stderr).toMatch(/exists, and is kept/);
    expect(readFileSync(path, "utf8")).toBe("precious");
  });

  it("says in one line what is wrong with a file", async () => {
    const path = join(directory, "empty.pem");
    writeFileSync(path, "");
    expect(await run("--key", path)).toMatchObject({ stdout: "", code: 1 });
    expect(await run("--key", join(directory, "missing.pem"))).toMatchObject({
      stderr: `${join(directory, "missing.pem")}: cannot be read: no such file\n`,
      code: 1,
    });
    expect((await run("--out", join(directory, "no", "such", "vapid.pem"))).stderr).toMatch(/ENOENT/);
  });
});
