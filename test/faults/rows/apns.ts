import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { constants } from "node:http2";
import { createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Answer } from "../../../src/simulator/script.ts";
import { startRelay } from "../../support/relay.ts";
import {
  listen,
  reply,
  startHttp2Upstream,
  testCa,
  testCertificate,
  type Http2Upstream,
  type Http2UpstreamOptions,
  type SeenRequest,
} from "../../support/upstream-server.ts";
import { IOS, message, type GatewaySetUp, type RunningGateway } from "../../support/with-gateway.ts";
import type { Fault } from "../fault.ts";
import { changingAddresses } from "../support/name-faults.ts";
import { freshIos, sharedCredentials, sleep, timed, until, withGateway } from "../support/shared.ts";

type Notified = Awaited<ReturnType<RunningGateway["notify"]>>;

const push = (gateway: RunningGateway, pushkey = freshIos(), device: object = {}): Promise<Notified> =>
  gateway.notify(message([{ app_id: IOS, pushkey, ...device }]));

const error = (reason: string, more: object = {}): Answer => ({ kind: "error", reason, ...more });

const state = (gateway: RunningGateway, name: string): Promise<number> =>
  gateway.metric(`signalbox_outbox_pushes{app="${IOS}",state="${name}"}`);

const alarms = (gateway: RunningGateway, alarm: string): Promise<number> =>
  gateway.metric(`signalbox_alarms_total{app="${IOS}",alarm="${alarm}"}`);

function expectDelivered(answers: readonly Notified[]): void {
  for (const { status, body } of answers) assert.deepEqual([status, body], [200, { rejected: [] }]);
}

const short = (answerWithin = "300ms"): GatewaySetUp => ({
  config: { delivery: { answer_within: answerWithin } },
});

/** A gateway whose APNs is an HTTP/2 server that the row itself answers for. */
async function withOwnApns<T>(
  answer: (request: SeenRequest) => void,
  options: Http2UpstreamOptions & { readonly setUp?: GatewaySetUp },
  work: (gateway: RunningGateway, upstream: Http2Upstream) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "signalbox-apns-"));
  const ca = join(directory, "ca.pem");
  await writeFile(ca, testCa);
  const upstream = await startHttp2Upstream(answer, options);
  try {
    const ios = { endpoint: upstream.origin.origin, ca_file: ca, inflight_request_limit: 2_000 };
    return await withGateway(
      { ...options.setUp, cold: true, ios: { ...ios, ...options.setUp?.ios } },
      (gateway) => work(gateway, upstream),
    );
  } finally {
    await upstream.close();
    await rm(directory, { recursive: true, force: true });
  }
}

const idOf = (request: SeenRequest): string => String(request.headers["apns-id"]);

export const apnsFaults: readonly Fault[] = [
  {
    number: "UA01",
    fault: "400 BadDeviceToken, 410 Unregistered, 410 ExpiredToken",
    tier: 1,
    ci: true,
    run: () =>
      withGateway(short(), async (gateway) => {
        for (const reason of ["BadDeviceToken", "Unregistered", "ExpiredToken"]) {
          const status = reason === "BadDeviceToken" ? {} : { status: 410 };
          const now = freshIos();
          gateway.simulators.script.add({ upstream: "apns", times: 1, answer: error(reason, status) });
          assert.deepEqual((await push(gateway, now)).body, { rejected: [now] }, reason);
          const asked = gateway.asked();
          assert.deepEqual((await push(gateway, now)).body, { rejected: [now] });
          assert.equal(gateway.asked(), asked);
          // A verdict that comes after the answer is reported next time.
          const late = freshIos();
          gateway.simulators.script.add({
            upstream: "apns",
            times: 1,
            delay: 600,
            answer: error(reason, status),
          });
          assert.deepEqual((await push(gateway, late)).body, { rejected: [] });
          await until("the late verdict", async () => (await state(gateway, "pending")) === 0);
          assert.deepEqual((await push(gateway, late)).body, { rejected: [late] });
        }
        return "3 of 3 rejected at once, and next time when late";
      }),
  },
  {
    number: "UA02",
    fault: "410 with a timestamp older than pushkey_ts",
    tier: 1,
    run: () =>
      withGateway({}, async (gateway) => {
        const goneAtMs = Date.now() - 3_600_000;
        gateway.simulators.script.add({
          upstream: "apns",
          answer: error("Unregistered", { timestamp: goneAtMs }),
        });
        const pushkey = freshIos();
        const registered = Math.floor(goneAtMs / 1_000) + 60;
        assert.deepEqual((await push(gateway, pushkey, { pushkey_ts: registered })).body, { rejected: [] });
        assert.deepEqual((await push(gateway, pushkey, { pushkey_ts: registered - 120 })).body, {
          rejected: [pushkey],
        });
        return "not rejected; rejected when registered before it";
      }),
  },
  {
    number: "UA03",
    fault: "400 DeviceTokenNotForTopic; TopicDisallowed, BadTopic",
    tier: 1,
    run: async () => {
      await withGateway(short(), async (gateway) => {
        gateway.simulators.script.add({ upstream: "apns", answer: error("DeviceTokenNotForTopic") });
        const pushkey = freshIos();
        assert.deepEqual((await push(gateway, pushkey)).body, { rejected: [pushkey] });
      });
      // Nothing has ever succeeded: behind the guard.
      await withGateway({ ...short(), cold: true }, async (gateway) => {
        gateway.simulators.script.add({ upstream: "apns", answer: error("DeviceTokenNotForTopic") });
        assert.deepEqual((await push(gateway)).body, { rejected: [] });
        assert.equal(await alarms(gateway, "rejections-held-unproven"), 1);
      });
      for (const reason of ["TopicDisallowed", "BadTopic"]) {
        await withGateway(short(), async (gateway) => {
          gateway.simulators.script.add({ upstream: "apns", answer: error(reason) });
          for (let i = 0; i < 10; i += 1)
            assert.deepEqual((await push(gateway)).body, { rejected: [] }, reason);
          assert.ok((await alarms(gateway, "credentials")) > 0);
          assert.equal(await state(gateway, "pending"), 10);
        });
      }
      return "the first behind the guard; the others held, alarm, 0 of 20 rejected";
    },
  },
  {
    number: "UA04",
    fault: "403 ExpiredProviderToken under 200 parallel pushes",
    tier: 1,
    ci: true,
    run: () => {
      let expired: string | undefined;
      const tokens = new Set<string>();
      return withOwnApns(
        (request) => {
          const token = String(request.headers.authorization);
          tokens.add(token);
          // Late enough that all of them are under way with the old one.
          const refusal = JSON.stringify({ reason: "ExpiredProviderToken" });
          setTimeout(() => (token === expired ? reply(request, 403, refusal) : reply(request)), 100);
        },
        {},
        async (gateway, upstream) => {
          expectDelivered([await push(gateway)]);
          [expired] = tokens;
          // Connects are a second apart.
          await sleep(1_000);
          const { value, ms } = await timed(() =>
            Promise.all(Array.from({ length: 200 }, () => push(gateway))),
          );
          expectDelivered(value);
          assert.equal(tokens.size, 2, `${tokens.size - 1} new provider tokens`);
          const attempts = new Map<string, number>();
          for (const request of upstream.seen)
            attempts.set(idOf(request), (attempts.get(idOf(request)) ?? 0) + 1);
          assert.equal(attempts.size, 201);
          assert.ok(Math.max(...attempts.values()) <= 2, "a push was resent more than once");
          return `200 served in ${ms.toFixed(0)} ms, 1 new JWT, at most 2 attempts each`;
        },
      );
    },
  },
  {
    number: "UA05",
    fault: "403 InvalidProviderToken, BadCertificate, UnrelatedKeyIdInToken",
    tier: 1,
    run: async () => {
      for (const reason of ["InvalidProviderToken", "BadCertificate", "UnrelatedKeyIdInToken"]) {
        await withGateway(short("1s"), async (gateway) => {
          const [rule = 0] = gateway.simulators.script.add({ upstream: "apns", answer: error(reason) });
          await push(gateway);
          const asked = gateway.asked();
          const answers = await Promise.all(Array.from({ length: 20 }, () => push(gateway)));
          expectDelivered(answers);
          assert.equal(gateway.asked(), asked, `${reason}: the circuit is not open`);
          assert.ok((await alarms(gateway, "credentials")) > 0);
          assert.deepEqual([await state(gateway, "rejected"), await state(gateway, "pending")], [0, 21]);
          gateway.simulators.script.remove(rule);
        });
      }
      return "3 reasons: circuit open, alarm, 21 of 21 wait, 0 rejected";
    },
  },
  {
    number: "UA06",
    fault: "429 TooManyProviderTokenUpdates; 1,000 parallel sends",
    tier: 1,
    run: () =>
      withGateway({ cold: true, ios: { inflight_request_limit: 2_000 } }, async (gateway) => {
        const devices = (): object[] =>
          Array.from({ length: 100 }, () => ({ app_id: IOS, pushkey: freshIos() }));
        expectDelivered(
          await Promise.all(Array.from({ length: 10 }, () => gateway.notify(message(devices())))),
        );
        const tokens = (): Set<string | undefined> =>
          new Set(
            gateway.simulators.recorder.requests
              .filter(({ upstream }) => upstream === "apns")
              .map(({ headers }) => headers["authorization"]),
          );
        assert.equal(tokens().size, 1);
        const connections = gateway.simulators.apns.connections.total;
        gateway.simulators.script.add({
          upstream: "apns",
          times: 1,
          answer: error("TooManyProviderTokenUpdates"),
        });
        expectDelivered([await push(gateway), await push(gateway)]);
        assert.equal(tokens().size, 1, "a new JWT was made");
        assert.ok(gateway.simulators.apns.connections.total > connections, "the connection was not retired");
        return "1,000 sends, 1 JWT; kept after the 429, on a new connection";
      }),
  },
  {
    number: "UA08",
    fault: "413 PayloadTooLarge",
    tier: 1,
    run: () =>
      withGateway({}, async (gateway) => {
        const from = gateway.simulators.recorder.requests.length;
        gateway.simulators.script.add({ upstream: "apns", times: 1, answer: error("PayloadTooLarge") });
        expectDelivered([await push(gateway)]);
        const [first, second] = gateway.simulators.recorder.requests.slice(from);
        assert.ok(first !== undefined && second?.accepted === true);
        assert.ok(second.body.length < first.body.length);
        assert.ok(second.body.includes("!room:example.org") && !second.body.includes("Major"));
        const before = gateway.asked();
        gateway.simulators.script.add({ upstream: "apns", times: 2, answer: error("PayloadTooLarge") });
        expectDelivered([await push(gateway)]);
        assert.equal(gateway.asked(), before + 2);
        return `${first.body.length} bytes, then ${second.body.length} with ids only; once`;
      }),
  },
  {
    number: "UA09",
    fault: "500, 503 ServiceUnavailable, 503 Shutdown; 500 on one connection",
    tier: 1,
    ci: true,
    run: () =>
      withGateway({ config: { delivery: { answer_within: "4s" } } }, async (gateway) => {
        const waits: number[] = [];
        for (const reason of ["InternalServerError", "ServiceUnavailable", "Shutdown"]) {
          const from = gateway.simulators.recorder.requests.length;
          const before = gateway.simulators.apns.connections.total;
          gateway.simulators.script.add({ upstream: "apns", times: 1, answer: error(reason) });
          expectDelivered([await push(gateway)]);
          const [first, second, ...more] = gateway.simulators.recorder.requests.slice(from);
          assert.ok(first !== undefined && second !== undefined && more.length === 0);
          assert.equal(first.headers["apns-id"], second.headers["apns-id"]);
          waits.push(second.atMs - first.atMs);
          if (reason !== "ServiceUnavailable") {
            assert.ok(
              gateway.simulators.apns.connections.total > before,
              `${reason}: the connection was not retired`,
            );
            assert.notEqual(first.connection, second.connection);
          }
        }
        return `resent once each after ${waits.join(", ")} ms; 500 and Shutdown retire the connection`;
      }),
  },
  {
    number: "UA10",
    fault: "GOAWAY with 100 streams in flight, last-stream-id in the middle",
    tier: 1,
    ci: true,
    run: () => {
      const waiting: SeenRequest[] = [];
      const processed: string[] = [];
      let isSecond = false;
      const take = (request: SeenRequest): void => {
        processed.push(idOf(request));
        reply(request);
      };
      return withOwnApns(
        (request) => {
          if (isSecond) return take(request);
          waiting.push(request);
          if (waiting.length < 100) return;
          isSecond = true;
          const streamIds = waiting.map(({ stream }) => stream.id ?? 0).sort((a, b) => a - b);
          const last = streamIds[49] ?? 0;
          request.session.goaway(constants.NGHTTP2_NO_ERROR, last);
          setTimeout(() => waiting.filter(({ stream }) => (stream.id ?? 0) <= last).forEach(take), 100);
        },
        {},
        async (gateway, upstream) => {
          const { value, ms } = await timed(() =>
            Promise.all(Array.from({ length: 100 }, () => push(gateway))),
          );
          expectDelivered(value);
          const counts = new Map<string, number>();
          for (const id of processed) counts.set(id, (counts.get(id) ?? 0) + 1);
          assert.equal(counts.size, 100, "lost");
          assert.equal(processed.length, 100, "duplicated");
          assert.equal(upstream.seen.length, 150);
          return `50 completed, 50 resent, lost 0, duplicated 0, ${ms.toFixed(0)} ms`;
        },
      );
    },
  },
  {
    number: "UA11",
    fault: "GOAWAY, then the TCP connection stays open for ever",
    tier: 1,
    run: () =>
      withOwnApns(reply, {}, async (gateway, upstream) => {
        expectDelivered([await push(gateway)]);
        // Connects are a second apart (UA21), and this one was just made.
        await sleep(1_000);
        const [session] = upstream.sessions;
        session?.goaway(constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1);
        await sleep(50);
        const { value, ms } = await timed(() => push(gateway));
        expectDelivered([value]);
        assert.ok(ms < 1_000, `${ms} ms`);
        assert.equal(upstream.seen.at(-1)?.connection, 1);
        return `new session, ${ms.toFixed(0)} ms`;
      }),
  },
  {
    number: "UA13",
    fault: "RST_STREAM: REFUSED_STREAM, CANCEL, INTERNAL_ERROR, ENHANCE_YOUR_CALM",
    tier: 1,
    run: () =>
      withGateway({}, async (gateway) => {
        const figures: string[] = [];
        for (const [name, code] of Object.entries({ refused: 7, cancel: 8, internal: 2, calm: 11 })) {
          const from = gateway.simulators.recorder.requests.length;
          gateway.simulators.script.add({ upstream: "apns", times: 1, answer: { kind: "reset", code } });
          const { value, ms } = await timed(() => push(gateway));
          expectDelivered([value]);
          const [first, second, ...more] = gateway.simulators.recorder.requests.slice(from);
          assert.ok(first !== undefined && second !== undefined && more.length === 0);
          assert.equal(first.headers["apns-id"], second.headers["apns-id"]);
          if (name === "refused") assert.ok(ms < 500, `refused unprocessed, but resent after ${ms} ms`);
          figures.push(`${name} ${ms.toFixed(0)} ms`);
        }
        return `same apns-id; ${figures.join(", ")}`;
      }),
  },
  {
    number: "UA14",
    fault: "MAX_CONCURRENT_STREAMS 1, then 1000, then 0",
    tier: 1,
    run: () => {
      let open = 0;
      let limit = 1;
      let worst = 0;
      return withOwnApns(
        (request) => {
          open += 1;
          worst = Math.max(worst, open / Math.max(1, limit));
          setTimeout(() => {
            open -= 1;
            reply(request);
          }, 10);
        },
        { settings: { maxConcurrentStreams: 1 } },
        async (gateway, upstream) => {
          expectDelivered(await Promise.all(Array.from({ length: 20 }, () => push(gateway))));
          const sessions = upstream.sessions.length;
          assert.ok(
            upstream.mostOpen.every((most) => most <= 1),
            "above the limit of 1",
          );
          const set = async (maxConcurrentStreams: number): Promise<void> => {
            limit = maxConcurrentStreams;
            for (const session of upstream.sessions)
              if (!session.destroyed) session.settings({ maxConcurrentStreams });
            await sleep(50);
          };
          await set(1_000);
          expectDelivered(await Promise.all(Array.from({ length: 300 }, () => push(gateway))));
          assert.ok(upstream.mostOpen.every((most) => most <= 1_000));
          await set(0);
          const seen = upstream.seen.length;
          const waiting = Array.from({ length: 20 }, () => push(gateway));
          await sleep(400);
          const whileZero = upstream.seen
            .slice(seen)
            .filter(({ connection }) => connection < sessions).length;
          assert.equal(whileZero, 0, "a stream was opened above the limit of 0");
          await set(1_000);
          expectDelivered(await Promise.all(waiting));
          return `340 served, most open ${Math.max(...upstream.mostOpen)}, 0 above the limit`;
        },
      );
    },
  },
  {
    number: "UA15",
    fault: "a session that answers no PING and no stream",
    tier: 1,
    waits: "idle",
    run: async () => {
      // Only its simulator is used: the relay stands before that.
      return withGateway({ cold: true }, async (behind) => {
        const relay = await startRelay(behind.simulators.apns.port);
        const setUp = {
          cold: true,
          simulators: { credentials: behind.simulators.credentials },
          ios: { endpoint: `https://127.0.0.1:${relay.port}` },
          config: { delivery: { answer_within: "1s" } },
        } as const;
        try {
          // The signing key is the same for both.
          return await withGateway(setUp, async (tested) => {
            expectDelivered([await push(tested)]);
            relay.freeze();
            const startedMs = performance.now();
            // What goes into the dead session is promised, and gets through before long.
            expectDelivered([await push(tested)]);
            await until("a new session", async () => (await state(tested, "pending")) === 0, 20_000);
            const tookMs = performance.now() - startedMs;
            const { value, ms } = await timed(() => push(tested));
            expectDelivered([value]);
            assert.ok(ms < 1_000);
            assert.ok(tookMs <= 16_000, `${tookMs} ms`);
            return `gone after ${(tookMs / 1_000).toFixed(1)} s, the push went through a new one`;
          });
        } finally {
          await relay.close();
        }
      });
    },
  },
  {
    number: "UA17",
    fault: "TLS: expired, wrong host name, unknown CA, reset in the handshake, 1.1 only",
    tier: 1,
    run: async () => {
      let requests = 0;
      const attempt = async (upstreamOptions: Http2UpstreamOptions, ios: object = {}): Promise<string> =>
        withOwnApns(
          (request) => {
            requests += 1;
            reply(request);
          },
          { ...upstreamOptions, setUp: { ...short("1s"), ios: { ...ios } } },
          async (gateway) => {
            expectDelivered([await push(gateway)]);
            assert.equal(await state(gateway, "pending"), 1);
            return gateway.logLines.join("\n");
          },
        );
      const directory = await mkdtemp(join(tmpdir(), "signalbox-ca-"));
      try {
        const other = join(directory, "other.pem");
        await writeFile(other, sharedCredentials().caPem);
        for (const log of [
          await attempt({ certificate: testCertificate("expired") }),
          await attempt({ certificate: testCertificate("wrong-host") }),
          await attempt({}, { ca_file: other }),
          await attempt({
            tls: { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" },
          }),
        ]) {
          assert.match(log, /tls/i, "the log does not name the class");
        }
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
      const cutter = await listen(
        createTcpServer((socket) => socket.once("data", () => socket.resetAndDestroy())),
      );
      try {
        await attempt({}, { endpoint: `https://localhost:${cutter.port}` });
        assert.ok(cutter.sockets.length > 0);
      } finally {
        await cutter.close();
      }
      assert.equal(requests, 0);
      return "5 kinds, nothing sent, pushes wait";
    },
  },
  {
    number: "UA19",
    fault: "NXDOMAIN, SERVFAIL, DNS timeout; address changed after GOAWAY",
    tier: 1,
    waits: "idle",
    run: changingAddresses,
  },
  {
    number: "UA21",
    fault: "the upstream closes right after accepting, again and again",
    tier: 1,
    waits: "idle",
    run: async () => {
      const closer = await listen(createTcpServer((socket) => socket.destroy()));
      try {
        return await withGateway(
          { ...short("1s"), cold: true, ios: { endpoint: `https://127.0.0.1:${closer.port}` } },
          async (gateway) => {
            const startedMs = performance.now();
            let pushes = 0;
            while (performance.now() - startedMs < 10_000) {
              await push(gateway);
              pushes += 1;
              await sleep(20);
            }
            const seconds = (performance.now() - startedMs) / 1_000;
            const connects = closer.sockets.length;
            assert.ok(connects >= 1);
            assert.ok(connects <= seconds + 1, `${connects} connects in ${seconds.toFixed(0)} s`);
            return `${connects} connects in ${seconds.toFixed(0)} s under ${pushes} pushes`;
          },
        );
      } finally {
        await closer.close();
      }
    },
  },
  {
    number: "UA22",
    fault: "TCP cut after the request was written, before the answer",
    tier: 1,
    waits: true,
    ci: true,
    run: () =>
      withGateway({}, async (gateway) => {
        let twice = 0;
        for (let i = 0; i < 5; i += 1) {
          // Cut connections alone would open the circuit: half of what an app sends.
          expectDelivered(await Promise.all(Array.from({ length: 5 }, () => push(gateway))));
          const from = gateway.simulators.recorder.requests.length;
          gateway.simulators.script.add({
            upstream: "apns",
            times: 1,
            accepted: true,
            answer: { kind: "close" },
          });
          expectDelivered([await push(gateway)]);
          const [first, second, ...more] = gateway.simulators.recorder.requests.slice(from);
          assert.ok(first !== undefined && second !== undefined && more.length === 0);
          for (const name of ["apns-id", "apns-collapse-id"]) {
            assert.equal(first.headers[name], second.headers[name], name);
          }
          assert.equal(first.body, second.body);
          twice += 1;
        }
        return `${twice} unknown outcomes, ${twice} resent with the same ids`;
      }),
  },
];
