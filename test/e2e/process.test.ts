import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { startSimulators, type Simulators } from "../../src/simulator/index.ts";
import { writeWorkspace } from "../../src/simulator/workspace.ts";
import { spawnSignalbox, type Spawned } from "../support/spawn-gateway.ts";
import { iosPushkey, message } from "../support/with-gateway.ts";

const IOS = "com.example.app.ios";

describe("signalbox serve as a process", () => {
  let directory: string;
  let simulators: Simulators;
  let config: Record<string, unknown>;
  const running: Spawned[] = [];

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "signalbox-process-"));
    simulators = await startSimulators();
    const files = await writeWorkspace(simulators, directory);
    config = parse(await readFile(files.config, "utf8")) as Record<string, unknown>;
  });
  afterEach(() => {
    simulators.script.clear();
    for (const { child } of running.splice(0)) child.kill("SIGKILL");
  });
  afterAll(async () => {
    await simulators.stop();
    await rm(directory, { recursive: true, force: true });
  });

  async function write(name: string, overrides: Record<string, unknown> = {}): Promise<string> {
    const path = join(directory, name);
    const yaml = {
      http: { port: 0 },
      admin: { enabled: false },
      delivery: { drain_delay: "100ms", answer_within: "2s" },
      store: { url: `sqlite:${join(directory, `${name}.db`)}` },
      ...config,
      ...overrides,
    };
    await writeFile(path, stringify(yaml, { version: "1.1" }), { mode: 0o600 });
    return path;
  }

  async function start(
    path: string,
    env: Record<string, string> = {},
  ): Promise<{ process: Spawned; url: string }> {
    const started = spawnSignalbox(["serve", "--config", path], { cwd: directory, env });
    running.push(started);
    await started.printed('"message":"listening"');
    const port = /"port":(\d+)/.exec(started.stderr())?.[1];
    return { process: started, url: `http://127.0.0.1:${port}` };
  }

  const notify = (url: string, body: unknown): Promise<Response> =>
    fetch(`${url}/_matrix/push/v1/notify`, { method: "POST", body: JSON.stringify({ notification: body }) });

  it("finds its configuration by flag, then SYGNAL_CONF, then sygnal.yaml", async () => {
    const path = await write("by-env.yaml");
    for (const [args, env] of [
      [[], { SYGNAL_CONF: path }],
      [["serve"], { SYGNAL_CONF: path }],
      [["serve", "--config", path], { SYGNAL_CONF: "/nowhere" }],
    ] as const) {
      const started = spawnSignalbox([...args], { cwd: directory, env });
      running.push(started);
      await started.printed('"message":"listening"');
      started.child.kill("SIGTERM");
      expect(await started.ended()).toBe(0);
    }
  });

  it.each([
    ["a missing file", [], { SYGNAL_CONF: "/nowhere/sygnal.yaml" }],
    ["no apps", [], {}],
  ])("%s: exit 1 and a line on stderr", async (what, args, env) => {
    const path = await write("no-apps.yaml", { apps: {} });
    const used: Record<string, string> = what === "no apps" ? { SYGNAL_CONF: path } : { ...env };
    const started = spawnSignalbox(["serve", ...args], {
      cwd: directory,
      env: used,
    });
    expect(await started.ended()).toBe(1);
    expect(started.stderr()).toContain(String(used["SYGNAL_CONF"]));
  });

  it("tells every problem at once and listens nowhere", async () => {
    const path = await write("bad.yaml", {
      http: { port: "five", bind_addresses: [] },
      delivery: { answer_witin: "5s" },
      apps: { "com.x": { type: "apns" }, "com.y": { type: "gcm", api_version: "legacy", api_key: "k" } },
    });
    const started = spawnSignalbox(["serve", "-c", path], { cwd: directory });
    expect(await started.ended()).toBe(1);
    for (const text of ["http.port", "bind_addresses", "answer_within", 'apps["com.x"]', 'apps["com.y"]']) {
      expect(started.stderr()).toContain(text);
    }
  });

  it("exits 1 in one line when the port is taken, or the store is", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    try {
      const { port } = taken.address() as AddressInfo;
      const started = spawnSignalbox(["serve", "-c", await write("taken.yaml", { http: { port } })], {
        cwd: directory,
      });
      expect(await started.ended()).toBe(1);
      expect(started.stderr()).toMatch(/EADDRINUSE|in use/);
    } finally {
      taken.close();
    }
    const path = await write("shared.yaml");
    await start(path);
    const second = spawnSignalbox(["serve", "-c", path], { cwd: directory });
    expect(await second.ended()).toBe(1);
    expect(second.stderr().trim().split("\n").at(-1)).toContain("shared.yaml");
  });

  it("SIGTERM: what was begun is answered, the health answer turns, and the exit code is 0", async () => {
    const { process: gateway, url } = await start(await write("term.yaml"));
    simulators.script.add({ upstream: "apns", delay: 700 });
    const answers = Array.from({ length: 20 }, (_, i) =>
      notify(url, message([{ app_id: IOS, pushkey: iosPushkey(`ab${String(i).padStart(4, "0")}`) }])),
    );
    await simulators.recorder.waitUntil((recorder) => recorder.counts.requests >= 1);
    gateway.child.kill("SIGTERM");
    await gateway.printed('"message":"stopping"');
    expect((await fetch(`${url}/health`)).status).toBe(503);
    for (const answer of await Promise.all(answers)) {
      expect([answer.status, await answer.json()]).toEqual([200, { rejected: [] }]);
    }
    expect(await gateway.ended()).toBe(0);
  });

  it("SIGTERM twice ends it at once", async () => {
    const { process: gateway, url } = await start(
      await write("twice.yaml", { delivery: { drain_delay: "20s" } }),
    );
    simulators.script.add({ upstream: "apns", answer: { kind: "hang" } });
    notify(url, message([{ app_id: IOS, pushkey: iosPushkey("ab") }])).catch(() => {});
    gateway.child.kill("SIGTERM");
    await gateway.printed('"message":"stopping"');
    gateway.child.kill("SIGTERM");
    expect(await gateway.ended()).toBe(0);
  });

  it("SIGTERM twice ends it at once in the middle of the start as well", async () => {
    // A database that takes the connection and says nothing: the start waits for it.
    const silent = createServer((socket) => socket.on("error", () => {}));
    await once(silent.listen(0, "127.0.0.1"), "listening");
    const connected = once(silent, "connection") as Promise<[Socket]>;
    const { port } = silent.address() as AddressInfo;
    const path = await write("twice-early.yaml", {
      store: { url: `postgresql://user:secret@127.0.0.1:${port}/db?sslmode=disable` },
    });
    const gateway = spawnSignalbox(["serve", "--config", path], { cwd: directory });
    running.push(gateway);
    const [socket] = await connected;
    gateway.child.kill("SIGTERM");
    await gateway.printed('"message":"stopping"');
    expect(socket.readyState).toBe("open");
    gateway.child.kill("SIGTERM");
    expect(await gateway.ended()).toBe(0);
    expect(gateway.stderr()).toContain("stopping at once");
    socket.destroy();
    silent.close();
  });

  it("remembers dead tokens and delivered pushes over an orderly restart", async () => {
    const path = await write("restart.yaml");
    const dead = iosPushkey("dead");
    const alive = message([{ app_id: IOS, pushkey: iosPushkey("ab") }]);
    simulators.script.add({
      upstream: "apns",
      tokenPrefix: "dead",
      answer: { kind: "error", reason: "Unregistered" },
    });
    for (const _round of [1, 2]) {
      const { process: gateway, url } = await start(path);
      expect(await (await notify(url, message([{ app_id: IOS, pushkey: dead }]))).json()).toEqual({
        rejected: [dead],
      });
      expect(await (await notify(url, alive)).json()).toEqual({ rejected: [] });
      gateway.child.kill("SIGTERM");
      expect(await gateway.ended()).toBe(0);
    }
    const seen = simulators.recorder.requests.filter(({ token }) => token?.startsWith("dead"));
    expect(seen).toHaveLength(1);
    expect(simulators.recorder.accepted.filter(({ token }) => token?.startsWith("ab11"))).toHaveLength(1);
  });

  it("says what it can do", async () => {
    for (const command of [[], ["serve"], ["check"], ["send"], ["sim"], ["demo"]]) {
      const started = spawnSignalbox([...command, "--help"], { cwd: directory });
      expect(await started.ended()).toBe(0);
      expect(started.stdout()).toContain("Usage: signalbox");
    }
    const typo = spawnSignalbox(["serv"], { cwd: directory });
    expect(await typo.ended()).toBe(1);
    expect(typo.stderr()).toContain("serv");
  });

  it("sends a test push by command", async () => {
    const { url } = await start(await write("send.yaml"));
    // By standard input: arguments can be read by everyone on the machine.
    const send = (pushkey: string): Spawned =>
      spawnSignalbox(["send", "--url", url, "--app-id", IOS, "--pushkey", "-"], {
        cwd: directory,
        input: `${pushkey}\n`,
      });
    const good = send(iosPushkey("5e5d"));
    expect(await good.ended()).toBe(0);
    expect(simulators.recorder.accepted.at(-1)?.token).toMatch(/^5e5d/);
    const bad = send("no token");
    expect(await bad.ended()).toBe(1);
    expect(bad.stderr()).toMatch(/rejected.*; signalbox explain [-0-9a-f]{36} says which/);
  });
});
