import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createNetServer } from "node:net";
import type { AddressInfo } from "node:net";
import { runLoad, type LoadOptions } from "../../src/load/run.ts";

let stop: () => Promise<void>;

async function serve(handler: RequestListener): Promise<URL> {
  const server: Server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stop = () =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/notify`);
}

afterEach(() => stop());

const load = (url: URL, options: Partial<LoadOptions> = {}) =>
  runLoad({
    target: { url, timeoutMs: 5000 },
    next: () => ({ body: '{"é":1}', pushes: 2 }),
    callers: 4,
    durationMs: 300,
    ...options,
  });

describe("runLoad", () => {
  it("keeps as many requests under way as there are callers, on as many connections, and counts what they come to", async () => {
    const sockets = new Set<unknown>();
    const bodies = new Set<string>();
    let under = 0;
    let most = 0;
    const url = await serve((req, res) => {
      sockets.add(req.socket);
      under += 1;
      most = Math.max(most, under);
      let body = "";
      req.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      req.on("end", () => {
        bodies.add(`${req.method ?? ""} ${req.url ?? ""} ${body}`);
        setTimeout(() => {
          under -= 1;
          res.end('{"rejected": ["a", "b"]}');
        }, 5);
      });
    });
    const figures = await load(url);
    expect([...bodies]).toEqual(['POST /notify {"é":1}']);
    expect(sockets.size).toBe(4);
    expect(most).toBe(4);
    expect(figures.requests).toBeGreaterThan(8);
    expect(figures.pushes).toBe(2 * figures.requests);
    expect(figures.rejected).toBe(2 * figures.requests);
    expect(figures.outcomes).toEqual([["200", figures.requests]]);
    expect(figures.successShare).toBe(1);
    expect(figures.latency.p50).toBeGreaterThan(4);
    expect(figures.buckets.reduce((sum, { count }) => sum + count, 0)).toBe(figures.requests);
  });

  it("charges a gateway that stalls for everything that had to wait, at a fixed rate", async () => {
    let stalled = false;
    const url = await serve((req, res) => {
      req.resume();
      const waitMs = stalled ? 0 : 400;
      stalled = true;
      setTimeout(() => res.end("{}"), waitMs);
    });
    // One caller, a request due every 10 ms: forty are late by 400 ms and less, though only one took long.
    const figures = await load(url, { callers: 1, perSecond: 100, durationMs: 600 });
    expect(figures.requests + figures.unsent).toBeGreaterThanOrEqual(60);
    expect(figures.latency.p50).toBeGreaterThan(100);
  });

  it("keeps to its rate", async () => {
    const url = await serve((req, res) => {
      req.resume();
      res.end("{}");
    });
    const figures = await load(url, { callers: 50, perSecond: 200, durationMs: 500 });
    expect(figures.requests + figures.unsent).toBeGreaterThanOrEqual(99);
    expect(figures.requests).toBeLessThanOrEqual(101);
  });

  it("counts what was due and never sent as not served", async () => {
    const url = await serve((req, res) => {
      req.resume();
      setTimeout(() => res.end("{}"), 300);
    });
    const figures = await load(url, { callers: 1, perSecond: 100, durationMs: 200 });
    expect(figures.unsent).toBeGreaterThan(10);
    expect(figures.successShare).toBeLessThan(0.2);
  });

  it("goes on after a connection was closed, and counts other answers and failures by name", async () => {
    let count = 0;
    const url = await serve((req, res) => {
      count += 1;
      if (count % 3 === 0) return void req.socket.destroy();
      req.resume();
      res.writeHead(count % 3 === 1 ? 200 : 503, { connection: "close" }).end("{}");
    });
    const figures = await load(url, { callers: 1 });
    const outcomes = Object.fromEntries(figures.outcomes);
    expect(outcomes["200"]).toBeGreaterThan(0);
    expect(outcomes["503"]).toBeGreaterThan(0);
    expect((outcomes["connection closed"] ?? 0) + (outcomes["ECONNRESET"] ?? 0)).toBeGreaterThan(0);
    expect(figures.pushes).toBe(2 * (outcomes["200"] ?? 0));
  });

  it.each([
    ["nobody listens", 0, "ECONNREFUSED"],
    ["nothing is answered", 1, "timeout"],
  ])("ends in time when %s", async (_what, answers, expected) => {
    const server = createNetServer((socket) => socket.on("error", () => socket.destroy()).resume());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
    if (answers === 0) await close();
    stop = answers === 0 ? async () => {} : close;
    const figures = await load(url, { target: { url, timeoutMs: 100 } });
    expect(figures.successShare).toBe(0);
    expect(figures.outcomes.map(([name]) => name)).toEqual([expected]);
  });

  it("ends when it is told to", async () => {
    const url = await serve((req, res) => {
      req.resume();
      res.end("{}");
    });
    const controller = new AbortController();
    const running = load(url, { durationMs: 60_000, perSecond: 50, signal: controller.signal });
    setTimeout(() => controller.abort(), 100);
    const figures = await running;
    expect(figures.elapsedMs).toBeLessThan(5000);
    expect(figures.successShare).toBe(1);
  });
});
