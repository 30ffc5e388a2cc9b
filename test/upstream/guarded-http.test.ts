import { createServer as createHttpsServer } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { systemClock } from "../../src/clock.ts";
import { AddressGuard } from "../../src/upstream/address-guard.ts";
import { parseEndpoint } from "../../src/upstream/endpoint-url.ts";
import { GuardedHttp, type GuardedHttpOptions } from "../../src/upstream/guarded-http.ts";
import type { GuardedResult } from "../../src/upstream/guarded-origin.ts";
import {
  drip,
  flood,
  rebindingRounds,
  rebindingTurns,
  scripted,
  Sentinel,
} from "../support/hostile-endpoints.ts";
import { listen, testCa, testCertificate, type Listening } from "../support/upstream-server.ts";
import { forbiddenV4, forbiddenV6, literalHosts } from "./ssrf-vectors.ts";

const patient = new AbortController().signal;
const body = Buffer.from("message");

function client(
  options: Partial<GuardedHttpOptions> & {
    readonly ports?: readonly number[];
    readonly allow?: readonly string[];
  } = {},
): GuardedHttp {
  const { ports = [443], allow = [], ...rest } = options;
  return new GuardedHttp({
    clock: systemClock,
    outbound: { allow_addresses: allow, allow_ports: ports, allow_http: false },
    guard: new AddressGuard(allow, () => []),
    ca: testCa,
    maxSockets: 64,
    ...rest,
  });
}

async function post(http: GuardedHttp, url: string): Promise<GuardedResult | "unreadable"> {
  const endpoint = parseEndpoint(url);
  if (endpoint === undefined) return "unreadable";
  const origin = http.open(endpoint);
  try {
    return await origin.send({ url: endpoint.url, headers: {}, body }, patient);
  } finally {
    origin.destroy();
  }
}

describe("requests to endpoints that strangers choose", () => {
  const sentinel = new Sentinel();
  beforeAll(() => sentinel.start());
  afterAll(() => sentinel.stop());
  beforeEach(() => (sentinel.hits = 0));
  afterEach(() => expect(sentinel.hits).toBe(0));

  it("the sentinel hears whoever gets through", async () => {
    for (const host of ["127.0.0.1", "[::1]"]) {
      const url = new URL(`https://${host}:${sentinel.port}/`);
      const endpoint = parseEndpoint(url.href);
      if (endpoint === undefined) throw new Error(url.href);
      await client().open(endpoint, { trusted: true }).send({ url, headers: {}, body }, patient);
    }
    expect(sentinel.hits).toBe(2);
    sentinel.hits = 0;
  });

  it("literals in every spelling reach nothing", async () => {
    const http = client({ ports: [sentinel.port, 443] });
    expect(literalHosts.length).toBeGreaterThan(200);
    for (const host of literalHosts) {
      const result = await post(http, `https://${host}:${sentinel.port}/push`);
      const kind = result === "unreadable" ? result : result.kind;
      expect([host, ["refused", "unreadable"].includes(kind)]).toEqual([host, true]);
    }
  });

  it("names reach none of the forbidden addresses, in whatever order and company they come", async () => {
    const addresses = [...forbiddenV4, ...forbiddenV6];
    const answers = new Map<string, readonly string[]>();
    addresses.forEach((address, index) => {
      answers.set(`only${index}.example`, [address]);
      answers.set(`last${index}.example`, ["8.8.8.8", "2606:4700::1111", address]);
      answers.set(`first${index}.example`, [address, "8.8.8.8"]);
    });
    const http = client({ ports: [sentinel.port], resolver: scripted((host) => answers.get(host) ?? []) });
    for (const host of answers.keys()) {
      expect([host, await post(http, `https://${host}:${sentinel.port}/push`)]).toEqual([
        host,
        { kind: "refused" },
      ]);
    }
  });

  it("10,000 names that change their answer reach nothing", async () => {
    const rounds = 10_000;
    const resolver = scripted((_host, call) => rebindingTurns[call % rebindingTurns.length] ?? []);
    const http = client({ ports: [sentinel.port], allow: ["127.0.0.2/32"], resolver });
    // The same origin again and again, too: no kept connection, no kept answer helps.
    const { failed, refused } = await rebindingRounds(rounds, sentinel.port, (url) => post(http, url));
    // One look each: what was checked is what is connected to.
    expect(resolver.calls).toBe(rounds);
    expect(refused + failed).toBe(rounds);
    expect(refused).toBeGreaterThan(rounds / 2);
    // The sixth of the rounds that saw the allowed address alone did connect to it: to nobody.
    expect(failed).toBeGreaterThan(rounds / 10);
  }, 60_000);

  it("only the ports that are allowed, and other ways only to addresses that are listed", async () => {
    const resolver = scripted((host) => (host === "listed.example" ? ["127.0.0.2"] : ["8.8.8.8"]));
    const open = (
      options: Parameters<typeof client>[0],
      url: string,
    ): Promise<GuardedResult | "unreadable"> =>
      post(client({ resolver, allow: ["127.0.0.2/32"], ...options }), url);
    const rules = (allowHttp: boolean): GuardedHttpOptions["outbound"] => ({
      allow_addresses: ["127.0.0.2/32"],
      allow_ports: [443],
      allow_http: allowHttp,
    });
    const port = sentinel.port;
    // To a public address that is not asked for: nothing of it may even be tried.
    expect(await open({}, `https://public.example:${port}/`)).toEqual({ kind: "refused" });
    expect(await open({ outbound: rules(true) }, "http://public.example/")).toEqual({ kind: "refused" });
    expect(await open({ outbound: rules(false) }, `http://listed.example:${port}/`)).toEqual({
      kind: "refused",
    });
    expect(await open({ outbound: rules(false) }, `http://127.0.0.2:${port}/`)).toEqual({ kind: "refused" });
    // What is listed is tried: nobody listens there.
    const nobody = { kind: "failed", failure: { class: "refused", detail: "ECONNREFUSED" }, written: false };
    expect(await open({}, `https://listed.example:${port}/`)).toEqual(nobody);
    expect(await open({}, `https://127.0.0.2:${port}/`)).toEqual(nobody);
    expect(await open({ outbound: rules(true) }, `http://listed.example:${port}/`)).toEqual(nobody);
  });

  it("a name that leads nowhere allowed takes as long as one that leads nowhere", async () => {
    const timeOf = async (addresses: readonly string[]): Promise<number> => {
      const http = client({
        resolver: scripted(() => addresses),
        ports: [sentinel.port],
        allow: ["127.0.0.2/32"],
      });
      const times: number[] = [];
      for (let i = 0; i < 60; i += 1) {
        const startedMs = performance.now();
        await post(http, `https://n${i}.example:${sentinel.port}/`);
        times.push(performance.now() - startedMs);
      }
      return times.sort((a, b) => a - b)[30] ?? 0;
    };
    await timeOf(["127.0.0.1"]);
    const forbidden = await timeOf(["127.0.0.1"]);
    const unknown = await timeOf([]);
    const refusing = await timeOf(["127.0.0.2"]);
    expect(Math.abs(forbidden - unknown)).toBeLessThan(15);
    expect(Math.abs(forbidden - refusing)).toBeLessThan(15);
  });
});

describe("an endpoint that is up to no good", () => {
  const sentinel = new Sentinel();
  const servers: Listening[] = [];
  beforeAll(() => sentinel.start());
  afterAll(() => sentinel.stop());
  afterEach(async () => {
    expect(sentinel.hits).toBe(0);
    for (const server of servers.splice(0)) await server.close();
  });

  const startServer = async (
    handler: (req: IncomingMessage, res: ServerResponse) => void,
  ): Promise<Listening> => {
    const server = await listen(createHttpsServer(testCertificate("localhost"), handler));
    servers.push(server);
    return server;
  };
  /** TLS and nothing of HTTP: the test writes the bytes. */
  const startRaw = async (onRequest: (socket: TLSSocket) => void): Promise<Listening> => {
    const server = createTlsServer(testCertificate("localhost"), (socket) => {
      socket.on("error", () => {});
      socket.once("data", () => onRequest(socket));
    });
    const listening = await listen(server);
    servers.push(listening);
    return listening;
  };
  const askAt = async (
    { port }: Listening,
    options: Partial<GuardedHttpOptions> = {},
  ): Promise<GuardedResult | "unreadable"> =>
    post(
      client({ allow: ["127.0.0.1/32"], resolver: scripted(() => ["127.0.0.1"]), ...options }),
      `https://localhost:${port}/push`,
    );

  it.each([301, 302, 303, 307, 308])("a %i is not followed", async (status) => {
    const server = await startServer((_req, res) => {
      res.writeHead(status, { location: `https://127.0.0.1:${sentinel.port}/` }).end();
    });
    expect(await askAt(server)).toMatchObject({ kind: "response", status });
  });

  it("of an endless answer 64 KiB are read, and its status counts", async () => {
    let written = 0;
    const server = await startServer((_req, res) => {
      res.writeHead(503);
      const chunk = Buffer.alloc(65_536, "x");
      const more = (): void => {
        if (res.destroyed) return;
        written += chunk.length;
        if (res.write(chunk)) setImmediate(more);
        else res.once("drain", more);
      };
      res.on("error", () => {});
      more();
    });
    const result = await askAt(server);
    expect(result).toMatchObject({ kind: "response", status: 503 });
    if (result === "unreadable" || result.kind !== "response") throw new Error("no answer");
    expect(result.body.length).toBe(65_536);
    expect(written).toBeLessThan(16 * 1024 * 1024);
  });

  it("a packed answer stays packed", async () => {
    const encodings = Array.from({ length: 5_000 }, () => "gzip").join(",");
    const server = await startServer((_req, res) => {
      res.writeHead(400, { "content-encoding": encodings.slice(0, 8_000) }).end("not gzip at all");
    });
    expect(await askAt(server)).toMatchObject({ kind: "response", status: 400, body: "not gzip at all" });
  });

  it("a status is enough when its body dawdles", async () => {
    const server = await startServer((_req, res) => {
      res.writeHead(201, { "content-length": "1000" });
      const drip = setInterval(() => res.write("x"), 100);
      res.on("close", () => clearInterval(drip));
    });
    const startedMs = performance.now();
    expect(await askAt(server)).toMatchObject({ kind: "response", status: 201 });
    expect(performance.now() - startedMs).toBeLessThan(3_000);
  });

  it.each<[string, (socket: TLSSocket) => void]>([
    ["never answers", () => {}],
    [
      "sends a byte now and then",
      (socket) => drip(socket, "HTTP/1.1 201 Created\r\nX: ".padEnd(500, "y"), 50),
    ],
  ])("one that %s costs the time limit and no more", async (_what, onRequest) => {
    const server = await startRaw(onRequest);
    const startedMs = performance.now();
    const result = await askAt(server, { limitMs: 700 });
    expect(result).toMatchObject({ kind: "failed", failure: { class: "timeout" }, written: true });
    expect(performance.now() - startedMs).toBeLessThan(2_500);
  });

  it("one that sends 1xx answers without end is cut after a few of them", async () => {
    let written = 0;
    const server = await startRaw((socket) =>
      flood(socket, "HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n", (bytes) => (written += bytes)),
    );
    const startedMs = performance.now();
    const result = await askAt(server);
    expect(result).toMatchObject({ kind: "failed", failure: { class: "other" }, written: true });
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    expect(written).toBeLessThan(16 * 1024 * 1024);
  });

  it("a few 1xx answers before the real one do no harm", async () => {
    const server = await startRaw((socket) => {
      socket.write("HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n".repeat(16));
      socket.write("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n");
    });
    expect(await askAt(server)).toMatchObject({ kind: "response", status: 201 });
  });

  it("one that never finishes the handshake costs the time for connecting", async () => {
    const server = await listen(createServer((socket) => void socket.on("error", () => {})));
    servers.push(server);
    const result = await askAt(server, { connectLimitMs: 300 });
    expect(result).toEqual({ kind: "failed", failure: { class: "timeout" }, written: false });
  });

  it("headers of a megabyte are not taken", async () => {
    const server = await startRaw((socket) => {
      socket.write("HTTP/1.1 201 Created\r\n");
      flood(socket, `X-${"a".repeat(900)}: b\r\n`);
    });
    expect(await askAt(server)).toMatchObject({ kind: "failed", written: true });
  });

  it.each([
    ["expired", "CERT_HAS_EXPIRED"],
    ["wrong-host", "ERR_TLS_CERT_ALTNAME_INVALID"],
  ] as const)("a certificate that is %s is not taken", async (certificate, detail) => {
    const server = await listen(
      createHttpsServer(testCertificate(certificate), (_req, res) => void res.end()),
    );
    servers.push(server);
    expect(await askAt(server)).toEqual({
      kind: "failed",
      failure: { class: "tls", detail },
      written: false,
    });
  });

  it("an abort ends a request at once", async () => {
    const server = await startRaw(() => {});
    const http = client({ allow: ["127.0.0.1/32"], resolver: scripted(() => ["127.0.0.1"]) });
    const endpoint = parseEndpoint(`https://localhost:${server.port}/push`);
    if (endpoint === undefined) throw new Error("no endpoint");
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 100);
    const startedMs = performance.now();
    const result = await http.open(endpoint).send({ url: endpoint.url, headers: {}, body }, abort.signal);
    expect(result.kind).toBe("failed");
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });

  it("a kept connection that has gone stale costs another connection, not the push", async () => {
    let answered = 0;
    const server = await startServer((req, res) => {
      answered += 1;
      req.resume();
      res.writeHead(201).end();
      // Closed in the moment in which the next request is on its way.
      res.on("finish", () =>
        (req.socket as Socket & { wasUsed?: boolean }).once("data", () => req.socket.destroy()),
      );
    });
    const http = client({ allow: ["127.0.0.1/32"], resolver: scripted(() => ["127.0.0.1"]) });
    const endpoint = parseEndpoint(`https://localhost:${server.port}/push`);
    if (endpoint === undefined) throw new Error("no endpoint");
    const origin = http.open(endpoint);
    for (let i = 0; i < 3; i += 1) {
      const result = await origin.send({ url: endpoint.url, headers: {}, body }, patient);
      expect(result).toMatchObject({ kind: "response", status: 201 });
    }
    expect(answered).toBeGreaterThanOrEqual(3);
    expect(server.sockets.length).toBeGreaterThan(1);
    origin.destroy();
  });

  it("the second address is tried soon when the first is a black hole", async () => {
    const server = await startServer((_req, res) => void res.writeHead(201).end());
    // 240.0.0.1 leads nowhere; it is listed so that the guard lets it be tried.
    const resolver = scripted(() => ["240.0.0.1", "127.0.0.1"]);
    const startedMs = performance.now();
    const result = await askAt(server, { resolver, guard: new AddressGuard(["0.0.0.0/0"], () => []) });
    expect(result).toMatchObject({ kind: "response", status: 201 });
    expect(performance.now() - startedMs).toBeLessThan(1_500);
  });
});
