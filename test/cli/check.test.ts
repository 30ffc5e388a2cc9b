import { checkCommand } from "../../src/cli/check.ts";
import { configFile } from "../../src/cli/config-file.ts";
import { pushkinTypes } from "../../src/pushkins/index.ts";
import { createCredentials } from "../support/credentials.ts";
import type { Credentials } from "../support/credentials.ts";

const typeNames = pushkinTypes.flatMap((type) => type.types).join(", ");

let files: Credentials;
let app: string;
beforeAll(() => {
  files = createCredentials();
  const key = files.write("key.p8", files.p256());
  app = `{type: apns, keyfile: ${key}, key_id: K, team_id: T, topic: com.example}`;
});
afterAll(() => files.remove());

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Run> {
  let out = "";
  let err = "";
  const codes: number[] = [];
  const command = checkCommand(pushkinTypes, {
    env,
    stdout: (text) => (out += text),
    stderr: (text) => (err += text),
    exit: (code) => codes.push(code),
  });
  await command.parseAsync(args, { from: "user" });
  expect(codes).toHaveLength(1);
  return { code: codes[0] ?? -1, out, err };
}

describe("signalbox check", () => {
  it("says ok and how many apps, and exits 0", async () => {
    const one = files.write("one.yaml", `apps: {a: ${app}}`);
    expect(await run(["--config", one])).toEqual({ code: 0, out: `${one}: ok, 1 app\n`, err: "" });
    const two = files.write("two.yaml", `apps: {a: ${app}, b: ${app}}`);
    expect(await run(["-c", two])).toEqual({ code: 0, out: `${two}: ok, 2 apps\n`, err: "" });
  });

  it("warns of a log that would be lost", async () => {
    const handlers = "{h: {class: logging.FileHandler, filename: /nonexistent/s.log}}";
    const log = `{setup: {version: 1, handlers: ${handlers}, root: {handlers: [h]}}}`;
    const file = files.write("log.yaml", `apps: {a: ${app}}\nlog: ${log}\n`);
    const { code, err } = await run(["--config", file]);
    expect(code).toBe(0);
    expect(err).toBe(
      `warning: ${file}:2: log.setup: the file /nonexistent/s.log cannot be written (ENOENT): its lines would be lost\n`,
    );
  });

  it("prints warnings and still exits 0", async () => {
    const file = files.write("warned.yaml", `aps: 1\napps: {a: ${app}}`);
    expect(await run(["--config", file])).toEqual({
      code: 0,
      out: `${file}: ok, 1 app\n`,
      err: `warning: ${file}:1: aps: unknown key (did you mean \`apps\`?)\n`,
    });
  });

  it("prints every problem on a line of its own, and exits 1", async () => {
    const file = files.write("wrong.yaml", "http: {port: x}\nworkers: 0\napps: {a: {type: sms}}\n");
    expect(await run(["--config", file])).toEqual({
      code: 1,
      out: "",
      err:
        `${file}:1: http.port: must be a port number from 0 to 65535\n` +
        `${file}:2: workers: must be a whole number from 1 to 64, or auto\n` +
        `${file}:3: apps["a"].type: must be one of ${typeNames}\n`,
    });
  });

  it("exits 1 when there is no such file", async () => {
    const result = await run([], { SYGNAL_CONF: `${files.directory}/none.yaml` });
    expect(result).toEqual({
      code: 1,
      out: "",
      err: `${files.directory}/none.yaml: cannot be read: no such file\n`,
    });
  });

  it.each([
    ["flag.yaml", { SYGNAL_CONF: "env.yaml" }, "flag.yaml"],
    [undefined, { SYGNAL_CONF: "env.yaml" }, "env.yaml"],
    [undefined, { SYGNAL_CONF: "" }, "sygnal.yaml"],
    [undefined, {}, "sygnal.yaml"],
  ])("with --config %p and %j reads %s", (flag, env, expected) => {
    expect(configFile(flag, env)).toBe(expected);
  });
});
