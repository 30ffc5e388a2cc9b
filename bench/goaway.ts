/**
 * A graceful GOAWAY with 200 requests in flight and the last stream id in their middle, ten times over: what of it
 * is answered through this project's pool with either HTTP/2 client, and what through @parse/node-apn. Run: `node bench/goaway.ts`.
 */
import { generateKeyPairSync } from "node:crypto";
import apn from "@parse/node-apn";
import { systemClock } from "../src/clock.ts";
import { silentLog } from "../src/log.ts";
import type { Http2Client } from "../src/upstream/http2-api.ts";
import { Http2Pool } from "../src/upstream/http2-pool.ts";
import { reply, startHttp2Upstream, testCa, type SeenRequest } from "../test/support/upstream-server.ts";

const rounds = 10;
const perRound = 200;

/** Sends 200 tokens' pushes and says how many were answered 200. */
type Send = (tokens: readonly string[]) => Promise<number>;

interface Client {
  readonly name: string;
  start(origin: URL): { readonly send: Send; readonly stop: () => Promise<void> };
}

const ours = (client: Http2Client): Client => ({
  name: `signalbox, ${client}`,
  start(origin) {
    const pool = new Http2Pool({
      origin,
      client,
      tls: { ca: testCa },
      maxSessions: 1,
      // The server goes away more often here than Apple does in a day; one connect a second is for Apple.
      connectIntervalMs: 10,
      createState: () => undefined,
      clock: systemClock,
      log: silentLog,
    });
    const headers = (): Record<string, string> => ({
      "apns-topic": "org.example.app",
      "apns-push-type": "alert",
    });
    const { signal } = new AbortController();
    return {
      async send(tokens) {
        const body = JSON.stringify({ aps: { alert: "synthetic" } });
        const results = await Promise.all(
          tokens.map((token) => pool.request({ path: `/3/device/${token}`, headers, body }, signal)),
        );
        return results.filter((result) => result.kind === "response" && result.status === 200).length;
      },
      stop: () => pool.close(signal),
    };
  },
});

const nodeApn: Client = {
  name: "@parse/node-apn",
  start(origin) {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
    const key = privateKey.export({ type: "pkcs8", format: "pem" });
    const provider = new apn.Provider({
      token: { key, keyId: "AAAAAAAAAA", teamId: "BBBBBBBBBB" },
      address: origin.hostname,
      port: Number(origin.port),
      ca: [testCa],
      rejectUnauthorized: true,
    });
    return {
      async send(tokens) {
        const notification = new apn.Notification();
        notification.alert = "synthetic";
        notification.topic = "org.example.app";
        notification.pushType = "alert";
        const { sent } = await provider.send(notification, [...tokens]);
        return sent.length;
      },
      async stop() {
        await provider.shutdown();
      },
    };
  },
};

async function measure(client: Client, answerAfterMs: number): Promise<void> {
  const processed = new Map<string, number>();
  let held: SeenRequest[] = [];
  let holding = false;
  const process200 = (request: SeenRequest): void => {
    const path = String(request.headers[":path"]);
    processed.set(path, (processed.get(path) ?? 0) + 1);
    reply(request);
  };
  const server = await startHttp2Upstream((request) => {
    if (!holding) return process200(request);
    held.push(request);
    if (held.length < perRound) return;
    const lower = held.slice(0, perRound / 2);
    held = [];
    holding = false;
    // What is above the last stream id is not processed, as RFC 9113 section 6.8 has it.
    request.session.goaway(0, lower.at(-1)?.stream.id ?? 0);
    if (answerAfterMs === 0) lower.forEach(process200);
    else setTimeout(() => lower.forEach(process200), answerAfterMs);
  });
  const { send, stop } = client.start(server.origin);
  let answered = 0;
  const took: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    // One ahead, so that the connection stands when the burst comes.
    await send([(2 ** 40 + round).toString(16).padStart(64, "0")]);
    holding = true;
    const tokens = Array.from({ length: perRound }, (_, i) =>
      (round * perRound + i).toString(16).padStart(64, "0"),
    );
    const started = performance.now();
    answered += await send(tokens);
    took.push(performance.now() - started);
    for (const token of tokens)
      if (!processed.has(`/3/device/${token}`)) processed.set(`/3/device/${token}`, 0);
  }
  await new Promise((resolve) => setTimeout(resolve, answerAfterMs + 100));
  const counts = [...processed.values()];
  took.sort((a, b) => a - b);
  console.log(
    `${client.name.padEnd(16)} answers ${answerAfterMs} ms after the GOAWAY: sent ${rounds * perRound}  answered ${answered}  ` +
      `never processed ${counts.filter((times) => times === 0).length}  ` +
      `processed twice ${counts.filter((times) => times > 1).length}  ` +
      `median round ${(took[rounds / 2] ?? 0).toFixed(0)} ms`,
  );
  await stop();
  await server.close();
}

for (const answerAfterMs of [0, 20]) {
  await measure(ours("node"), answerAfterMs);
  await measure(ours("lean"), answerAfterMs);
  await measure(nodeApn, answerAfterMs);
}
process.exit(0);
