import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { createServer as createTcpServer, connect, type Server, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { createHttpClient, MAX_ANSWER_BYTES, type HttpResult } from "../../src/upstream/http-client.ts";
import { listen, testCa, testCertificate, type Listening } from "../support/upstream-server.ts";

const servers: Listening[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function start(server: Server): Promise<Listening> {
  const listening = await listen(server);
  servers.push(listening);
  return listening;
}

const https = (
  listener: RequestListener,
  certificate: Parameters<typeof testCertificate>[0] = "localhost",
): Promise<Listening> => start(createHttpsServer(testCertificate(certificate), listener));

const http = createHttpClient({ ca: testCa });
const get = (server: Listening, path = "/"): Promise<HttpResult> =>
  http({ method: "GET", url: `${server.origin.origin}${path}` });

function failureOf(result: HttpResult) {
  if (result.kind !== "failed") throw new Error(`answered ${result.status}`);
  return result.failure;
}

/** Resolves once the server has no connection left. */
async function emptied(server: Listening): Promise<void> {
  await Promise.all(
    server.sockets.map(async (socket) => {
      if (!socket.destroyed) await new Promise((resolve) => socket.once("close", resolve));
    }),
  );
}

describe("a request", () => {
  it("brings method, headers and body, and gets status, headers and body", async () => {
    const server = await https((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += String(chunk)));
      request.on("end", () => {
        const { "content-type": type, "x-a": a } = request.headers;
        response.setHeader("x-b", "2").writeHead(418);
        response.end(JSON.stringify([request.method, request.url, type, a, body]));
      });
    });
    const result = await http({
      method: "POST",
      url: `${server.origin.origin}/a?b=c`,
      headers: { "content-type": "text/plain", "x-a": "1" },
      body: "héllo",
    });
    expect(result).toMatchObject({ kind: "response", status: 418, headers: { "x-b": "2" } });
    expect(result.kind === "response" && JSON.parse(result.body)).toEqual([
      "POST",
      "/a?b=c",
      "text/plain",
      "1",
      "héllo",
    ]);
  });

  it("takes bytes too", async () => {
    const server = await https((request, response) => void request.pipe(response));
    const body = Buffer.from("bytes");
    const result = await http({ method: "POST", url: server.origin.href, body });
    expect(result).toMatchObject({ status: 200, body: "bytes" });
  });

  it.each([301, 302, 303, 307, 308])("follows no %i", async (status) => {
    let asked = 0;
    const server = await https((_request, response) => {
      asked += 1;
      response.writeHead(status, { location: "/elsewhere" }).end("moved");
    });
    expect(await get(server)).toMatchObject({ kind: "response", status, body: "moved" });
    expect(asked).toBe(1);
  });

  it.each([408, 413, 429, 500, 502, 503, 504])("repeats nothing after %i", async (status) => {
    let asked = 0;
    const server = await https((_request, response) => {
      asked += 1;
      response.writeHead(status, { "retry-after": "0" }).end();
    });
    expect(await get(server)).toMatchObject({ kind: "response", status, body: "" });
    expect(asked).toBe(1);
  });

  it("keeps no connection: its server may end at once", async () => {
    const server = await https((_request, response) => response.end("x"));
    await get(server);
    await emptied(server);
  });
});

describe("an answer", () => {
  it("of just the limit is taken", async () => {
    const server = await https((_request, response) => response.end("x".repeat(MAX_ANSWER_BYTES)));
    expect(await get(server)).toMatchObject({ status: 200, body: "x".repeat(MAX_ANSWER_BYTES) });
  });

  it("longer than the limit is cut off, and its connection with it", async () => {
    const server = await https((_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) continue;
      };
      response.on("drain", more);
      more();
    });
    expect(failureOf(await get(server))).toEqual({ class: "other", detail: "answer-too-long" });
    await emptied(server);
  });

  it("that is compressed is not unpacked: no bomb goes off", async () => {
    const bomb = gzipSync(Buffer.alloc(10_000_000));
    const asked: (string | undefined)[] = [];
    const server = await https((request, response) => {
      asked.push(request.headers["accept-encoding"]);
      response.writeHead(200, { "content-encoding": "gzip" }).end(bomb);
    });
    const result = await get(server);
    expect(result).toMatchObject({ kind: "response", status: 200 });
    expect(result.kind === "response" && result.body.length).toBeLessThanOrEqual(bomb.length);
    expect(asked).toEqual([undefined]);
  });
});

describe("no answer", () => {
  it("a server that drips is given up at the deadline, whatever it sends", async () => {
    const server = await https((_request, response) => {
      const drip = setInterval(() => response.write("x"), 20);
      response.on("close", () => clearInterval(drip));
    });
    const impatient = createHttpClient({ ca: testCa, deadlineMs: 300 });
    const startedMs = performance.now();
    const result = await impatient({ method: "GET", url: server.origin.href });
    expect(failureOf(result)).toEqual({ class: "timeout" });
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    await emptied(server);
  });

  it.each<[string, () => Server]>([
    ["never answers", () => createHttpsServer(testCertificate("localhost"), () => {})],
    ["never shakes hands", () => createTcpServer((socket) => socket.resume())],
  ])("a server that %s is given up at the deadline", async (_name, make) => {
    const server = await start(make());
    const impatient = createHttpClient({ ca: testCa, deadlineMs: 200 });
    expect(failureOf(await impatient({ method: "GET", url: server.origin.href }))).toEqual({
      class: "timeout",
    });
    await emptied(server);
  });

  it("nobody there is refused", async () => {
    const server = await https(() => {});
    await servers.pop()?.close();
    expect(failureOf(await get(server))).toEqual({ class: "refused", detail: "ECONNREFUSED" });
  });

  it("a name that is none is dns", async () => {
    const result = await http({ method: "GET", url: "https://nowhere.invalid/" });
    expect(failureOf(result)).toMatchObject({ class: "dns" });
  });

  it.each<[string, string, RequestListener]>([
    ["before the answer", "reset", (request) => void request.socket.destroy()],
    [
      "in the middle of it",
      "reset",
      (_request, response) => void response.write("x", () => response.destroy()),
    ],
    [
      "before it is as long as it said",
      "closed",
      (request, response) => {
        response.writeHead(200, { "content-length": "1000" });
        response.write("x", () => request.socket.destroy());
      },
    ],
  ])("a connection cut %s is %s", async (_name, expected, listener) => {
    expect(failureOf(await get(await https(listener)))).toMatchObject({ class: expected });
  });

  it.each(["expired", "wrong-host"] as const)("a certificate that is %s is tls", async (name) => {
    expect(failureOf(await get(await https(() => {}, name)))).toMatchObject({ class: "tls" });
  });

  it("an authority that is not trusted is tls", async () => {
    const server = await https((_request, response) => response.end());
    const result = await createHttpClient({})({ method: "GET", url: server.origin.href });
    expect(failureOf(result)).toMatchObject({ class: "tls" });
  });

  it("what is no HTTP is a protocol error", async () => {
    const server = await start(
      createTcpServer((socket) => void socket.on("data", () => socket.write("SSH-2.0-x\r\n"))),
    );
    const result = await http({ method: "GET", url: `http://127.0.0.1:${server.port}/` });
    expect(failureOf(result)).toMatchObject({ class: "protocol" });
  });

  it.each([
    ["an address that is none", { url: "not a url" }],
    ["an address of another kind", { url: "ftp://127.0.0.1/" }],
    ["a header that HTTP cannot carry", { url: "https://localhost:1/", headers: { "x-a": "b\r\nc: d" } }],
    ["a header's name that HTTP cannot carry", { url: "https://localhost:1/", headers: { "x a": "b" } }],
  ])("%s is a failure, not a throw", async (_name, request) => {
    expect(failureOf(await http({ method: "GET", ...request })).class).toBe("other");
  });
});

describe("through a forward proxy", () => {
  /** A proxy whose CONNECT is answered by `answer`; undefined connects. */
  async function startProxy(answer?: (client: Socket) => void): Promise<Listening & { targets: string[] }> {
    const targets: string[] = [];
    const server = createHttpServer((_request, response) => response.writeHead(501).end());
    server.on("connect", (request, client: Socket) => {
      client.on("error", () => {});
      targets.push(request.url ?? "");
      // Without reading, nobody notices that the other side has closed; and HTTP servers leave their half open.
      client.on("end", () => client.end());
      if (answer !== undefined) return answer(client.resume());
      const target = connect(Number(request.url?.split(":")[1]), "127.0.0.1", () => {
        client.write("HTTP/1.1 200 OK\r\n\r\n");
        client.pipe(target).pipe(client);
      });
      target.on("error", () => {});
      target.on("close", () => client.destroy());
      client.on("close", () => target.destroy());
    });
    return { ...(await start(server)), targets };
  }

  const through = (proxy: Listening, target: Listening, deadlineMs = 5_000): Promise<HttpResult> =>
    createHttpClient({ ca: testCa, proxy: new URL(`http://127.0.0.1:${proxy.port}`), deadlineMs })({
      method: "GET",
      url: target.origin.href,
    });

  it("TLS is with the target, whose name is checked", async () => {
    const proxy = await startProxy();
    const good = await https((_request, response) => response.end("hello"));
    expect(await through(proxy, good)).toMatchObject({ status: 200, body: "hello" });
    expect(proxy.targets).toEqual([`localhost:${good.port}`]);
    const bad = await https(() => {}, "wrong-host");
    expect(failureOf(await through(proxy, bad))).toEqual({
      class: "tls",
      detail: "ERR_TLS_CERT_ALTNAME_INVALID",
    });
    await emptied(proxy);
  });

  it.each([403, 407, 502])("that answers %i is a failure of the proxy", async (status) => {
    const proxy = await startProxy((client) => client.end(`HTTP/1.1 ${status} No\r\n\r\n`));
    const target = await https(() => {});
    expect(failureOf(await through(proxy, target))).toEqual({ class: "proxy", status });
    expect(target.sockets).toEqual([]);
  });

  it("that hangs up is a failure of the proxy", async () => {
    const proxy = await startProxy((client) => client.destroy());
    expect(failureOf(await through(proxy, await https(() => {})))).toMatchObject({ class: "proxy" });
  });

  it("that is not there is a failure of the proxy", async () => {
    const proxy = await startProxy();
    await servers.pop()?.close();
    expect(failureOf(await through(proxy, await https(() => {})))).toEqual({
      class: "proxy",
      detail: "ECONNREFUSED",
    });
  });

  it("that stalls is given up at the deadline, and its connection with it", async () => {
    const proxy = await startProxy(() => {});
    const startedMs = performance.now();
    expect(failureOf(await through(proxy, await https(() => {}), 200))).toEqual({
      class: "proxy",
      detail: "timeout",
    });
    await emptied(proxy);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });

  it("that gives the tunnel too late leaves nothing open", async () => {
    const late = Promise.withResolvers<Socket>();
    const proxy = await startProxy((client) => late.resolve(client));
    const target = await https(() => {});
    expect(failureOf(await through(proxy, target, 100))).toMatchObject({ class: "proxy" });
    (await late.promise).write("HTTP/1.1 200 OK\r\n\r\n");
    await emptied(proxy);
  });
});
