import { createServer } from "node:net";
import type { Http2Client } from "../../src/upstream/http2-api.ts";
import { systemClock, type Clock } from "../../src/clock.ts";
import { startRelay } from "../support/relay.ts";
import {
  listen,
  reply,
  startHttp2Upstream,
  testCertificate,
  type SeenRequest,
} from "../support/upstream-server.ts";
import {
  closeAll,
  keep,
  numbered,
  patient,
  sendMany,
  poolsOf,
  tally,
  until,
} from "../upstream/pool-fixture.ts";

/** The system clock, counting the timers that are still to fire. */
function countingClock(): Clock & { readonly pending: number } {
  let pending = 0;
  return {
    ...systemClock,
    get pending() {
      return pending;
    },
    schedule(ms, callback) {
      let open = true;
      pending += 1;
      const end = (): void => {
        if (open) pending -= 1;
        open = false;
      };
      const cancel = systemClock.schedule(ms, () => {
        end();
        callback();
      });
      return () => {
        end();
        cancel();
      };
    },
  };
}

/** What a pool makes of the network's faults, whatever speaks HTTP/2 for it. */
export function http2FaultsContract(client: Http2Client): void {
  const startPool = poolsOf(client);
  afterEach(closeAll);

  describe("a peer that vanishes without a word", () => {
    it("is noticed by PING; its requests are unknown, the next goes through a new connection", async () => {
      const upstream = keep(await startHttp2Upstream((request) => reply(request)));
      const relay = keep(await startRelay(upstream.port));
      const clock = countingClock();
      const pool = startPool(relay.origin, {
        maxSessions: 1,
        busyPing: { afterMs: 200, timeoutMs: 400 },
        clock,
      });
      await pool.request(numbered(0), patient);
      relay.freeze();
      const started = performance.now();
      expect(tally(await sendMany(pool, 5, 1))).toEqual({ "unknown no-ping-ack": 5 });
      const took = performance.now() - started;
      expect(took).toBeGreaterThan(500);
      expect(took).toBeLessThan(200 + 400 + 3 * 250 + 200);
      expect(await pool.request(numbered(9), patient)).toMatchObject({
        kind: "response",
        session: { state: { number: 2 } },
      });
      await pool.close(patient);
      expect(clock.pending).toBe(0);
    });

    it("gets no new request while its PING is unanswered: another connection is opened", async () => {
      const upstream = keep(await startHttp2Upstream((request) => reply(request)));
      const relay = keep(await startRelay(upstream.port));
      const pool = startPool(relay.origin, { maxSessions: 1, busyPing: { afterMs: 100, timeoutMs: 8000 } });
      await pool.request(numbered(0), patient);
      relay.freeze();
      const stuck = pool.request(numbered(1), patient);
      await new Promise((resolve) => setTimeout(resolve, 1900));
      const next = await pool.request(numbered(2), patient);
      expect(next).toMatchObject({ kind: "response", session: { state: { number: 2 } } });
      expect(next.queueMs).toBeLessThan(1000);
      await pool.close(AbortSignal.abort());
      expect(await stuck).toMatchObject({ kind: "unknown" });
    });

    it("is asked once for all the requests that wait, and not at all when nothing waits", async () => {
      let pings = 0;
      const upstream = keep(
        await startHttp2Upstream((request) => request.body === "0" && reply(request), {
          onSession: (session) => session.on("ping", () => (pings += 1)),
        }),
      );
      const pool = startPool(upstream.origin, {
        busyPing: { afterMs: 100, timeoutMs: 5000 },
        requestTimeoutMs: 1500,
      });
      await pool.request(numbered(0), patient);
      await new Promise((resolve) => setTimeout(resolve, 600));
      expect(pings).toBe(0);
      expect(tally(await sendMany(pool, 3, 1))).toEqual({ "unknown request-timeout": 3 });
      expect(pings).toBe(1);
    });

    it("is noticed while idle where the upstream allows PINGs", async () => {
      let pings = 0;
      const upstream = keep(
        await startHttp2Upstream((request) => reply(request), {
          onSession: (session) => session.on("ping", () => (pings += 1)),
        }),
      );
      const relay = keep(await startRelay(upstream.port));
      const pool = startPool(relay.origin, { idlePing: { afterMs: 200, timeoutMs: 300 } });
      await pool.request(numbered(0), patient);
      await until(() => pings >= 2);
      expect(pool.stats().ready).toBe(1);
      relay.freeze();
      await until(() => pool.stats().ready === 0);
    });
  });

  describe("a connection that is cut", () => {
    it.each(["reset", "fin"] as const)(
      "by %s with requests in flight leaves them unknown, and the pool lives",
      async (how) => {
        const held: SeenRequest[] = [];
        const upstream = keep(
          await startHttp2Upstream((request) =>
            request.connection > 0 || request.body === "0" ? reply(request) : void held.push(request),
          ),
        );
        const relay = keep(await startRelay(upstream.port));
        const pool = startPool(relay.origin, { maxSessions: 1 });
        await pool.request(numbered(0), patient);
        const results = sendMany(pool, 20, 1);
        await until(() => held.length === 20);
        relay.cut(how);
        const counts = tally(await results);
        expect((counts["unknown reset"] ?? 0) + (counts["unknown closed"] ?? 0)).toBe(20);
        expect(await pool.request(numbered(99), patient)).toMatchObject({ kind: "response" });
      },
    );

    it("in the instant of writing is never a lost answer: each request is answered, or said to be unknown", async () => {
      const upstream = keep(await startHttp2Upstream((request) => reply(request)));
      const relay = keep(await startRelay(upstream.port));
      const pool = startPool(relay.origin, { maxSessions: 1 });
      await pool.request(numbered(0), patient);
      for (let round = 0; round < 10; round += 1) {
        const results = sendMany(pool, 10, 1 + round * 10);
        relay.onClientData = () => {
          relay.onClientData = undefined;
          relay.cut("reset");
        };
        for (const result of await results) {
          if (result.kind === "unsent") expect(result.reason).toBe("never");
        }
        relay.onClientData = undefined;
        expect(await pool.request(numbered(1000 + round), patient)).toMatchObject({ kind: "response" });
      }
      const seen = upstream.seen.map((request) => request.body);
      expect(new Set(seen).size).toBe(seen.length);
    });

    it("while idle is replaced when it is needed", async () => {
      const upstream = keep(await startHttp2Upstream((request) => reply(request)));
      const relay = keep(await startRelay(upstream.port));
      const pool = startPool(relay.origin);
      await pool.request(numbered(0), patient);
      relay.cut("fin");
      await until(() => pool.stats().ready === 0);
      expect(relay.sockets.length).toBe(1);
      expect(await pool.request(numbered(1), patient)).toMatchObject({ kind: "response", status: 200 });
    });
  });

  describe("an upstream that cannot be reached", () => {
    it("ends what waits at once as unsent, and what comes during the back-off without a connect", async () => {
      let accepted = 0;
      const server = createServer((socket) => {
        accepted += 1;
        socket.destroy();
      });
      const closing = keep(await listen(server));
      const pool = startPool(closing.origin, { connectIntervalMs: 1000, random: () => 1 });
      const results = await sendMany(pool, 50);
      expect(tally(results)).toEqual({ "unsent tls": 50 });
      const more = await sendMany(pool, 50);
      expect(tally(more)).toEqual({ "unsent tls": 50 });
      for (const result of more) {
        const retryAfterMs = result.kind === "unsent" ? (result.retryAfterMs ?? 0) : 0;
        expect(retryAfterMs).toBeGreaterThan(0);
        expect(retryAfterMs).toBeLessThanOrEqual(1000);
      }
      expect(accepted).toBe(1);
    });

    it("is not connected to more than once a second, however it fails and however many ask", async () => {
      let accepted = 0;
      const upstream = keep(
        await startHttp2Upstream(() => {}, {
          onSession: (session) => {
            accepted += 1;
            session.destroy();
          },
        }),
      );
      const pool = startPool(upstream.origin, { connectIntervalMs: 1000, maxSessions: 4 });
      const beganMs = performance.now();
      while (performance.now() < beganMs + 3500) {
        await sendMany(pool, 10);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      expect(accepted).toBeGreaterThanOrEqual(2);
      // By their number: when each is accepted says little of when it was made, on a machine with other work.
      expect(accepted).toBeLessThanOrEqual(Math.floor((performance.now() - beganMs) / 1000) + 1);
    });

    it("and comes back is used again after the back-off, without anybody's help", async () => {
      const first = await startHttp2Upstream((request) => reply(request));
      const pool = startPool(first.origin, { connectBackoff: { minMs: 10, maxMs: 100, outageMaxMs: 100 } });
      expect(await pool.request(numbered(0), patient)).toMatchObject({ kind: "response" });
      await first.close();
      await until(() => pool.stats().ready === 0);
      expect(await pool.request(numbered(1), patient)).toMatchObject({ kind: "unsent", reason: "refused" });
      const second = keep(await startHttp2Upstream((request) => reply(request), { port: first.port }));
      let answered = false;
      await until(() => {
        void pool.request(numbered(2), patient).then((result) => (answered ||= result.kind === "response"));
        return answered;
      });
      expect(second.sessions.length).toBe(1);
    });

    it("because it is silent after accepting ends after the time limit, and frees every timer", async () => {
      const silent = keep(await listen(createServer((socket) => void socket.resume())));
      const clock = countingClock();
      const pool = startPool(silent.origin, { connectTimeoutMs: 200, clock });
      const started = performance.now();
      expect(tally(await sendMany(pool, 3))).toEqual({ "unsent timeout": 3 });
      expect(performance.now() - started).toBeLessThan(1000);
      await pool.close(patient);
      await until(() => clock.pending === 0);
      await until(() => silent.sockets.every((socket) => socket.destroyed));
    });

    it.each([
      ["expired", "CERT_HAS_EXPIRED"],
      ["wrong-host", "ERR_TLS_CERT_ALTNAME_INVALID"],
    ] as const)(
      "because its certificate is %s is refused with class tls, and nothing is sent",
      async (name, detail) => {
        const upstream = keep(
          await startHttp2Upstream((request) => reply(request), { certificate: testCertificate(name) }),
        );
        const result = await startPool(upstream.origin).request(numbered(0), patient);
        expect(result).toMatchObject({ kind: "unsent", reason: "tls", detail });
        expect(upstream.seen.length).toBe(0);
      },
    );
  });
}
