import { readFileSync } from "node:fs";
import { get as getPlain } from "node:http";
import { get as getSecure } from "node:https";
import { connect } from "node:net";
import { systemClock } from "../../src/clock.ts";
import type { Settled } from "../../src/core/outcome.ts";
import { silentHttpObserver } from "../../src/http/observer.ts";
import { createHttpServer, type HttpServerOptions } from "../../src/http/server.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import {
  bodyOf,
  eventually,
  notifyPath,
  notifyRequest,
  oneDevice,
  rawCaller,
  startListener,
  type Listener,
} from "./listener.ts";

let listener: Listener;
const quick: Partial<HttpServerOptions> = {
  timeouts: { headersMs: 200, requestMs: 400, checkEveryMs: 20 },
};

async function start(...options: Parameters<typeof startListener>): Promise<void> {
  listener = await startListener(...options);
}

afterEach(async () => {
  await listener?.server.stop(0);
});

/** Status and errcode of the last answer in a raw text. */
function answerIn(text: string): [number, unknown] {
  expect(text).toContain("Content-Type: application/json\r\n");
  const body = bodyOf(text);
  expect(text).toContain(`Content-Length: ${Buffer.byteLength(body)}\r\n`);
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1]);
  return [status, (JSON.parse(body) as { errcode: unknown }).errcode];
}

describe("slow callers", () => {
  it.each([
    ["half a header", "POST /_matrix HTTP/1.1\r\nHost"],
    ["no byte at all", ""],
  ])("%s is 408 and closed (H01)", async (_title, begun) => {
    await start({}, quick);
    const caller = await rawCaller(listener.port);
    caller.socket.write(begun);
    expect(answerIn(await caller.closed())).toEqual([408, "M_UNKNOWN"]);
    expect(listener.heard.unreadables).toEqual([408]);
  });

  it.each([
    ["with a length", "Content-Length: 100\r\n\r\n{"],
    ["with a great length", "Content-Length: 500000\r\n\r\n{"],
    ["chunked", "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"],
  ])("12: a body %s that never finishes is 408 and closed (H02)", async (_title, rest) => {
    await start({}, quick);
    const caller = await rawCaller(listener.port);
    const startedMs = performance.now();
    caller.socket.write(`POST ${notifyPath} HTTP/1.1\r\nHost: x\r\n${rest}`);
    expect(answerIn(await caller.closed())).toEqual([408, "M_UNKNOWN"]);
    expect(performance.now() - startedMs).toBeLessThan(4000);
    await eventually(() => listener.heard.accesses.length === 1 && listener.heard.answers.length === 1);
    expect(listener.heard.accesses[0]).toMatchObject({ status: 408, path: notifyPath });
    expect(listener.heard.answers).toMatchObject([{ status: 408, dispatched: false }]);
    expect(listener.heard.inFlightNow).toBe(0);
  });

  it("an idle connection outlives both timeouts and takes another request", async () => {
    await start({}, quick);
    const caller = await rawCaller(listener.port);
    caller.socket.write(notifyRequest(oneDevice));
    await caller.until((text) => text.includes("rejected"));
    expect(caller.text()).toContain("Keep-Alive: timeout=130");
    await new Promise((resolve) => setTimeout(resolve, 700));
    caller.socket.write(notifyRequest(oneDevice));
    expect(await caller.until((text) => text.split("rejected").length === 3)).toMatch(/rejected.*rejected/s);
    caller.socket.destroy();
  });

  it("a long answer is no slow request", async () => {
    await start({}, quick);
    listener.dispatcher.settle = async () => {
      await new Promise((resolve) => setTimeout(resolve, 700));
      return { kind: "delivered" };
    };
    const caller = await rawCaller(listener.port);
    caller.socket.write(notifyRequest(oneDevice, ["Connection: close"]));
    expect(await caller.closed()).toContain('{"rejected":[]}');
  });
});

describe("large bodies", () => {
  const padded = (bytes: number): string => oneDevice + " ".repeat(bytes - oneDevice.length);

  it("524,288 bytes are served, however they come", async () => {
    await start();
    const caller = await rawCaller(listener.port);
    caller.socket.write(notifyRequest(padded(524_288)));
    await caller.until((text) => text.includes("rejected"));
    caller.socket.write(
      `POST ${notifyPath} HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`,
    );
    caller.socket.write(`80000\r\n${padded(524_288)}\r\n0\r\n\r\n`);
    expect((await caller.closed()).split("rejected")).toHaveLength(3);
  });

  it("11: one byte more is 413, unread, and the caller can read so", async () => {
    await start();
    const caller = await rawCaller(listener.port);
    caller.socket.write(notifyRequest(padded(524_289)));
    const text = await caller.closed();
    expect(answerIn(text)).toEqual([413, "M_TOO_LARGE"]);
    expect(text).toContain("Connection: close");
    expect(listener.dispatcher.calls).toEqual([]);
  });

  it("11: a great length is refused before a byte of it has come, 100-continue or not", async () => {
    await start();
    for (const expectation of ["", "Expect: 100-continue\r\n"]) {
      const caller = await rawCaller(listener.port);
      caller.socket.write(`POST ${notifyPath} HTTP/1.1\r\n${expectation}Content-Length: 1000000000\r\n\r\n`);
      const text = await caller.until((so) => so.includes("M_TOO_LARGE"));
      expect(answerIn(text)).toEqual([413, "M_TOO_LARGE"]);
      expect(text).not.toContain("100 Continue");
      caller.socket.destroy();
    }
  });

  it("11: chunks without end are cut at the limit, with an answer and without memory", async () => {
    await start();
    const caller = await rawCaller(listener.port);
    caller.socket.write(`POST ${notifyPath} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n`);
    const chunk = `10000\r\n${" ".repeat(65_536)}\r\n`;
    let sent = 0;
    const pump = (): void => {
      while (!caller.socket.destroyed && caller.socket.write(chunk)) sent += 65_536;
    };
    caller.socket.on("drain", pump);
    pump();
    const text = await caller.until((so) => so.includes("M_TOO_LARGE"));
    expect(answerIn(text)).toEqual([413, "M_TOO_LARGE"]);
    await caller.closed();
    expect(sent).toBeLessThan(64 * 1024 * 1024);
    await eventually(() => listener.heard.accesses.length === 1);
    expect(listener.heard.accesses[0]).toMatchObject({ status: 413 });
  });

  it("100-continue is given to a body that is wanted", async () => {
    await start();
    const caller = await rawCaller(listener.port);
    const [head = "", body = ""] = notifyRequest(oneDevice, [
      "Expect: 100-continue",
      "Connection: close",
    ]).split("\r\n\r\n");
    caller.socket.write(`${head}\r\n\r\n`);
    await caller.until((text) => text.includes("100 Continue"));
    caller.socket.write(body);
    expect(await caller.closed()).toContain('{"rejected":[]}');
  });

  it("an expectation that nobody knows changes nothing", async () => {
    await start();
    const caller = await rawCaller(listener.port);
    caller.socket.write(notifyRequest(oneDevice, ["Expect: tea", "Connection: close"]));
    expect(await caller.closed()).toContain('{"rejected":[]}');
  });

  it("a small body that nobody reads leaves the connection usable, a great one does not", async () => {
    await start();
    const caller = await rawCaller(listener.port);
    caller.socket.write("POST /nowhere HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
    await caller.until((text) => text.includes("M_UNRECOGNIZED"));
    caller.socket.write(`POST /nowhere HTTP/1.1\r\nContent-Length: 200000\r\n\r\n${"x".repeat(200_000)}`);
    const text = await caller.closed();
    expect(text.split("M_UNRECOGNIZED")).toHaveLength(3);
    expect(text).toContain("Connection: close");
  });
});

describe("broken requests", () => {
  it.each([
    ["no HTTP", "hello\r\n\r\n", 400],
    ["a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
    ["HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
    ["two lengths", `POST ${notifyPath} HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n`, 400],
    [
      "a length and chunks",
      `POST ${notifyPath} HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`,
      400,
    ],
    ["a length that is none", `POST ${notifyPath} HTTP/1.1\r\nContent-Length: -1\r\n\r\n`, 400],
    ["a header with a space before the colon", `POST ${notifyPath} HTTP/1.1\r\nA : b\r\n\r\n`, 400],
    ["64 KiB of header", `POST ${notifyPath} HTTP/1.1\r\nX: ${"x".repeat(65_536)}\r\n\r\n`, 431],
    ["a URL of 32 KiB", `GET /${"x".repeat(32_768)} HTTP/1.1\r\n\r\n`, 431],
    ["2,000 headers", `GET /health HTTP/1.1\r\n${"a:b\r\n".repeat(2000)}Connection: close\r\n\r\n`, 431],
    ["CONNECT", "CONNECT internal.example:443 HTTP/1.1\r\nHost: x\r\n\r\n", 405],
  ])("%s is refused in JSON and closed (H11)", async (_title, sent, status) => {
    await start();
    const caller = await rawCaller(listener.port);
    caller.socket.write(sent, "latin1");
    const text = await caller.closed();
    const [got, errcode] = answerIn(text);
    expect(got).toBe(status);
    expect(errcode).toMatch(/^M_/);
    expect(text).toContain("Connection: close\r\n");
  });

  it("500 headers are served", async () => {
    await start();
    const caller = await rawCaller(listener.port);
    caller.socket.write(`GET /health HTTP/1.1\r\n${"a:b\r\n".repeat(499)}Connection: close\r\n\r\n`);
    expect(await caller.closed()).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("a broken chunk is 400, logged as a request", async () => {
    await start();
    const caller = await rawCaller(listener.port);
    caller.socket.write(`POST ${notifyPath} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`);
    expect(answerIn(await caller.closed())).toEqual([400, "M_UNKNOWN"]);
    await eventually(() => listener.heard.accesses.length === 1);
    expect(listener.heard.accesses[0]).toMatchObject({ status: 400, path: notifyPath });
  });

  it("rubbish after a good request does not become its answer", async () => {
    await start();
    let finish: (settled: Settled) => void = () => {};
    listener.dispatcher.settle = () => new Promise((resolve) => (finish = resolve));
    const caller = await rawCaller(listener.port);
    caller.socket.write(`${notifyRequest(oneDevice)}rubbish\r\n\r\n`);
    await eventually(() => listener.dispatcher.calls.length === 1);
    caller.socket.write("more rubbish\r\n");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(caller.text()).toBe("");
    finish({ kind: "delivered" });
    const text = await caller.closed();
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(bodyOf(text)).toBe('{"rejected":[]}');
  });

  it("an Upgrade is not taken up", async () => {
    await start();
    const caller = await rawCaller(listener.port);
    caller.socket.write(
      notifyRequest(oneDevice, ["Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings, close"]),
    );
    expect(await caller.until((text) => text.includes("rejected"))).toMatch(/^HTTP\/1\.1 200 /);
    caller.socket.destroy();
  });

  it.each(["*", "http://[::1", "http://", "xyz://a/b", "//[", "/\\..\\x", "/#x", "http://x\u007f/"])(
    "the target %j is no 5xx",
    async (target) => {
      await start();
      const caller = await rawCaller(listener.port);
      caller.socket.write(`OPTIONS ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, "latin1");
      const text = await caller.closed();
      expect(text).toMatch(/^HTTP\/1\.1 4\d\d /);
      expect(answerIn(text)[1]).toMatch(/^M_/);
    },
  );

  it("pipelined requests are answered in their order", async () => {
    await start();
    const caller = await rawCaller(listener.port);
    caller.socket.write(
      notifyRequest(oneDevice) + notifyRequest("[]") + notifyRequest(oneDevice, ["Connection: close"]),
    );
    const text = await caller.closed();
    expect([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1])).toEqual(["200", "400", "200"]);
  });
});

describe("connections", () => {
  it("more than the most are closed at once, the others are served (H03)", async () => {
    await start({}, { maxConnections: 2 });
    const first = await rawCaller(listener.port);
    const second = await rawCaller(listener.port);
    const third = await rawCaller(listener.port);
    expect(await third.closed()).toBe("");
    second.socket.destroy();
    first.socket.write(notifyRequest(oneDevice, ["Connection: close"]));
    expect(await first.closed()).toContain("rejected");
  });

  it("a caller that resets in the middle leaves no trace", async () => {
    await start();
    const caller = await rawCaller(listener.port);
    caller.socket.write(`POST ${notifyPath} HTTP/1.1\r\nContent-Length: 100\r\n\r\n{`);
    await eventually(() => listener.heard.inFlightNow === 1);
    caller.socket.resetAndDestroy();
    await eventually(() => listener.heard.inFlightNow === 0 && listener.heard.accesses.length === 1);
    expect(listener.heard.accesses[0]).toMatchObject({ status: 499 });
    expect(listener.heard.answers).toEqual([]);
  });
});

/** Asks for more than the kernel's buffers hold, and reads none of it. */
async function deafCaller(): Promise<Awaited<ReturnType<typeof rawCaller>>> {
  listener.dispatcher.settle = () => ({ kind: "rejected", reason: "unregistered" });
  const devices = Array.from({ length: 100 }, (_, i) => ({ app_id: "a", pushkey: `${i}`.padEnd(4000, "k") }));
  const caller = await rawCaller(listener.port);
  caller.socket.pause();
  const body = JSON.stringify({ notification: { devices } });
  // Until one answer no longer leaves: its headers are written, its end waits for the caller.
  for (let sent = 1; listener.heard.accesses.length === sent - 1; sent += 1) {
    expect(sent).toBeLessThan(60);
    caller.socket.write(notifyRequest(body));
    await eventually(() => listener.heard.answers.length === sent);
    await eventually(() => listener.heard.accesses.length === sent, 200).catch(() => undefined);
    if (listener.heard.accesses.length < sent) break;
  }
  return caller;
}

describe("a caller that does not read its answers (H04)", () => {
  it("is cut after 10 s, and nothing of it is kept", async () => {
    const clock = createFakeClock();
    await start({ clock });
    await deafCaller();
    await clock.advance(9999);
    const answers = listener.heard.accesses.length;
    await clock.advance(1);
    await eventually(() => listener.heard.accesses.length > answers);
    await listener.server.stop(60_000);
    await eventually(() => listener.heard.accesses.length === listener.dispatcher.calls.length);
  });

  it("is cut by silence, whatever it waits for", async () => {
    await start({ clock: createFakeClock() }, { timeouts: { silentMs: 300 } });
    await deafCaller();
    await listener.server.stop(60_000);
    await eventually(() => listener.heard.accesses.length === listener.dispatcher.calls.length);
  });

  it("gets all of them when it reads in time, also while the server stops, which then ends", async () => {
    await start();
    const caller = await deafCaller();
    const stopped = listener.server.stop(60_000);
    caller.socket.resume();
    const text = await caller.closed();
    expect(text.split('k"]}').length - 1).toBe(listener.dispatcher.calls.length);
    await stopped;
  });
});

describe("listening", () => {
  const handler = createHttpServer;
  const options: HttpServerOptions = {
    handler: (_req, res) => res.end("ok"),
    clock: systemClock,
    observer: silentHttpObserver,
  };

  it("serves several addresses, both wildcards on one port among them", async () => {
    const server = handler(options);
    const [first] = await server.listen([{ address: "0.0.0.0", port: 0 }]);
    const port = first?.port ?? 0;
    await server.stop(0);
    const both = handler(options);
    const bound = await both.listen([
      { address: "0.0.0.0", port },
      { address: "::", port },
    ]);
    expect(bound.map((one) => one.family)).toEqual(["IPv4", "IPv6"]);
    for (const host of ["127.0.0.1", "::1"]) {
      const status = await new Promise((resolve, reject) => {
        getPlain({ host, port, agent: false }, (res) => resolve(res.resume().statusCode)).on("error", reject);
      });
      expect(status).toBe(200);
    }
    await both.stop(0);
  });

  it("an address in use leaves none listening", async () => {
    await start();
    const server = handler(options);
    const [free] = await server.listen([{ address: "127.0.0.1", port: 0 }]);
    await server.stop(0);
    const clashing = [free?.port ?? 0, listener.port].map((port) => ({ address: "127.0.0.1", port }));
    await expect(handler(options).listen(clashing)).rejects.toMatchObject({ code: "EADDRINUSE" });
    const refused = await new Promise<string | undefined>((resolve) => {
      const socket = connect({ port: free?.port ?? 0, host: "127.0.0.1" });
      socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code));
      socket.on("connect", () => resolve("connected"));
    });
    expect(refused).toBe("ECONNREFUSED");
  });

  it("serves HTTPS, takes another certificate, and refuses plain HTTP on it", async () => {
    const folder = new URL("../support/tls/", import.meta.url);
    const pem = (name: string): string => readFileSync(new URL(name, folder), "utf8");
    const identity = (name: string) => ({ cert: pem(`${name}.pem`), key: pem(`${name}-key.pem`) });
    const server = handler({ ...options, tls: identity("localhost") });
    const [bound] = await server.listen([{ address: "127.0.0.1", port: 0 }]);
    const port = bound?.port ?? 0;
    const ask = (): Promise<unknown> =>
      new Promise((resolve) => {
        const host = "localhost";
        const opts = { host: "127.0.0.1", servername: host, port, ca: pem("ca.pem"), agent: false as const };
        getSecure(opts, (res) => resolve(res.resume().statusCode)).on(
          "error",
          (error: NodeJS.ErrnoException) => resolve(error.code),
        );
      });
    expect(await ask()).toBe(200);
    expect(() => server.setTls({ cert: pem("localhost.pem"), key: pem("wrong-host-key.pem") })).toThrow();
    expect(await ask()).toBe(200);
    server.setTls(identity("wrong-host"));
    expect(await ask()).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
    const caller = await rawCaller(port);
    caller.socket.write("GET /health HTTP/1.1\r\n\r\n");
    expect(await caller.closed()).not.toContain("HTTP/1.1 200");
    await server.stop(0);
  });

  it("setHandler changes who answers the next request", async () => {
    await start();
    const caller = await rawCaller(listener.port);
    caller.socket.write("GET /health HTTP/1.1\r\n\r\n");
    await caller.until((text) => text.includes("200 OK"));
    listener.server.setHandler((_req, res) => res.writeHead(204).end());
    caller.socket.write("GET /health HTTP/1.1\r\nConnection: close\r\n\r\n");
    expect(await caller.closed()).toContain("204 No Content");
  });
});

describe("stopping", () => {
  it("69: idle connections end, what is under way is answered with Connection: close, new ones are refused", async () => {
    await start();
    let finish: (settled: Settled) => void = () => {};
    const idle = await rawCaller(listener.port);
    idle.socket.write(notifyRequest(oneDevice));
    await idle.until((text) => text.includes("rejected"));
    listener.dispatcher.settle = () => new Promise((resolve) => (finish = resolve));
    const busy = await rawCaller(listener.port);
    busy.socket.write(notifyRequest(oneDevice));
    await eventually(() => listener.dispatcher.calls.length === 2);

    let isStopped = false;
    const stopped = listener.server.stop(10_000).then(() => (isStopped = true));
    await idle.closed();
    expect(isStopped).toBe(false);
    const late = connect({ port: listener.port, host: "127.0.0.1" });
    const code = await new Promise((resolve) =>
      late.on("error", (error: NodeJS.ErrnoException) => resolve(error.code)),
    );
    expect(code).toBe("ECONNREFUSED");
    finish({ kind: "delivered" });
    const text = await busy.closed();
    expect(text).toContain("Connection: close\r\n");
    expect(bodyOf(text)).toBe('{"rejected":[]}');
    await stopped;
  });

  it("a request that was begun is read and answered", async () => {
    await start();
    const caller = await rawCaller(listener.port);
    const whole = notifyRequest(oneDevice);
    caller.socket.write(whole.slice(0, 40));
    await new Promise((resolve) => setTimeout(resolve, 30));
    const stopped = listener.server.stop(10_000);
    await new Promise((resolve) => setTimeout(resolve, 30));
    caller.socket.write(whole.slice(40));
    expect(await caller.closed()).toContain('{"rejected":[]}');
    await stopped;
  });

  it("a request sent on an idle connection just before the stop is answered", async () => {
    await start();
    for (let round = 0; round < 3; round += 1) {
      const caller = await rawCaller(listener.port);
      caller.socket.write(notifyRequest(oneDevice));
      await caller.until((text) => text.includes("rejected"));
      caller.socket.write(notifyRequest(oneDevice));
      const stopped = listener.server.stop(10_000);
      expect((await caller.closed()).split("rejected")).toHaveLength(3);
      await stopped;
      listener = await startListener();
    }
  });

  it("what does not end in time is cut", async () => {
    await start();
    listener.dispatcher.settle = () => new Promise(() => {});
    const caller = await rawCaller(listener.port);
    caller.socket.write(notifyRequest(oneDevice));
    await eventually(() => listener.dispatcher.calls.length === 1);
    await listener.server.stop(50);
    expect(await caller.closed()).toBe("");
    await eventually(() => listener.dispatcher.calls[0]?.options.callerGone.aborted === true);
  });

  it("while draining everything is served, and every answer closes its connection", async () => {
    await start();
    const caller = await rawCaller(listener.port);
    listener.server.drain();
    caller.socket.write(notifyRequest(oneDevice));
    const text = await caller.closed();
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text).toContain("Connection: close");
  });
});
