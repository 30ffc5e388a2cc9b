import { Readable } from "node:stream";
import { hashPasswordCommand } from "../../src/cli/hash-password.ts";
import { isPassword, parsePasswordHash } from "../../src/http/password-hash.ts";

async function run(input: string): Promise<{ stdout: string; stderr: string; code: number | undefined }> {
  let [stdout, stderr] = ["", ""];
  let code: number | undefined;
  const command = hashPasswordCommand({
    stdin: Readable.from([input]),
    stdout: (text) => (stdout += text),
    stderr: (text) => (stderr += text),
    exit: (status) => (code = status),
  });
  await command.parseAsync([], { from: "user" });
  return { stdout, stderr, code };
}

describe("signalbox hash-password", () => {
  it.each(["correct horse\n", "correct horse", "correct horse\r\nanother line\n"])(
    "prints a hash of the first line of %j",
    async (input) => {
      const { stdout, code } = await run(input);
      expect(code).toBe(0);
      expect(stdout).toMatch(/^scrypt:15:8:1:[A-Za-z0-9_-]{22}:[A-Za-z0-9_-]{43}\n$/);
      const hash = parsePasswordHash(stdout.trim());
      if (hash === undefined) throw new Error("not readable");
      expect(await isPassword("correct horse", hash)).toBe(true);
      expect(await isPassword("correct horse ", hash)).toBe(false);
    },
  );

  it("makes another hash each time", async () => {
    expect((await run("a")).stdout).not.toBe((await run("a")).stdout);
  });

  it.each([
    ["", "there is no password"],
    ["\n", "there is no password"],
    [`${"x".repeat(1025)}\n`, "longer than 1024 bytes"],
  ])("refuses %j in one line", async (input, expected) => {
    const { stdout, stderr, code } = await run(input);
    expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
    expect(stderr).toContain(expected);
  });
});
