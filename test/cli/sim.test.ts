import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { prefixTable, simCommand } from "../../src/cli/sim.ts";
import { providerToken, RawClient } from "../simulator/raw-client.ts";

const RUN = `import { simCommand } from ${JSON.stringify(new URL("../../src/cli/sim.ts", import.meta.url).href)};
await simCommand().parseAsync(process.argv.slice(1), { from: "user" });`;

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "signalbox-sim-"));
});
afterAll(() => rm(directory, { recursive: true }));

function help(): string {
  let text = "";
  simCommand()
    .configureOutput({ writeOut: (more) => (text += more) })
    .outputHelp();
  return text;
}

describe("signalbox sim", () => {
  it("prints where it listens, writes a usable configuration, shows what phones get, and ends on SIGTERM", async () => {
    const child = spawn(process.execPath, ["--input-type=module", "-e", RUN, "--", "--dir", directory], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const next = async (): Promise<string> => String((await lines.next()).value);
      const head = Object.fromEntries(
        [
          ...[
            await next(),
            await next(),
            await next(),
            await next(),
            await next(),
            await next(),
            await next(),
          ],
        ].map((line) => line.split(/\s+/) as [string, string]),
      );
      const config = parse(await readFile(head["config"] ?? "", "utf8"), { version: "1.1" });
      const ios = config.apps["com.example.app.ios"];
      const android = config.apps["com.example.app.android"];
      expect(ios).toMatchObject({ type: "apns", topic: "com.example.app", endpoint: head["apns"] });
      expect(android).toMatchObject({ type: "gcm", api_version: "v1", endpoint: head["fcm"] });
      const account = JSON.parse(await readFile(android.service_account_file, "utf8"));
      expect(account).toMatchObject({
        type: "service_account",
        token_uri: head["oauth"],
        project_id: android.project_id,
      });
      for (const secret of [
        ios.keyfile,
        android.service_account_file,
        join(directory, "apns-certificate.pem"),
        join(directory, "vapid.pem"),
      ]) {
        expect((await stat(secret)).mode & 0o077).toBe(0);
      }
      expect((await fetch(`${head["control"]}/`)).status).toBe(200);
      const example = /curl CONTROL(\S+) -H 'Content-Type: (\S+)' \\\n +-d '(.*)'/.exec(help()) ?? [];
      const controlled = await fetch(`${head["control"]}${example[1]}`, {
        method: "POST",
        headers: { "content-type": example[2] ?? "" },
        body: example[3] ?? "",
      });
      expect(controlled.status).toBe(201);

      const client = await RawClient.connect(ios.endpoint, { caPem: await readFile(ios.ca_file, "utf8") });
      const key = { keyId: ios.key_id, teamId: ios.team_id, keyPem: await readFile(ios.keyfile, "utf8") };
      const headers = { authorization: `bearer ${providerToken(key, Date.now())}`, "apns-topic": ios.topic };
      const body = '{"aps":{"alert":{"title":"Alice","body":"Hello"}}}';
      expect((await client.request({ ...headers, ":path": "/3/device/aabb" }, body)).status).toBe(200);
      expect((await client.request({ ...headers, ":path": "/3/device/deadbeef" }, body)).status).toBe(410);
      await client.close();
      expect(await next()).toMatch(/ apns {2}aabb {2}com\.example\.app: Alice: Hello$/);
      expect(await next()).toMatch(/ apns {2}deadbeef {2}410 Unregistered$/);

      const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve([code, signal])));
      child.kill("SIGTERM");
      expect(await ended).toEqual([0, null]);
    } finally {
      child.kill("SIGKILL");
    }
  });

  it("refuses a port that is none", async () => {
    const command = simCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => {} });
    await expect(command.parseAsync(["--apns-port", "70000"], { from: "user" })).rejects.toThrow(
      /0 to 65535/,
    );
  });

  it("documents the token prefixes in its help", () => {
    expect(help()).toContain(prefixTable());
    expect(help()).toMatch(/dead {2}dead {6}the app was uninstalled/);
  });
});
