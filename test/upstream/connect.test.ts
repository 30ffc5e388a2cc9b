import { createServer as createHttpServer, type IncomingMessage } from "node:http";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import tls from "node:tls";
import { systemClock } from "../../src/clock.ts";
import { createConnector, type Connected, type ConnectOptions } from "../../src/upstream/connect.ts";
import { openTunnel, proxyPlace } from "../../src/upstream/proxy-tunnel.ts";
import {
  listen,
  reply,
  startHttp2Upstream,
  testCa,
  testCertificate,
  type Listening,
} from "../support/upstream-server.ts";
import { closeAll, keep, numbered, patient, startPool, until } from "./pool-fixture.ts";

afterEach(closeAll);

function connectTo(origin: URL, options: Partial<ConnectOptions> = {}, signal = patient): Promise<Connected> {
  return createConnector({ origin, tls: { ca: testCa }, timeoutMs: 2000, clock: systemClock, ...options })(
    signal,
  );
}

async function failureOf(connecting: Promise<Connected>): Promise<unknown> {
  const connected = await connecting;
  if (!connected.ok) return connected.failure;
  connected.socket.destroy();
  return "connected";
}

async function startTls(options: tls.TlsOptions): Promise<Listening & { plain: Buffer[] }> {
  const plain: Buffer[] = [];
  const server = tls.createServer({ ...testCertificate("localhost"), ...options }, (socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => plain.push(chunk));
  });
  return keep({ ...(await listen(server)), plain });
}

describe("a TLS connection", () => {
  it("speaks TLS 1.3 and h2 to a host that proves its name", async () => {
    const upstream = keep(await startHttp2Upstream((request) => reply(request)));
    const connected = await connectTo(upstream.origin);
    expect(connected.ok).toBe(true);
    if (!connected.ok) return;
    expect(connected.socket.alpnProtocol).toBe("h2");
    expect(connected.socket.getProtocol()).toBe("TLSv1.3");
    expect(connected.socket.authorized).toBe(true);
    connected.socket.destroy();
  });

  it("to an address checks the certificate for that address", async () => {
    const upstream = keep(await startHttp2Upstream((request) => reply(request)));
    const byAddress = (server: Listening): URL => new URL(`https://127.0.0.1:${server.port}`);
    expect(await failureOf(connectTo(byAddress(upstream)))).toBe("connected");
    const other = await startTls({ ...testCertificate("wrong-host"), ALPNProtocols: ["h2"] });
    expect(await failureOf(connectTo(byAddress(other)))).toEqual({
      class: "tls",
      detail: "ERR_TLS_CERT_ALTNAME_INVALID",
    });
  });

  it("is refused when the authority is not trusted, even if the environment says not to look", async () => {
    const upstream = keep(await startHttp2Upstream((request) => reply(request)));
    const before = process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
    try {
      expect(await failureOf(connectTo(upstream.origin, { tls: {} }))).toMatchObject({ class: "tls" });
    } finally {
      if (before === undefined) delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
      else process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = before;
    }
  });

  it.each([
    ["expired", "CERT_HAS_EXPIRED"],
    ["wrong-host", "ERR_TLS_CERT_ALTNAME_INVALID"],
  ] as const)("is refused when the certificate is %s", async (name, detail) => {
    const server = await startTls({ ...testCertificate(name), ALPNProtocols: ["h2"] });
    expect(await failureOf(connectTo(server.origin))).toEqual({ class: "tls", detail });
    expect(server.plain).toEqual([]);
  });

  it("is refused when the peer knows nothing newer than TLS 1.1", async () => {
    const server = await startTls({
      ALPNProtocols: ["h2"],
      minVersion: "TLSv1",
      maxVersion: "TLSv1.1",
      ciphers: "DEFAULT@SECLEVEL=0",
    });
    expect(await failureOf(connectTo(server.origin))).toMatchObject({ class: "tls" });
  });

  it.each([
    ["offers http/1.1 alone", ["http/1.1"]],
    ["knows no ALPN", undefined],
  ])("is refused as no-h2 when the peer %s", async (_, ALPNProtocols) => {
    const server = await startTls(ALPNProtocols === undefined ? {} : { ALPNProtocols });
    expect(await failureOf(connectTo(server.origin))).toMatchObject({ class: "no-h2" });
    expect(server.plain).toEqual([]);
  });

  it("cut in the handshake is class tls", async () => {
    const server = keep(
      await listen(createServer((socket) => socket.once("data", () => socket.resetAndDestroy()))),
    );
    expect(await failureOf(connectTo(server.origin))).toEqual({ class: "tls", detail: "ECONNRESET" });
  });

  it("shows the client certificate it was given", async () => {
    let subject: unknown;
    const server = keep(
      await listen(
        tls.createServer(
          { ...testCertificate("localhost"), ALPNProtocols: ["h2"], requestCert: true, ca: testCa },
          (socket) => {
            socket.on("error", () => {});
            subject = socket.getPeerCertificate().subject?.CN;
          },
        ),
      ),
    );
    const certificate = testCertificate("wrong-host");
    const connected = await connectTo(server.origin, { tls: { ca: testCa, ...certificate } });
    expect(connected.ok).toBe(true);
    await until(() => subject !== undefined);
    if (connected.ok) connected.socket.destroy();
    expect(subject).toBe("wrong-host.test");
  });

  it("with a key that is none is a failure and not a throw", async () => {
    const connecting = connectTo(new URL("https://localhost:1"), { tls: { cert: "no", key: "no" } });
    expect(await failureOf(connecting)).toMatchObject({ class: "tls" });
  });

  it("that is refused, or has no name, says so", async () => {
    const server = await listen(createServer());
    await server.close();
    expect(await failureOf(connectTo(server.origin))).toEqual({ class: "refused", detail: "ECONNREFUSED" });
    expect(await failureOf(connectTo(new URL("https://no-such-host.invalid")))).toMatchObject({
      class: "dns",
    });
  });

  it("to a silent peer ends at the time limit, and when its caller gives up", async () => {
    const server = keep(await listen(createServer((socket) => void socket.resume())));
    expect(await failureOf(connectTo(server.origin, { timeoutMs: 100 }))).toEqual({ class: "timeout" });
    const caller = new AbortController();
    const connecting = failureOf(connectTo(server.origin, {}, caller.signal));
    await until(() => server.sockets.length === 2);
    caller.abort();
    expect(await connecting).not.toBe("connected");
    await until(() => server.sockets.every((socket) => socket.destroyed));
  });
});

type ProxyAnswer = (asked: IncomingMessage, client: Socket, head: Buffer) => void;

/** A forward proxy; `answer` may be swapped while it runs. */
async function startProxy(): Promise<
  Listening & { asked: IncomingMessage[]; answer: ProxyAnswer; url: URL }
> {
  const server = createHttpServer();
  const listening = keep(await listen(server));
  const proxy = {
    ...listening,
    asked: [] as IncomingMessage[],
    answer: tunnelling("HTTP/1.1 200 Connection established\r\n\r\n"),
    url: new URL(`http://127.0.0.1:${listening.port}`),
  };
  server.on("connect", (asked: IncomingMessage, client: Socket, head: Buffer) => {
    proxy.asked.push(asked);
    client.on("error", () => {});
    client.on("end", () => client.end()); // An http server keeps half-open sockets.
    proxy.answer(asked, client, head);
  });
  return proxy;
}

/** Answers with these bytes and relays. */
function tunnelling(answer: string): ProxyAnswer {
  return (asked, client) => {
    const target = connectTcp(Number(asked.url?.split(":").at(-1)), "127.0.0.1", () => {
      client.write(answer);
      client.pipe(target).pipe(client);
    });
    target.on("error", () => client.destroy());
    client.on("close", () => target.destroy());
  };
}

describe("a connection through a forward proxy", () => {
  it("asks with CONNECT, and TLS is to the target", async () => {
    const upstream = keep(await startHttp2Upstream((request) => reply(request)));
    const proxy = await startProxy();
    const pool = startPool(upstream.origin, { proxy: proxy.url });
    expect(await pool.request(numbered(0), patient)).toMatchObject({ kind: "response", status: 200 });
    const asked = proxy.asked[0];
    expect(asked?.url).toBe(`localhost:${upstream.port}`);
    expect(asked?.httpVersion).toBe("1.1");
    expect(asked?.headers.host).toBe(`localhost:${upstream.port}`);
    expect(asked?.headers["proxy-authorization"]).toBeUndefined();
    await pool.close(patient);
    await until(() => proxy.sockets.every((socket) => socket.destroyed));
  });

  it("sends credentials percent-decoded and in standard base64", async () => {
    const upstream = keep(await startHttp2Upstream((request) => reply(request)));
    const proxy = await startProxy();
    const url = new URL(proxy.url);
    url.username = "jos%C3%A9";
    url.password = "p%3Ass%20%3F%3E~%FF";
    expect(await failureOf(connectTo(upstream.origin, { proxy: url }))).toBe("connected");
    const expected = Buffer.from("josé:p%3Ass%20%3F%3E~%FF").toString("base64");
    expect(proxy.asked[0]?.headers["proxy-authorization"]).toBe(`Basic ${expected}`);
    url.password = "p%3Ass%20%3F%3E~";
    expect(await failureOf(connectTo(upstream.origin, { proxy: url }))).toBe("connected");
    const sent = String(proxy.asked[1]?.headers["proxy-authorization"]).replace("Basic ", "");
    expect(Buffer.from(sent, "base64").toString()).toBe("josé:p:ss ?>~");
    expect(sent).toMatch(/^[A-Za-z0-9+/]+=*$/);
  });

  it.each([
    ["port 80 when it names none", "http://proxy.example", 80],
    ["the port that it names", "http://proxy.example:3128/", 3128],
    ["IPv6", "http://[2001:db8::1]", 80],
  ])("finds the proxy at %s", (_what, url, port) => {
    expect(proxyPlace(new URL(url))).toEqual({ host: new URL(url).hostname.replace(/^\[|\]$/g, ""), port });
  });

  it("sends a user without a password as it is written", async () => {
    const proxy = await startProxy();
    proxy.answer = (_asked, client) => client.end("HTTP/1.1 403 No\r\n\r\n");
    const url = new URL(proxy.url);
    url.username = "token-1";
    await failureOf(connectTo(new URL("https://localhost:9"), { proxy: url }));
    const expected = Buffer.from("token-1:").toString("base64");
    expect(proxy.asked[0]?.headers["proxy-authorization"]).toBe(`Basic ${expected}`);
  });

  it.each(["HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.0 200 OK\r\nVia: x\r\n\r\n"])(
    "takes any 2xx: %j",
    async (answer) => {
      const upstream = keep(await startHttp2Upstream((request) => reply(request)));
      const proxy = await startProxy();
      proxy.answer = tunnelling(answer);
      expect(await failureOf(connectTo(upstream.origin, { proxy: proxy.url }))).toBe("connected");
    },
  );

  it.each([407, 503, 302])("that answers %i is class proxy with that status", async (status) => {
    const proxy = await startProxy();
    proxy.answer = (_, client) => client.end(`HTTP/1.1 ${status} No\r\nContent-Length: 5\r\n\r\nsorry`);
    const pool = startPool(new URL("https://localhost:9"), { proxy: proxy.url });
    expect(await pool.request(numbered(0), patient)).toMatchObject({
      kind: "unsent",
      reason: "proxy",
      status,
    });
    await until(() => proxy.sockets.every((socket) => socket.destroyed));
  });

  it.each([
    ["closes without an answer", (client: Socket) => void client.destroy()],
    ["answers no HTTP", (client: Socket) => void client.end("220 mail.example ready\r\n")],
    [
      "answers with a head without end",
      (client: Socket) => void client.write(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(20_000)}`),
    ],
  ])("that %s fails", async (_, misbehave) => {
    const proxy = await startProxy();
    proxy.answer = (_asked, client) => misbehave(client.resume());
    const failure = await failureOf(
      connectTo(new URL("https://localhost:9"), { proxy: proxy.url, timeoutMs: 1500 }),
    );
    expect(failure).toMatchObject({ class: "proxy" });
    expect(failure).not.toMatchObject({ detail: "timeout" });
    await until(() => proxy.sockets.every((socket) => socket.destroyed));
  });

  it("that cannot be reached is class proxy", async () => {
    const gone = await listen(createServer());
    await gone.close();
    const proxy = new URL(`http://127.0.0.1:${gone.port}`);
    expect(await failureOf(connectTo(new URL("https://localhost:9"), { proxy }))).toEqual({
      class: "proxy",
      detail: "ECONNREFUSED",
    });
  });

  it("that stalls ends at the time limit, holds nobody up, and works again when it works again", async () => {
    const upstream = keep(await startHttp2Upstream((request) => reply(request)));
    const proxy = await startProxy();
    const relaying = proxy.answer;
    proxy.answer = () => {};
    const pool = startPool(upstream.origin, {
      proxy: proxy.url,
      connectTimeoutMs: 300,
      connectBackoff: { minMs: 10, maxMs: 100, outageMaxMs: 100 },
    });
    const started = performance.now();
    expect(await pool.request(numbered(0), patient)).toMatchObject({ kind: "unsent" });
    expect(performance.now() - started).toBeLessThan(1000);
    proxy.answer = relaying;
    let answered = false;
    await until(() => {
      void pool.request(numbered(1), patient).then((result) => (answered ||= result.kind === "response"));
      return answered;
    });
    expect(upstream.sessions.length).toBe(1);
  });

  it("passes on what follows the proxy's answer in the same segment", async () => {
    const proxy = await startProxy();
    proxy.answer = (_, client) => client.end("HTTP/1.1 200 OK\r\n\r\n\u0016\u0003first bytes");
    const tunnel = await openTunnel(proxy.url, "localhost", 9, patient);
    expect(tunnel.ok).toBe(true);
    if (!tunnel.ok) return;
    const chunks: Buffer[] = [];
    for await (const chunk of tunnel.socket) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toBe("\u0016\u0003first bytes");
  });

  it("asks for an IPv6 address in brackets", async () => {
    const proxy = await startProxy();
    proxy.answer = (_, client) => client.end("HTTP/1.1 403 No\r\n\r\n");
    await failureOf(connectTo(new URL("https://[2001:db8::1]:2197"), { proxy: proxy.url }));
    expect(proxy.asked[0]?.url).toBe("[2001:db8::1]:2197");
  });
});
