import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { createCredentials } from "../../src/simulator/credentials.ts";
import { freePort } from "../support/free-port.ts";
import { layOutImage, type ImageTree } from "../support/image-tree.ts";

/*
 * The image without an engine: what the Dockerfile puts together is started by what the Dockerfile says, as its user, as
 * process 1 of namespaces of its own, on a root that cannot be written to. That takes root's rights and util-linux; where
 * they are missing the tests count as skipped.
 */
const canIsolate =
  process.getuid?.() === 0 &&
  spawnSync("unshare", ["--mount", "--pid", "--fork", "mount", "--bind", "/tmp", "/tmp"]).status === 0 &&
  spawnSync("nsenter", ["--version"]).status === 0;

/** What the base image brings: the C library. */
const BASE = ["/lib", "/lib64", "/usr/lib"].filter((name) =>
  statSync(name, { throwIfNoEntry: false })?.isDirectory(),
);
const DEVICES = ["/dev/null", "/dev/urandom"];
const ELSEWHERE = `apps: { "*.unifiedpush": { type: unifiedpush } }
admin: { port: 0 }
http: { port: 0 }
store: { url: "sqlite:/usr/s.db" }
`;
const MIB = 1024 * 1024;

(canIsolate ? describe : describe.skip)("the image, run without an engine", () => {
  let image: ImageTree;
  let port: number;
  let gateway: ChildProcess;
  let firstAnswerMs: number;
  const lines: string[] = [];

  beforeAll(async () => {
    image = layOutImage();
    port = await freePort();
    const { apnsKey } = createCredentials();
    const data = join(image.root, image.workingDirectory);
    const config = {
      http: { port, bind_addresses: ["0.0.0.0"] },
      admin: { port: await freePort() },
      delivery: { drain_delay: "100ms" },
      apps: {
        "com.example.ios": {
          type: "apns",
          keyfile: "key.p8",
          key_id: apnsKey.keyId,
          team_id: apnsKey.teamId,
          topic: "com.example",
        },
        "*.unifiedpush": { type: "unifiedpush" },
      },
    };
    const [uid = 0, gid = 0] = image.user.split(":").map(Number);
    for (const [name, text] of [
      ["sygnal.yaml", stringify(config)],
      ["key.p8", apnsKey.keyPem],
    ] as const) {
      writeFileSync(join(data, name), text, { mode: 0o400 });
      chownSync(join(data, name), uid, gid);
    }
    const beganMs = performance.now();
    gateway = start();
    gateway.stderr?.on("data", (chunk) => lines.push(String(chunk)));
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
      if (answer?.status === 200) break;
      if (gateway.exitCode !== null || performance.now() - beganMs > 30_000) throw new Error(lines.join(""));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    firstAnswerMs = performance.now() - beganMs;
  }, 60_000);

  afterAll(() => {
    if (gateway?.exitCode === null) process.kill(first(), "SIGKILL");
    image?.remove();
  });

  /** Mounts what an engine would, and becomes the gateway, as process 1. */
  function start(): ChildProcess {
    const { command, environment, root, user, workingDirectory } = image;
    const [uid, gid] = user.split(":");
    const mounts = [
      `mount --bind ${root} ${root}`,
      ...BASE.map((name) => `mount --bind -o ro ${name} ${root}${name}`),
      ...DEVICES.map((name) => `mount --bind ${name} ${root}${name}`),
      `mount -t proc proc ${root}/proc`,
      `mount -t tmpfs -o size=16m,mode=1777,noexec,nosuid,nodev tmpfs ${root}/tmp`,
      `mount --bind ${root}${workingDirectory} ${root}${workingDirectory}`,
      `mount -o remount,ro,bind ${root}`,
    ];
    for (const name of [...BASE, "/proc", "/tmp", "/dev"]) mkdirSync(root + name, { recursive: true });
    for (const name of DEVICES) writeFileSync(root + name, "");
    const become = `exec setpriv --no-new-privs unshare --root=${root} --wd=${workingDirectory} --setgid=${gid} --setuid=${uid} "$@"`;
    return spawn(
      "unshare",
      ["--mount", "--pid", "--fork", "sh", "-ec", [...mounts, become].join("\n"), "sh", ...command],
      {
        env: environment,
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
  }

  /** The gateway's process as this side numbers it. */
  function first(): number {
    const [child = ""] = readFileSync(`/proc/${gateway.pid}/task/${gateway.pid}/children`, "utf8").split(" ");
    return Number(child);
  }

  /** Runs something beside the gateway, as an engine's health check or `exec` would. */
  function inside(command: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const [uid, gid] = image.user.split(":");
    const to = [
      "--target",
      String(first()),
      "--mount",
      "--pid",
      "--root",
      "--wd",
      "--setuid",
      `${uid}`,
      "--setgid",
      `${gid}`,
    ];
    return spawnSync("nsenter", [...to, ...command], {
      encoding: "utf8",
      env: { ...image.environment, ...environment },
    });
  }

  it("answers soon after its start, and is small", () => {
    const megabytes = (name: string): number => sizeOf(join(image.root, name)) / MIB;
    const [modules, ours, all] = [
      megabytes("app/node_modules"),
      megabytes("app/dist"),
      sizeOf(image.root, BASE) / MIB,
    ];
    const rss = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${first()}/status`, "utf8"))?.[1]) / 1024;
    process.stdout.write(
      `image: ${image.packages} packages ${modules.toFixed(1)} MiB, gateway ${ours.toFixed(1)} MiB, all ${all.toFixed(0)} MiB; ` +
        `first answer after ${firstAnswerMs.toFixed(0)} ms, ${rss.toFixed(0)} MiB resident\n`,
    );
    expect(modules).toBeLessThan(25);
    expect(ours).toBeLessThan(5);
    expect(all).toBeLessThan(160);
    // Half a second where nothing else runs; a machine of tests has other things to do.
    expect(firstAnswerMs).toBeLessThan(10_000);
    expect(rss).toBeLessThan(256);
  });

  it("is process 1, of the user and without a capability", () => {
    const status = readFileSync(`/proc/${first()}/status`, "utf8");
    const [uid, gid] = image.user.split(":");
    expect(status).toMatch(/^NSpid:\s+\d+\s+1$/m);
    expect(status).toMatch(new RegExp(`^Uid:\\s+${uid}\\s+${uid}\\s+${uid}\\s+${uid}$`, "m"));
    expect(status).toMatch(new RegExp(`^Gid:\\s+${gid}\\s+${gid}\\s+${gid}\\s+${gid}$`, "m"));
    expect(status).toMatch(/^Groups:\s*$/m);
    expect(status).toMatch(/^CapEff:\s+0+$/m);
    expect(status).toMatch(/^CapPrm:\s+0+$/m);
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
  });

  it("writes to /data and /tmp alone", () => {
    const tries = ["/data/x", "/tmp/x", "/x", "/app/x", "/app/node_modules/x", "/usr/local/bin/x"];
    const script = `const { writeFileSync } = require("node:fs");
      for (const file of ${JSON.stringify(tries)}) {
        try { writeFileSync(file, "x"); console.log("ok"); } catch (error) { console.log(error.code); }
      }`;
    const { stdout } = inside(["/usr/local/bin/node", "-e", script]);
    expect(stdout.trim().split("\n")).toEqual(["ok", "ok", "EROFS", "EROFS", "EROFS", "EROFS"]);
    expect(readdirSync(join(image.root, "data"))).toEqual(expect.arrayContaining(["signalbox.db"]));
  });

  it("takes its own commands and its health check", () => {
    const check = image.healthCheck.map((word) => word.replace("127.0.0.1:5000/", `127.0.0.1:${port}/`));
    expect(inside(check)).toMatchObject({ status: 0, stderr: "" });
    const ours = image.command.slice(0, -1);
    const checked = inside([...ours, "check"]);
    const elsewhere = image.workingDirectory + "/elsewhere.yaml";
    writeFileSync(join(image.root, elsewhere), ELSEWHERE, { mode: 0o644 });
    // Sygnal's image is told by SYGNAL_CONF; without it ours looks into its working directory.
    expect(inside([...ours, "check"], { SYGNAL_CONF: elsewhere })).toMatchObject({
      status: 0,
      stdout: `${elsewhere}: ok, 1 app\n`,
    });
    const make = (file: string) => inside([...ours, "vapid", "--out", file]);
    expect(make("/data/vapid.pem")).toMatchObject({ status: 0, stderr: "" });
    // The store's thread is under it too.
    expect(inside([...ours, "serve", "--config", elsewhere])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/cannot create \/usr\/s\.db-lock: ERR_ACCESS_DENIED\n$/),
    });
    // Node refuses before the file system would.
    expect(make("/app/vapid.pem").stderr).toBe("/app/vapid.pem: cannot be written (ERR_ACCESS_DENIED)\n");
    expect(checked).toMatchObject({ status: 0, stdout: "sygnal.yaml: ok, 2 apps\n", stderr: "" });
  });

  it("ends with 0 on SIGTERM, and has said nothing but what it should", async () => {
    const ended = once(gateway, "close");
    process.kill(first(), "SIGTERM");
    expect(await ended).toEqual([0, null]);
    const told = lines
      .join("")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { level: string; message: string });
    expect(told.filter(({ level }) => level !== "info")).toEqual([]);
    expect(told.at(-1)?.message).toBe("stopped");
  });
});

/** Bytes in files; those of the base are not the image's own. */
function sizeOf(directory: string, without: readonly string[] = []): number {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map(({ name, parentPath }) => join(parentPath, name))
    .filter((file) => !without.some((base) => file.startsWith(`${directory}${base}/`)))
    .reduce((sum, file) => sum + statSync(file).size, 0);
}
