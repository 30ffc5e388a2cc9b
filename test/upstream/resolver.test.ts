import { lookup } from "node:dns";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/clock.ts";
import { AddressGuard } from "../../src/upstream/address-guard.ts";
import { parseEndpoint } from "../../src/upstream/endpoint-url.ts";
import { GuardedHttp } from "../../src/upstream/guarded-http.ts";
import { createResolver, type Resolver } from "../../src/upstream/resolver.ts";
import { startDnsServer, type DnsAnswer, type DnsServer } from "./dns-server.ts";

const V6 = "20014860486000000000000000008888";

let directory: string;
let servers: DnsServer[] = [];
beforeAll(() => (directory = mkdtempSync(join(tmpdir(), "signalbox-dns-"))));
afterAll(() => rmSync(directory, { recursive: true }));
afterEach(async () => {
  for (const server of servers) await server.close();
  servers = [];
});

async function start(
  answer: (name: string) => DnsAnswer,
  options: { readonly limitMs?: number; readonly hosts?: string } = {},
): Promise<{ readonly resolver: Resolver; readonly server: DnsServer }> {
  const server = await startDnsServer(answer);
  servers.push(server);
  const hostsFile = join(directory, `hosts-${servers.length}`);
  writeFileSync(hostsFile, options.hosts ?? "");
  const { limitMs } = options;
  const resolver = createResolver({
    clock: systemClock,
    servers: [server.address],
    hostsFile,
    ...(limitMs === undefined ? {} : { limitMs }),
  });
  return { resolver, server };
}

describe("the resolver", () => {
  it("finds the addresses of both families", async () => {
    const { resolver, server } = await start(() => ({ a: ["8.8.8.8", "8.8.4.4"], aaaa: [V6] }));
    const found = await resolver.resolve("Push.Example.NET");
    expect(found.toSorted((x, y) => x.address.localeCompare(y.address))).toEqual([
      { address: "2001:4860:4860::8888", family: 6 },
      { address: "8.8.4.4", family: 4 },
      { address: "8.8.8.8", family: 4 },
    ]);
    expect(server.asked.toSorted()).toEqual(["a push.example.net", "aaaa push.example.net"]);
  });

  it("asks each time: nothing that was said before counts", async () => {
    let turn = 0;
    const { resolver } = await start(() => ({ a: [`8.8.8.${++turn}`] }));
    const first = await resolver.resolve("push.example.net");
    const second = await resolver.resolve("push.example.net");
    expect(first).not.toEqual(second);
  });

  it.each<[string, DnsAnswer, string]>([
    ["there is no such name", { rcode: 3 }, "ENOTFOUND"],
    ["the name has no address", {}, "ENOTFOUND"],
    ["the server fails", { rcode: 2 }, "EAI_AGAIN"],
    ["the server refuses", { rcode: 5 }, "EAI_AGAIN"],
  ])("rejects when %s", async (_what, answer, code) => {
    const { resolver } = await start(() => answer);
    await expect(resolver.resolve("push.example.net")).rejects.toMatchObject({ code });
  });

  it("takes one family's answer when the other's does not come", async () => {
    const { resolver } = await start((name) =>
      name.startsWith("four") ? { a: ["8.8.8.8"], silent: "aaaa" } : { aaaa: [V6], silent: "a" },
    );
    const startedMs = performance.now();
    expect(await resolver.resolve("four.example")).toEqual([{ address: "8.8.8.8", family: 4 }]);
    expect(await resolver.resolve("six.example")).toEqual([{ address: "2001:4860:4860::8888", family: 6 }]);
    expect(performance.now() - startedMs).toBeLessThan(1_500);
  });

  it("knows this machine's own names without asking", async () => {
    const { resolver, server } = await start(() => ({ a: ["8.8.8.8"] }), {
      hosts: "# ours\n192.168.1.7 ntfy.lan push.lan # the box\nfd00::7\tntfy.lan\n\n",
    });
    for (const name of ["localhost", "LOCALHOST", "localhost.", "a.b.localhost"]) {
      expect((await resolver.resolve(name)).map(({ address }) => address)).toEqual(["127.0.0.1", "::1"]);
    }
    expect(await resolver.resolve("NTFY.lan")).toEqual([
      { address: "192.168.1.7", family: 4 },
      { address: "fd00::7", family: 6 },
    ]);
    expect(server.asked).toEqual([]);
  });

  it("200 names that nobody answers for hold up neither another name, nor a file, nor the system's lookup (H29)", async () => {
    const { resolver } = await start(
      (name) => (name.startsWith("dead") ? { silent: "both" } : { a: ["8.8.8.8"] }),
      {
        limitMs: 1_500,
      },
    );
    const startedMs = performance.now();
    // So that the hosts file has been read, and the names are asked for one after another.
    await resolver.resolve("localhost");
    const dead: Promise<string>[] = [];
    for (let i = 0; i < 200; i += 1) {
      const asked = resolver.resolve(`dead${i}.example`);
      dead.push(
        asked.then(
          () => "found",
          (error: { code: string }) => error.code,
        ),
      );
      // Lets the name server read: its socket does not hold 400 packets.
      if (i % 10 === 9) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await resolver.resolve("alive.example")).toHaveLength(1);
    await readFile(new URL(import.meta.url), "utf8");
    await new Promise((resolve) => lookup("127.0.0.1", resolve));
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(new Set(await Promise.all(dead))).toEqual(new Set(["EAI_AGAIN"]));
    expect(performance.now() - startedMs).toBeLessThan(4_000);
  });
});

describe("a name server that plays games", () => {
  it("gets no connection to a private address, over the wire and through the real client (H16)", async () => {
    let hits = 0;
    const { createServer } = await import("node:net");
    const sentinel = createServer((socket) => {
      hits += 1;
      socket.destroy();
    });
    await new Promise<void>((resolve) => sentinel.listen(0, "127.0.0.1", resolve));
    const { port } = sentinel.address() as { port: number };
    let turn = 0;
    const loopback6 = "00000000000000000000000000000001";
    const { resolver } = await start(() => {
      turn += 1;
      const turns: readonly DnsAnswer[] = [
        { a: ["127.0.0.1"] },
        { a: ["8.8.8.8", "127.0.0.1"], aaaa: [loopback6] },
        { aaaa: ["00000000000000000000ffff7f000001"] },
        { aaaa: [loopback6] },
        { a: ["169.254.169.254"] },
      ];
      return turns[turn % turns.length] ?? {};
    });
    const http = new GuardedHttp({
      clock: systemClock,
      outbound: { allow_addresses: [], allow_ports: [port], allow_http: false },
      guard: new AddressGuard([], () => []),
      maxSockets: 16,
      resolver,
    });
    const never = new AbortController().signal;
    for (let i = 0; i < 200; i += 1) {
      const endpoint = parseEndpoint(`https://r${i}.example:${port}/`);
      if (endpoint === undefined) throw new Error("no endpoint");
      const result = await http
        .open(endpoint)
        .send({ url: endpoint.url, headers: {}, body: Buffer.from("x") }, never);
      expect(["refused", "failed"]).toContain(result.kind);
    }
    expect(hits).toBe(0);
    await new Promise((resolve) => sentinel.close(resolve));
  });
});
