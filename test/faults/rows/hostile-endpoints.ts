import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { gzipSync } from "node:zlib";
import { systemClock } from "../../../src/clock.ts";
import { AddressGuard } from "../../../src/upstream/address-guard.ts";
import { parseEndpoint } from "../../../src/upstream/endpoint-url.ts";
import { GuardedHttp } from "../../../src/upstream/guarded-http.ts";
import {
  drip,
  flood,
  rebindingRounds,
  rebindingTurns,
  scripted,
  Sentinel,
} from "../../support/hostile-endpoints.ts";
import { listen, type Listening } from "../../support/upstream-server.ts";
import { IOS, message, type RunningGateway } from "../../support/with-gateway.ts";
import type { DnsAnswer } from "../../upstream/dns-server.ts";
import { forbiddenV4, forbiddenV6, literalHosts } from "../../upstream/ssrf-vectors.ts";
import { skip, type Fault } from "../fault.ts";
import { readReceived } from "../ledger.ts";
import { seriesOf, type GatewayProcess } from "../support/gateway-process.ts";
import { withOwnNames, type OwnNames } from "../support/own-names.ts";
import {
  asked,
  assertOk,
  browser,
  outcomes,
  phone,
  startEndpoint,
  startRawEndpoint,
  UP,
  WEB,
  withServices,
} from "../support/push-services.ts";
import { inMegabytes, leastGrowth } from "../support/growth.ts";
import { withRig } from "../support/rig.ts";
import { freshIos, quantile, sharedCredentials, sleep, timed, until } from "../support/shared.ts";

const MIB = 1_048_576;
const ROUNDS = 20;
const NOTHING_REJECTED = '{"rejected":[]}';

/** Listens on all of this machine's addresses that vectors lead to; lends it; fails when anything connected. */
async function withSentinel<T>(
  hosts: readonly string[],
  work: (sentinel: Sentinel) => Promise<T>,
): Promise<T> {
  const sentinel = new Sentinel(hosts);
  await sentinel.start();
  try {
    const result = await work(sentinel);
    assert.equal(sentinel.hits, 0, `${sentinel.hits} connections to the sentinel`);
    return result;
  } finally {
    await sentinel.stop();
  }
}

const notAllowed = (gateway: RunningGateway, app: string): Promise<number> =>
  outcomes(gateway, app, "dropped", "endpoint-not-allowed");

/** The same, of a gateway in its own process. */
const notAllowedThere = async ({ gateway }: OwnNames): Promise<number> =>
  seriesOf(
    await gateway.scrape(),
    `signalbox_outcomes_total{app="${UP}",kind="dropped",reason="endpoint-not-allowed"}`,
  );

/** An IPv6 address as the name server's hex. */
function hex6(address: string): string {
  const [head = "", tail = ""] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split("::");
  const groups = (text: string): readonly string[] =>
    text === "" ? [] : text.split(":").map((group) => group.padStart(4, "0"));
  const [left, right] = [groups(head), groups(tail)];
  return [...left, ...Array.from({ length: 8 - left.length - right.length }, () => "0000"), ...right].join(
    "",
  );
}

const records = (addresses: readonly string[]): DnsAnswer => ({
  a: addresses.filter((address) => !address.includes(":")),
  aaaa: addresses.filter((address) => address.includes(":")).map(hex6),
});

const GOOD_ANSWER = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/** Does it to every third alone, so that no circuit opens. */
function everyThird(hostile: (socket: TLSSocket) => void): (socket: TLSSocket) => void {
  let count = 0;
  return (socket) => ((count += 1) % 3 === 1 ? hostile(socket) : void socket.end(GOOD_ANSWER));
}

/** What an endpoint does that is up to no good (H18). */
function hostileServers(
  onBytes: (bytes: number) => void,
): Readonly<Record<string, () => Promise<Listening>>> {
  const bomb = gzipSync(Buffer.alloc(64 * MIB));
  const links = Array.from({ length: 5_000 }, () => "gzip").join(",");
  const block = Buffer.alloc(65_536, "x");
  const chunk = Buffer.concat([Buffer.from("ffff\r\n"), block.subarray(0, 0xffff), Buffer.from("\r\n")]);
  const head = (text: string) => `HTTP/1.1 201 Created\r\n${text}\r\n`;
  return {
    "10 GB": () =>
      startRawEndpoint((socket) => {
        socket.write(head("Content-Length: 10737418240\r\n"));
        flood(socket, block, onBytes);
      }),
    "endless chunks": () =>
      startRawEndpoint((socket) => {
        socket.write(head("Transfer-Encoding: chunked\r\n"));
        flood(socket, chunk, onBytes);
      }),
    "1 MB headers": () =>
      startRawEndpoint(
        everyThird((socket) => {
          socket.write("HTTP/1.1 201 Created\r\n");
          flood(socket, `X-${"a".repeat(900)}: b\r\n`, onBytes);
        }),
      ),
    "1xx flood": () =>
      startRawEndpoint(
        everyThird((socket) => flood(socket, "HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n", onBytes)),
      ),
    "gzip bomb": () =>
      startEndpoint((_req, res) => void res.writeHead(201, { "content-encoding": "gzip" }).end(bomb)),
    "5,000 encodings": () =>
      startEndpoint(
        (_req, res) => void res.writeHead(201, { "content-encoding": links.slice(0, 12_000) }).end("x"),
      ),
  };
}

/** A process that listens, accepts nobody, and whose queue is full: SYNs to it are dropped, as in a black hole. */
async function startBlackHole(port: number, host: string): Promise<() => void> {
  const program = `require("node:net").createServer().listen({port:${port},host:"${host}",backlog:1},()=>{process.stdout.write("up\\n")})`;
  const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  child.kill("SIGSTOP");
  const fillers: Socket[] = [];
  let silent = 0;
  // Each is answered until the queue is full; three silent ones in a row say that it is.
  while (silent < 3 && fillers.length < 50) {
    const socket = connect(port, host);
    socket.on("error", () => {});
    fillers.push(socket);
    const isAnswered = await Promise.race([
      once(socket, "connect").then(() => true),
      sleep(150).then(() => false),
    ]);
    silent = isAnswered ? 0 : silent + 1;
  }
  const stop = (): void => {
    for (const socket of fillers) socket.destroy();
    child.kill("SIGKILL");
  };
  if (silent < 3) {
    stop();
    skip("this kernel answers although nobody accepts: no black hole on loopback");
  }
  return stop;
}

export const hostileEndpoints: readonly Fault[] = [
  {
    number: "H15",
    fault: "SSRF literals as Web Push and UnifiedPush endpoints",
    tier: 1,
    ci: true,
    run: () =>
      withSentinel(["127.0.0.1", "::1"], async (sentinel) => {
        const { port } = sentinel;
        const outbound = { allow_ports: [443, port] };
        // The sentinel does hear who is let in: the same gateway, told to let loopback in.
        await withServices({}, async (gateway) => {
          assertOk(
            await gateway.notify(
              message([
                { app_id: UP, pushkey: `https://127.0.0.1:${port}/` },
                { app_id: UP, pushkey: `https://[::1]:${port}/` },
              ]),
            ),
          );
          assert.equal(sentinel.hits, 2);
          sentinel.hits = 0;
        });
        return withServices({ outbound }, async (gateway) => {
          const own = ["localhost", "localhost.", "LOCALHOST", "a.localhost", "127.0.0.1.", "127。0。0。1"];
          const hosts = [...literalHosts, ...own];
          const odd = [
            `https://user@127.0.0.1:${port}/`,
            `https://user:pass@localhost:${port}/`,
            `https://8.8.8.8@127.0.0.1:${port}/`,
            `https://localhost:${port}/#x`,
          ];
          const schemes = [
            `http://127.0.0.1:${port}/`,
            `unix:/var/run/docker.sock`,
            "http://unix:/var/run/docker.sock:/x",
            "file:///etc/passwd",
            "gopher://127.0.0.1/",
            `ftp://127.0.0.1:${port}/`,
            `//127.0.0.1:${port}/`,
          ];
          const urls = [...hosts.map((host) => `https://${host}:${port}/push`), ...odd, ...schemes];
          let rejected = 0;
          for (const url of urls) {
            for (const device of [browser(gateway, url), { app_id: UP, pushkey: url }]) {
              const answer = await gateway.notify(message([device]));
              assert.equal(answer.status, 200, url);
              const list = (answer.body as { rejected: string[] }).rejected;
              assert.ok(list.length === 0 || list[0] === device.pushkey, url);
              rejected += list.length;
            }
          }
          const dropped = (await notAllowed(gateway, WEB)) + (await notAllowed(gateway, UP));
          assert.equal(dropped + rejected, urls.length * 2, "some endpoint was tried");
          // What no URL parser reads, or can never be https, is rejected (case 38); all else stays registered (case 40).
          assert.ok(rejected < urls.length * 0.25, `${rejected} rejected`);
          return `${urls.length} vectors by 2 ways: ${dropped} dropped, ${rejected} rejected unread, 0 hits`;
        });
      }),
  },
  {
    number: "H15",
    fault: "an endpoint that is forbidden beside one that is not there",
    tier: 1,
    limitMs: 120_000,
    run: () =>
      withSentinel(["127.0.0.9"], async ({ port }) => {
        const answer = (name: string): DnsAnswer => {
          if (name.startsWith("inside")) return { a: ["127.0.0.9"] };
          if (name.startsWith("public")) return { a: ["8.8.8.8"] };
          return name.startsWith("refusing") ? { a: ["127.0.0.2"] } : { rcode: 3 };
        };
        const outbound = { allow_addresses: ["127.0.0.1/32", "127.0.0.2/32"], allow_ports: [443, port] };
        return withOwnNames({ answer, outbound, answerWithin: "5s" }, async (names) => {
          const kinds: Readonly<Record<string, (i: number) => string>> = {
            "forbidden literal": (i) => `https://10.0.0.${i % 250}:${port}/${i}`,
            "forbidden name": (i) => `https://inside${i}.example:${port}/`,
            "no such name": (i) => `https://nowhere${i}.example:${port}/`,
            refused: (i) => `https://refusing${i}.example:${port}/`,
          };
          // A public address on another port than 443: nothing of it may even be tried.
          const ports = [22, 25, 80, 6_379, 8_080, 65_535];
          await names.notify(ports.map((other) => `https://public.example:${other}/`));
          assert.equal(await notAllowedThere(names), ports.length);
          const times = new Map(Object.keys(kinds).map((kind) => [kind, [] as number[]]));
          for (let i = 0; i < 120; i += 1) {
            for (const [kind, url] of Object.entries(kinds)) {
              const { status, body, ms } = await names.notify([url(i)]);
              assert.deepEqual([status, body], [200, NOTHING_REJECTED], kind);
              if (i >= 20) times.get(kind)?.push(ms);
            }
          }
          const medians = [...times].map(([kind, list]) => [kind, quantile(list, 0.5)] as const);
          const [longest, shortest] = [
            Math.max(...medians.map(([, ms]) => ms)),
            Math.min(...medians.map(([, ms]) => ms)),
          ];
          assert.ok(longest - shortest <= 25, medians.join("; "));
          return `200 [] each; medians ${medians.map(([kind, ms]) => `${kind} ${ms.toFixed(1)} ms`).join(", ")}`;
        });
      }),
  },
  {
    number: "H16",
    fault: "DNS rebinding, over the wire, TTL 0",
    tier: 1,
    waits: true,
    limitMs: 180_000,
    run: () =>
      withSentinel(["127.0.0.9", "::1"], async ({ port }) => {
        const turns: readonly (readonly string[])[] = [
          ["127.0.0.2"],
          ["127.0.0.9"],
          ["127.0.0.2", "127.0.0.9"],
          ["::1"],
          ["127.0.0.2", "::1"],
          ["::ffff:127.0.0.9", "127.0.0.2"],
          ["::ffff:7f00:9"],
          ["169.254.169.254"],
        ];
        let turn = 0;
        const answer = (name: string): DnsAnswer => {
          if (name.startsWith("mixed")) return records(turns[2] ?? []);
          if (name.startsWith("good-then-inside")) return records(turn++ < 2 ? ["127.0.0.1"] : ["127.0.0.9"]);
          // One question for each family, both about the same turn.
          return records(turns[(turn++ >> 1) % turns.length] ?? []);
        };
        const outbound = { allow_addresses: ["127.0.0.1/32", "127.0.0.2/32"], allow_ports: [443, port] };
        return withOwnNames({ answer, outbound }, async (names) => {
          // These names do come from this name server, and what they lead to is reached.
          const good = names.endpoint();
          assert.equal((await names.notify([good])).body, NOTHING_REJECTED);
          assert.equal(names.push.recorder.counts.accepted, 1);
          const first = names.endpoint("good-then-inside.example");
          await names.notify([first]);
          assert.equal(names.push.recorder.counts.accepted, 2, "the first answer of the name was good");
          names.push.connections.closeAll();
          const before = await notAllowedThere(names);
          await until("a new look at the name", async () => {
            await names.notify([first]);
            return (await notAllowedThere(names)) > before;
          });
          assert.equal(names.push.recorder.counts.accepted, 2, "the second answer of the name was not");
          turn = 0;
          let rounds = 0;
          while (rounds < 3_000) {
            const endpoints = Array.from(
              { length: 60 },
              () => `https://${(rounds += 1) % 5 === 0 ? "mixed" : `r${rounds}`}.example:${port}/${rounds}`,
            );
            const { status, body } = await names.notify(endpoints);
            assert.deepEqual([status, body], [200, NOTHING_REJECTED]);
          }
          const dropped = await notAllowedThere(names);
          assert.ok(dropped > rounds / 2, `${dropped} of ${rounds} were refused`);
          assert.ok(names.dns.asked.length > rounds, `${names.dns.asked.length} questions`);
          return `${rounds} rounds, ${names.dns.asked.length} questions, ${dropped} refused, 0 hits`;
        });
      }),
  },
  {
    number: "G16",
    fault: "every SSRF vector, and 10,000 rounds of rebinding",
    tier: 1,
    waits: true,
    limitMs: 180_000,
    run: () =>
      withSentinel(["127.0.0.1", "::1"], async ({ port }) => {
        const addresses = [...forbiddenV4, ...forbiddenV6];
        const answers = new Map<string, readonly string[]>();
        addresses.forEach((address, i) => {
          answers.set(`only${i}.example`, [address]);
          answers.set(`last${i}.example`, ["8.8.8.8", "2606:4700::1111", address]);
          answers.set(`first${i}.example`, [address, "8.8.8.8"]);
        });
        const resolver = scripted(
          (host, call) => answers.get(host) ?? rebindingTurns[call % rebindingTurns.length] ?? [],
        );
        const allow = ["127.0.0.2/32"];
        const http = new GuardedHttp({
          clock: systemClock,
          outbound: { allow_addresses: allow, allow_ports: [port], allow_http: false },
          guard: new AddressGuard(allow, () => []),
          maxSockets: 64,
          resolver,
        });
        const patient = new AbortController().signal;
        const post = async (url: string): Promise<{ readonly kind: string } | "unreadable"> => {
          const endpoint = parseEndpoint(url);
          if (endpoint === undefined) return "unreadable";
          const origin = http.open(endpoint);
          return origin
            .send({ url: endpoint.url, headers: {}, body: Buffer.from("x") }, patient)
            .finally(() => origin.destroy());
        };
        const hosts = [...literalHosts, ...answers.keys()];
        for (const host of hosts) {
          const result = await post(`https://${host}:${port}/`);
          assert.ok(result === "unreadable" || result.kind === "refused", host);
        }
        const callsBefore = resolver.calls;
        const { failed, refused } = await rebindingRounds(10_000, port, post);
        assert.equal(refused + failed, 10_000);
        assert.equal(resolver.calls - callsBefore, 10_000, "a second look at a name");
        assert.ok(refused > 5_000 && failed > 1_000, `${refused} refused, ${failed} failed`);
        return `${hosts.length} vectors, 10,000 rounds (${refused} refused, ${failed} connected to where nobody is), 0 hits`;
      }),
  },
  {
    number: "H17",
    fault: "301, 302, 303, 307, 308 to an internal URL",
    tier: 1,
    ci: true,
    run: () =>
      withSentinel(["127.0.0.9"], ({ port }) =>
        withServices(
          { outbound: { allow_addresses: ["127.0.0.1/32", "::1/128"], allow_ports: [443, port] } },
          async (gateway) => {
            let sent = 0;
            for (const status of [301, 302, 303, 307, 308]) {
              for (const location of [
                `https://127.0.0.9:${port}/`,
                `//127.0.0.9:${port}/`,
                gateway.simulators.fcm.url,
                "/elsewhere",
              ]) {
                gateway.simulators.script.add({
                  times: 2,
                  answer: { kind: "raw", status, body: "", headers: { location } },
                });
                assertOk(await gateway.notify(message([browser(gateway), phone(gateway)])), `${status}`);
                sent += 2;
              }
            }
            assert.equal(asked(gateway), sent);
            assert.equal(gateway.simulators.recorder.requests.length, sent, "somebody else was asked");
            const refused = async (app: string): Promise<number> =>
              outcomes(gateway, app, "dropped", "refused-by-upstream");
            assert.equal((await refused(WEB)) + (await refused(UP)), sent);
            return `${sent} redirects, none followed, dropped and counted`;
          },
        ),
      ),
  },
  {
    number: "H18",
    fault: "endless answers, 1 MB headers, gzip bomb, 1xx flood",
    tier: 1,
    waits: true,
    limitMs: 240_000,
    run: () =>
      withRig({}, async (rig) => {
        const ca = join(rig.directory, "ca.pem");
        await writeFile(ca, sharedCredentials().caPem);
        const gateway = await rig.gateway({
          // V8 lets its nursery grow to 48 MB while there is work, whatever the work: that would hide what is kept.
          nodeOptions: ["--max-semi-space-size=1"],
          config: {
            delivery: { answer_within: "1s" },
            outbound: { allow_addresses: ["127.0.0.0/8", "::1/128"] },
          },
          apps: () => ({ [UP]: { type: "unifiedpush", ca_file: ca } }),
        });
        await gateway.start();
        let [most, taken, longest] = [0, 0, 0];
        const kinds = Object.values(hostileServers((bytes) => (taken += bytes)));
        const servers = await Promise.all(kinds.map((start) => start()));
        const slow = await startRawEndpoint((socket) => drip(socket, "HTTP/1.1 201 Created\r\n", 5_000));
        const send = async (ports: readonly number[]): Promise<void> => {
          const devices = ports.map((port) => ({ app_id: UP, pushkey: `https://localhost:${port}/` }));
          const response = await fetch(gateway.url, {
            method: "POST",
            body: JSON.stringify({ notification: message(devices) }),
          });
          assert.deepEqual([response.status, await response.text()], [200, NOTHING_REJECTED]);
        };
        const round = async (): Promise<void> => {
          const startedMs = performance.now();
          taken = 0;
          await send(servers.flatMap(({ port }) => Array.from({ length: 6 }, () => port)));
          await until("nobody sends on", async () => {
            most = Math.max(most, await rssBytes(gateway));
            const before = taken;
            await sleep(50);
            return taken === before;
          });
          longest = Math.max(longest, performance.now() - startedMs);
          assert.ok(taken < 64 * MIB, `${(taken / MIB).toFixed(0)} MB in one round`);
        };
        const peakOf = async (rounds: number): Promise<number> => {
          most = 0;
          for (let i = 0; i < rounds; i += 1) await round();
          return most;
        };
        try {
          const dripping = send([slow.port]);
          // A young process grows by whatever it does first.
          const grown = await leastGrowth(() => peakOf(ROUNDS), 2 * MIB);
          await dripping;
          await until("1 byte/5 s was cut", () => slow.sockets[0]?.destroyed === true, 11_000);
          assert.ok(grown <= 2 * MIB, `RSS grew by ${inMegabytes(grown)} and more in every ${ROUNDS} rounds`);
          return `${kinds.length + 1} kinds, rounds of ${kinds.length * 6}, each over in ${(longest / 1_000).toFixed(1)} s, RSS ${inMegabytes(grown)} from ${ROUNDS} rounds to the next (peak ${(most / MIB).toFixed(0)} MB)`;
        } finally {
          for (const server of [...servers, slow]) await server.close();
        }
      }),
  },
  {
    number: "H29",
    fault: "200 endpoints whose DNS never answers",
    tier: 1,
    run: () => {
      const answer = (name: string): DnsAnswer =>
        name.startsWith("dead") ? { silent: "both" } : { rcode: 3 };
      return withOwnNames({ answer, outbound: { allow_addresses: ["127.0.0.1/32"] } }, async (names) => {
        const ios = async (): Promise<number> => {
          const device = { app_id: IOS, pushkey: freshIos() };
          const { value, ms } = await timed(() =>
            fetch(names.gateway.url, {
              method: "POST",
              body: JSON.stringify({ notification: message([device]) }),
            }),
          );
          assert.equal(await value.text(), NOTHING_REJECTED);
          return ms;
        };
        await ios();
        await names.notify([names.endpoint()]);
        const [accepted, handed] = [
          names.push.recorder.counts.accepted,
          readReceived(names.rig.receivedFile).ids.size,
        ];
        const dead = (from: number): readonly string[] =>
          Array.from({ length: 100 }, (_, i) => `https://dead${from + i}.example/x`);
        const hung = Promise.all([names.notify(dead(0)), names.notify(dead(100))]);
        await until(
          "the questions",
          () => names.dns.asked.filter((question) => question.includes("dead")).length >= 200,
          3_000,
        );
        const reconnects: number[] = [];
        const others: number[] = [];
        for (let i = 0; i < 3; i += 1) {
          // Not the one connection a second that UA21 allows.
          await sleep(1_050);
          await names.rig.upstreams.closeConnections("apns");
          reconnects.push(await ios());
          const other = await names.notify([names.endpoint()]);
          assert.deepEqual([other.status, other.body], [200, NOTHING_REJECTED]);
          others.push(other.ms);
        }
        for (const { status, body, ms } of await hung) {
          assert.deepEqual([status, body], [200, NOTHING_REJECTED]);
          assert.ok(ms < 1_500, `answered after ${ms} ms`);
        }
        assert.equal(names.push.recorder.counts.accepted, accepted + 3);
        assert.equal(readReceived(names.rig.receivedFile).ids.size, handed + 3);
        const [apns, push] = [Math.max(...reconnects), Math.max(...others)];
        assert.ok(apns < 900 && push < 900, `${apns} ms, ${push} ms`);
        return `meanwhile APNs reconnects within ${apns.toFixed(0)} ms, another push server takes ${push.toFixed(0)} ms at most`;
      });
    },
  },
  {
    number: "H30",
    fault: "an outbound proxy and an SSRF endpoint",
    tier: 2,
    run: () =>
      withSentinel(["127.0.0.9"], async ({ port }) => {
        const targets: string[] = [];
        const proxy = await startProxy((target) => targets.push(target));
        const answer = (name: string): DnsAnswer => {
          if (name.startsWith("inside")) return { a: ["127.0.0.9"] };
          return name.startsWith("mixed") ? { a: ["127.0.0.1", "127.0.0.9"] } : { rcode: 3 };
        };
        const outbound = { allow_addresses: ["127.0.0.1/32"], allow_ports: [443, port] };
        try {
          return await withOwnNames(
            { answer, outbound, config: { proxy: `http://127.0.0.1:${proxy.port}` } },
            async (names) => {
              assert.equal((await names.notify([names.endpoint()])).body, NOTHING_REJECTED);
              assert.equal(names.push.recorder.counts.accepted, 1);
              // By address: the proxy never sees the name, so that it cannot resolve it to something else.
              assert.deepEqual(targets, [`127.0.0.1:${names.push.port}`]);
              const hosts = [
                "inside.example",
                "mixed.example",
                "nowhere.example",
                "127.0.0.9",
                "2130706441",
                "0x7f000009",
                "[::ffff:127.0.0.9]",
                "[::1]",
                "10.0.0.1",
                "169.254.169.254",
                "[fd00:ec2::254]",
              ];
              const { status, body } = await names.notify(hosts.map((host) => `https://${host}:${port}/`));
              assert.deepEqual([status, body], [200, NOTHING_REJECTED]);
              assert.deepEqual(
                targets.filter((target) => target !== targets[0]),
                [],
                "the proxy was asked for more",
              );
              assert.equal(await notAllowedThere(names), hosts.length - 1);
              return `${hosts.length} endpoints, 0 CONNECTs for them; the good one by its address`;
            },
          );
        } finally {
          await proxy.close();
        }
      }),
  },
  {
    number: "UW08",
    fault: "IPv6 black hole with working IPv4",
    tier: 2,
    run: () =>
      withSentinel(["127.0.0.9"], ({ port }) => {
        const hosts =
          "::1 dual.example\n127.0.0.1 dual.example\n::1 half-inside.example\n127.0.0.9 half-inside.example\n";
        const outbound = { allow_addresses: ["127.0.0.1/32", "::1/128"], allow_ports: [443, port] };
        return withOwnNames(
          { answer: () => ({ rcode: 3 }), hosts, outbound, answerWithin: "4s" },
          async (names) => {
            const direct = await names.notify([names.endpoint()]);
            const stop = await startBlackHole(names.push.port, "::1");
            try {
              const { body, ms } = await names.notify([names.endpoint("dual.example")]);
              assert.equal(body, NOTHING_REJECTED);
              assert.equal(names.push.recorder.counts.accepted, 2);
              assert.ok(ms >= 200, `${ms} ms: IPv6 was not tried first`);
              assert.ok(ms <= 300 + direct.ms + 50, `${ms} ms`);
              await names.notify([`https://half-inside.example:${port}/`]);
              assert.equal(await notAllowedThere(names), 1);
              return `delivered by IPv4 after ${ms.toFixed(0)} ms (${direct.ms.toFixed(0)} ms without); half a name inside: refused, 0 hits`;
            } finally {
              stop();
            }
          },
        );
      }),
  },
];

const rssBytes = async (gateway: GatewayProcess): Promise<number> =>
  seriesOf(await gateway.scrape(), "process_resident_memory_bytes");

/** A forward proxy that tells what it is asked for. */
function startProxy(onTarget: (target: string) => void): Promise<Listening> {
  const server = createHttpServer((_req, res) => void res.writeHead(405).end());
  server.on("connect", (request, client) => {
    onTarget(request.url ?? "");
    const { hostname, port } = new URL(`http://${request.url ?? ""}`);
    const target = connect(Number(port), hostname.replace(/^\[|\]$/g, ""), () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      client.pipe(target).pipe(client);
    });
    client.on("error", () => target.destroy());
    target.on("error", () => client.destroy());
  });
  return listen(server);
}
