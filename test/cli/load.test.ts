import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSignalbox } from "../support/spawn-gateway.ts";

let server: Server;
let url: string;
let directory: string;
let answer = '{"rejected":[]}';
const paths = new Set<string>();

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "signalbox-load-"));
  server = createServer((req, res) => {
    paths.add(req.url ?? "");
    req.resume();
    req.on("end", () => res.end(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true });
});

async function run(...args: readonly string[]) {
  const spawned = spawnSignalbox(["load", "--duration", "300ms", ...args], { cwd: directory });
  const code = await spawned.ended();
  return { code, out: spawned.stdout(), err: spawned.stderr() };
}

describe("signalbox load", () => {
  it("replays the packaged notifications and exits 0 when the service level was held", async () => {
    const { code, out, err } = await run("--url", url, "--success", "100", "--p99", "20s");
    expect(err).toBe("");
    expect(code).toBe(0);
    expect(out).toMatch(/^\d+ requests in 0\.\d s; \d+ pushes answered 200/);
    expect([...paths]).toEqual(["/_matrix/push/v1/notify"]);
  });

  it("exits 1 when it was missed, and says how; the figures are JSON on demand", async () => {
    const { code, out, err } = await run("--url", url, "--rate", "20", "--throughput", "1000000", "--json");
    expect(code).toBe(1);
    expect(err).toMatch(/^missed: \d+ pushes a second, less than 1000000\n$/);
    const figures = JSON.parse(out) as { readonly requests: number; readonly missed: readonly string[] };
    expect(figures.requests).toBeGreaterThan(0);
    expect(figures.missed).toHaveLength(1);
  });

  it("sends nothing where nobody listens, and says so at once", async () => {
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve));
    const { port } = gone.address() as AddressInfo;
    await new Promise((resolve) => gone.close(resolve));
    const { code, out, err } = await run("--url", `http://127.0.0.1:${port}`, "--duration", "1h");
    expect({ code, out, err }).toEqual({
      code: 2,
      out: "",
      err: `no gateway answers at http://127.0.0.1:${port}: ECONNREFUSED\n`,
    });
  });

  it("says what it may be when pushkeys are rejected", async () => {
    answer = '{"rejected":["a"]}';
    const { code, err } = await run("--url", url);
    answer = '{"rejected":[]}';
    expect(err).toContain("is each app of --app configured at that gateway");
    expect(code).toBe(0);
  });

  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };

  it.each([
    ["a host that is not this machine", ["--url", "https://push.example.com"], "is not this machine"],
    [
      "a name that only begins like this machine",
      ["--url", "http://127.0.0.1.example.com"],
      "is not this machine",
    ],
    ["what is no URL", ["--url", "no-url"], "must be an http or https URL"],
    ["a file that is not there", ["--notifications", "/nowhere.json"], "ENOENT"],
    ["an unknown kind", ["--app", "x=pigeon"], "one of apns, fcm"],
    ["a browser without an endpoint", ["--app", "x=webpush"], "needs an endpoint"],
    ["a rate of nothing", ["--rate", "0"], "a number above 0"],
  ])("sends nothing for %s", async (_what, args, sentence) => {
    const { code, err } = await run(...args);
    expect([1, 2]).toContain(code);
    expect(err).toContain(sentence);
  });

  const line =
    '{"title":"a test","body":{"notification":{"event_id":"$e","devices":[{"app_id":"a","pushkey":"b"}]}}}';
  it.each([
    ["one a line", `${line}\n\n${line}\n`],
    ["a single one", line],
    ["a list", `[${line}]`],
  ])("takes a file of notifications: %s", async (what, text) => {
    const { code, err } = await run("--url", url, "--notifications", file(`${what}.json`, text));
    expect(err).toBe("");
    expect(code).toBe(0);
  });

  it.each([
    ["no JSON", "{", "is no JSON list"],
    ["a broken line", `${line}\n${line.slice(1)}\n`, "nor JSON line by line"],
    ["no notifications", '[{"body": {"notification": {}}}]', "no devices"],
  ])("says what is wrong with a file of %s", async (what, text, sentence) => {
    const { code, err } = await run("--notifications", file(`${what}.json`, text));
    expect(code).toBe(2);
    expect(err).toContain(sentence);
  });
});
