import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Http2Client } from "../../../src/upstream/http2-api.ts";
import { listen, testCertificate } from "../../support/upstream-server.ts";
import { closeAll, keep, numbered, patient, poolsOf, sendMany, tally, until } from "../pool-fixture.ts";

// Servers that nobody here wrote, from Debian's nghttp2-server and nginx-light; skipped where they are missing.
const hasNghttpd = spawnSync("nghttpd", ["--version"]).status === 0;
const hasNginx = spawnSync("nginx", ["-v"]).status === 0;

const running: ChildProcess[] = [];
const folders: string[] = [];

afterEach(async () => {
  await closeAll();
  for (const child of running.splice(0)) {
    const ended = once(child, "exit");
    if (child.exitCode === null && child.kill("SIGTERM")) await ended;
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A folder with the test's certificate, gone afterwards. */
function workspace(): string {
  const folder = mkdtempSync(join(tmpdir(), "signalbox-servers-"));
  folders.push(folder);
  const { cert, key } = testCertificate("localhost");
  writeFileSync(join(folder, "cert.pem"), cert);
  writeFileSync(join(folder, "key.pem"), key);
  return folder;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Starts a server on that port and waits until it listens. */
async function start(program: string, args: readonly string[], port: number): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  running.push(child);
  let stderr = "";
  child.stderr.on("data", (chunk) => (stderr += String(chunk)));
  for (let tries = 0; tries < 400; tries += 1) {
    if (child.exitCode !== null) throw new Error(`${program} ended: ${stderr}`);
    const socket = connect(port, "127.0.0.1");
    const stands = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (stands) return child;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`${program} does not listen: ${stderr}`);
}

interface Backend {
  readonly port: number;
  /** How often each body came. */
  readonly seen: Map<string, number>;
}

/** What stands behind nginx: answers with the request's body, and counts. */
async function startBackend(): Promise<Backend> {
  const seen = new Map<string, number>();
  const server = createHttpServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += String(chunk)));
    request.on("end", () => {
      seen.set(body, (seen.get(body) ?? 0) + 1);
      response.setHeader("apns-id", String(request.headers["x-state"]));
      response.end(body);
    });
  });
  const { port } = keep(await listen(server));
  return { port, seen };
}

/** nginx with HTTP/2 before the backend, ending each connection after 100 requests. */
async function startNginx(backend: Backend): Promise<{ origin: URL; reload: () => void }> {
  const folder = workspace();
  const port = await freePort();
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const config = join(folder, "nginx.conf");
  writeFileSync(
    config,
    `daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log; worker_processes 1;
${process.getuid?.() === 0 ? "user root;" : ""}
events { worker_connections 2048; }
http {
  access_log off; keepalive_requests 100; http2_max_concurrent_streams 128;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(" ")}
  upstream backend { server 127.0.0.1:${backend.port}; keepalive 64; }
  server {
    listen 127.0.0.1:${port} ssl http2;
    ssl_certificate ${folder}/cert.pem; ssl_certificate_key ${folder}/key.pem;
    location / { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; }
    location /fixed { return 410 '{"reason":"Unregistered"}'; }
  }
}
`,
  );
  const child = await start("nginx", ["-c", config, "-p", folder], port);
  return { origin: new URL(`https://localhost:${port}`), reload: () => void child.kill("SIGHUP") };
}

(hasNghttpd ? describe : describe.skip)("nghttpd (nghttp2)", () => {
  it.each<[Http2Client, string[]]>([
    ["lean", []],
    ["lean", ["--padding=255"]],
    ["lean", ["--header-table-size=0"]],
    ["lean", ["--header-table-size=100", "--encoder-header-table-size=4096"]],
    ["lean", ["--window-bits=1", "--connection-window-bits=1"]],
    ["lean", ["--max-concurrent-streams=3"]],
    ["node", []],
  ])("answers the %s client, started with %j", async (client, options) => {
    const folder = workspace();
    const port = await freePort();
    const args = [
      "--address=127.0.0.1",
      "--echo-upload",
      ...options,
      String(port),
      join(folder, "key.pem"),
      join(folder, "cert.pem"),
    ];
    await start("nghttpd", args, port);
    const pool = poolsOf(client)(new URL(`https://localhost:${port}`), { maxSessions: 1 });
    const results = await sendMany(pool, 300);
    expect(tally(results)).toEqual({ "response 200": 300 });
    expect(results.map((result) => (result.kind === "response" ? result.body : ""))).toEqual(
      Array.from({ length: 300 }, (_, i) => String(i)),
    );
    const large = "0123456789".repeat(4000);
    const echoed = await pool.request({ ...numbered(0), body: large }, patient);
    expect(echoed).toMatchObject({ kind: "response", status: 200, truncated: false });
    expect(echoed.kind === "response" && echoed.body === large).toBe(true);
  });
});

(hasNginx ? describe : describe.skip)("nginx", () => {
  it.each<Http2Client>(["lean", "node"])(
    "sends the %s client away every 100 requests: none is lost, none is doubled",
    async (client) => {
      const backend = await startBackend();
      const { origin } = await startNginx(backend);
      const pool = poolsOf(client)(origin, { maxSessions: 2, connectIntervalMs: 1 });
      for (let round = 0; round < 10; round += 1) {
        const results = await sendMany(pool, 200, round * 200);
        expect(tally(results)).toEqual({ "response 200": 200 });
        expect(results.map((result) => (result.kind === "response" ? result.body : ""))).toEqual(
          Array.from({ length: 200 }, (_, i) => String(round * 200 + i)),
        );
      }
      expect(backend.seen.size).toBe(2000);
      expect([...backend.seen.values()].filter((times) => times !== 1)).toEqual([]);
    },
  );

  it("reloaded again and again under load loses nothing of the lean client's", async () => {
    const backend = await startBackend();
    const { origin, reload } = await startNginx(backend);
    const pool = poolsOf("lean")(origin, { maxSessions: 2, connectIntervalMs: 1 });
    const counts = { answered: 0, unknown: 0 };
    const end = performance.now() + 2500;
    let number = 0;
    const reloads = setInterval(reload, 300);
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        while (performance.now() < end) {
          const result = await pool.request(numbered((number += 1)), patient);
          if (result.kind === "response") counts.answered += 1;
          else counts.unknown += 1;
        }
      }),
    );
    clearInterval(reloads);
    expect(counts.unknown).toBe(0);
    expect(counts.answered).toBe(number);
    expect(backend.seen.size).toBe(number);
    expect([...backend.seen.values()].filter((times) => times !== 1)).toEqual([]);
  });

  it("answers with its own status and body, and takes a body larger than its windows", async () => {
    const backend = await startBackend();
    const { origin } = await startNginx(backend);
    const pool = poolsOf("lean")(origin);
    const fixed = await pool.request(
      { path: "/fixed", headers: () => ({ "apns-topic": "x" }), body: "{}" },
      patient,
    );
    expect(fixed).toMatchObject({ kind: "response", status: 410, body: '{"reason":"Unregistered"}' });
    const large = "0123456789".repeat(6000);
    const echoed = await pool.request({ ...numbered(0), body: large }, patient);
    expect(echoed).toMatchObject({ kind: "response", status: 200, truncated: false });
    expect(echoed.kind === "response" && echoed.body === large).toBe(true);
    await pool.close(patient);
    await until(() => pool.stats().ready === 0);
  });
});
