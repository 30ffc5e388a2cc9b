import { connect } from "node:net";
import { Registry, Counter } from "prom-client";
import request from "supertest";
import { startMetricsServer, type MetricsServer } from "../../src/metrics/server.ts";

let server: MetricsServer | undefined;

async function start(registry: Pick<Registry, "metrics">): Promise<string> {
  server = await startMetricsServer({ registry, address: "127.0.0.1", port: 0 });
  return `http://127.0.0.1:${server.port}`;
}

function registryWithCounter(): Registry {
  const registry = new Registry();
  new Counter({ name: "a_total", help: "Things.", registers: [registry] }).inc(2);
  new Counter({ name: "b_total", help: "Others.", registers: [registry] });
  return registry;
}

afterEach(async () => {
  await server?.close();
  server = undefined;
});

describe("the metrics listener", () => {
  it.each(["/", "/metrics", "/any/path"])("answers GET %s with Prometheus text", async (path) => {
    const answer = await request(await start(registryWithCounter())).get(path);
    expect(answer.status).toBe(200);
    expect(answer.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(answer.text).toContain("# TYPE a_total counter\na_total 2\n");
    expect(answer.get("x-powered-by")).toBeUndefined();
  });

  it("answers OpenMetrics to whom accepts it, among other types and with parameters too, and changes nothing by it", async () => {
    const url = await start(registryWithCounter());
    const accept =
      "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    const answer = await request(url).get("/metrics").set("Accept", accept).buffer(true).parse(asText);
    expect(answer.get("content-type")).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
    expect(answer.body).toContain("# TYPE a counter\na_total 2\n");
    expect(answer.body.endsWith("# EOF\n")).toBe(true);
    expect((await request(url).get("/metrics")).text).toContain("# TYPE a_total counter");
  });

  it("answers only what is named", async () => {
    const url = await start(registryWithCounter());
    const answer = await request(url).get("/metrics?name%5B%5D=b_total&name[]=x");
    expect(answer.text).toContain("b_total 0");
    expect(answer.text).not.toContain("a_total");
  });

  it("answers HEAD without a body, and other methods with 405", async () => {
    const url = await start(registryWithCounter());
    const head = await request(url).head("/metrics");
    expect([head.status, head.text]).toEqual([200, undefined]);
    expect(Number(head.get("content-length"))).toBeGreaterThan(50);
    const post = await request(url).post("/metrics").send({ a: 1 });
    expect([post.status, post.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  it("says nothing of what went wrong inside", async () => {
    const url = await start({ metrics: () => Promise.reject(new Error("secret")) });
    const answer = await request(url).get("/metrics");
    expect([answer.status, answer.text]).toEqual([500, "the metrics cannot be read\n"]);
  });

  it("tells in one sentence that the port is in use", async () => {
    await start(registryWithCounter());
    const port = server?.port ?? 0;
    await expect(
      startMetricsServer({ registry: new Registry(), address: "127.0.0.1", port }),
    ).rejects.toThrow(
      `metrics.prometheus: cannot listen on 127.0.0.1:${port}: the port is in use by another program`,
    );
    await expect(
      startMetricsServer({ registry: new Registry(), address: "192.0.2.1", port: 0 }),
    ).rejects.toThrow("this machine has no such address");
  });

  it("outlives a caller that speaks something else, and closes although one is connected", async () => {
    const url = await start(registryWithCounter());
    const ended = new Promise<void>((resolve) => {
      const socket = connect(server?.port ?? 0, "127.0.0.1", () =>
        socket.write("\u0016\u0003\u0001 not http\r\n\r\n"),
      );
      socket.on("error", () => undefined);
      socket.on("close", () => resolve());
    });
    await ended;
    expect((await request(url).get("/")).status).toBe(200);
    const idle = connect(server?.port ?? 0, "127.0.0.1");
    idle.on("error", () => undefined);
    await new Promise((resolve) => idle.once("connect", resolve));
    const closed = new Promise((resolve) => idle.once("close", resolve));
    await server?.close();
    await closed;
    server = undefined;
  });
});

function asText(response: request.Response, done: (error: Error | null, body: string) => void): void {
  // Superagent types what its parser gets as its own response; it is Node's stream.
  const stream = response as unknown as NodeJS.ReadableStream;
  let text = "";
  stream.on("data", (chunk) => (text += String(chunk)));
  stream.on("end", () => done(null, text));
}
