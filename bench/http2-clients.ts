/**
 * Sending alone: requests per CPU-second of this process through the pool with each HTTP/2 client in turn, against
 * one server in a process of its own. Run: `node bench/http2-clients.ts [seconds a round] [rounds]`.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { systemClock } from "../src/clock.ts";
import { silentLog } from "../src/log.ts";
import type { Http2Client } from "../src/upstream/http2-api.ts";
import { Http2Pool } from "../src/upstream/http2-pool.ts";
import { testCa } from "../test/support/upstream-server.ts";

const seconds = Number(process.argv[2] ?? 3);
const rounds = Number(process.argv[3] ?? 5);
/** Requests that are open at once. */
const inFlight = 200;

const body = JSON.stringify({
  aps: { alert: { title: "Synthetic", body: "x".repeat(200) }, sound: "default", badge: 3 },
  room_id: "!synthetic:example.org",
});
const authorization = `bearer ${"a".repeat(200)}`;

interface Round {
  readonly perCpuSecond: number;
  readonly perSecond: number;
  /** Of one core, the server's process. */
  readonly serverShare: number;
}

async function serverCpu(server: ChildProcess): Promise<number> {
  const answer = once(server, "message");
  server.send("cpu");
  const [micros] = (await answer) as [number];
  return micros;
}

async function measure(client: Http2Client, origin: URL, server: ChildProcess): Promise<Round> {
  const pool = new Http2Pool({
    origin,
    client,
    tls: { ca: testCa },
    maxSessions: 1,
    createState: () => undefined,
    clock: systemClock,
    log: silentLog,
  });
  const { signal } = new AbortController();
  let sent = 0;
  let isOver = false;
  const send = async (): Promise<void> => {
    while (!isOver) {
      sent += 1;
      const number = sent.toString(16);
      const result = await pool.request(
        {
          path: `/3/device/${number.padStart(64, "0")}`,
          headers: () => ({
            "apns-topic": "org.example.app",
            "apns-push-type": "alert",
            "apns-priority": "10",
            "apns-expiration": "1790000000",
            "apns-id": `00000000-0000-4000-8000-${number.padStart(12, "0")}`,
            authorization,
          }),
          body,
        },
        signal,
      );
      if (result.kind !== "response" || result.status !== 200) throw new Error(`no answer: ${result.kind}`);
    }
  };
  const callers = Array.from({ length: inFlight }, send);
  await new Promise((resolve) => setTimeout(resolve, 700));
  const [sentBefore, cpuBefore, startedMs] = [sent, process.cpuUsage(), performance.now()];
  const serverBefore = await serverCpu(server);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  const { user, system } = process.cpuUsage(cpuBefore);
  const tookSeconds = (performance.now() - startedMs) / 1_000;
  const count = sent - sentBefore;
  const serverShare = ((await serverCpu(server)) - serverBefore) / 1e6 / tookSeconds;
  isOver = true;
  await Promise.all(callers);
  await pool.close(signal);
  return { perCpuSecond: count / ((user + system) / 1e6), perSecond: count / tookSeconds, serverShare };
}

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;

const server = fork(fileURLToPath(new URL("./http2-sink.ts", import.meta.url)), { execArgv: [] });
const [port] = (await once(server, "message")) as [number];
const origin = new URL(`https://localhost:${port}`);
const clients: readonly Http2Client[] = ["node", "lean"];
const results = new Map<Http2Client, Round[]>(clients.map((client) => [client, []]));
for (let round = 0; round < rounds; round += 1) {
  for (const client of clients) {
    const figures = await measure(client, origin, server);
    results.get(client)?.push(figures);
    console.log(
      `round ${round + 1}  ${client}  ${figures.perCpuSecond.toFixed(0).padStart(7)} per CPU-second  ` +
        `${figures.perSecond.toFixed(0).padStart(7)} per second  server ${(figures.serverShare * 100).toFixed(0)} % of a core`,
    );
  }
}
const [node = 0, lean = 0] = clients.map((client) =>
  median((results.get(client) ?? []).map(({ perCpuSecond }) => perCpuSecond)),
);
console.log(
  `median: node ${node.toFixed(0)}, lean ${lean.toFixed(0)} per CPU-second, ratio ${(lean / node).toFixed(2)}`,
);
server.disconnect();
