import { constants } from "node:http2";
import type { Http2Client } from "../../src/upstream/http2-api.ts";
import { startRelay } from "../support/relay.ts";
import type { Http2Upstream, SeenRequest } from "../support/upstream-server.ts";
import {
  frame,
  goawayFrame,
  reply,
  startHttp2Upstream,
  startRawUpstream,
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

/** A server that holds 200 requests, then sends the upper half away with that code and answers the lower half. */
async function startSendingAway(
  code: number,
  rounds: number,
): Promise<{ upstream: Http2Upstream; processed: Map<string, number> }> {
  const processed = new Map<string, number>();
  let held: SeenRequest[] = [];
  let roundsLeft = rounds;
  let away = new Set<unknown>();
  const take = (request: SeenRequest): void => {
    processed.set(request.body, (processed.get(request.body) ?? 0) + 1);
    reply(request);
  };
  const upstream = keep(
    await startHttp2Upstream((request) => {
      if (away.has(request.session)) return;
      // The second hundred of a round: those that were sent away before.
      if (roundsLeft === 0 || (away.size > 0 && held.length === 0 && processed.size % 200 !== 0))
        return take(request);
      held.push(request);
      if (held.length < 200) return;
      const lower = held.slice(0, 100);
      held = [];
      roundsLeft -= 1;
      away = new Set([...away, request.session]);
      request.session.goaway(code, lower.at(-1)?.stream.id ?? 0);
      for (const each of lower) {
        if (code === 0) take(each);
        else processed.set(each.body, (processed.get(each.body) ?? 0) + 1);
      }
    }),
  );
  return { upstream, processed };
}

/** What a pool makes of GOAWAY and RST_STREAM, whatever speaks HTTP/2 for it. */
export function http2GoawayContract(client: Http2Client): void {
  const startPool = poolsOf(client);
  afterEach(closeAll);

  describe("GOAWAY", () => {
    it("loses nothing and doubles nothing, ten times over with 200 requests in flight", async () => {
      const { upstream, processed } = await startSendingAway(constants.NGHTTP2_NO_ERROR, 10);
      const pool = startPool(upstream.origin, { maxSessions: 1 });
      for (let round = 0; round < 10; round += 1) {
        expect(tally(await sendMany(pool, 200, round * 200))).toEqual({ "response 200": 200 });
      }
      expect(processed.size).toBe(2000);
      expect([...processed.values()].filter((times) => times !== 1)).toEqual([]);
      expect(upstream.sessions.length).toBe(11);
    });

    it("with an error resends what is above the last stream id and calls the rest unknown", async () => {
      const { upstream, processed } = await startSendingAway(constants.NGHTTP2_INTERNAL_ERROR, 1);
      const pool = startPool(upstream.origin, { maxSessions: 1 });
      const results = await sendMany(pool, 200);
      const lost = results.filter((result) => result.kind === "unknown");
      expect(lost.length).toBe(100);
      expect(lost.every((result) => result.reason === "goaway" && result.detail === "INTERNAL_ERROR")).toBe(
        true,
      );
      expect([...processed.values()].filter((times) => times !== 1)).toEqual([]);
    });

    it.each([constants.NGHTTP2_INTERNAL_ERROR, constants.NGHTTP2_REFUSED_STREAM])(
      "with code %i after a first answer: upper half answered by the next connection, lower half unknown",
      async (code) => {
        const held: SeenRequest[] = [];
        const upstream = keep(
          await startHttp2Upstream((request) => {
            if (request.connection > 0 || request.body === "0") return reply(request);
            held.push(request);
            if (held.length === 10) request.session.goaway(code, held[4]?.stream.id ?? 0);
          }),
        );
        const pool = startPool(upstream.origin, { maxSessions: 1 });
        await pool.request(numbered(0), patient);
        const results = await sendMany(pool, 10, 1);
        expect(tally(results)).toEqual({ "response 200": 5, "unknown goaway": 5 });
        const unknown = results.flatMap((result, index) => (result.kind === "unknown" ? [index + 1] : []));
        expect(unknown.map(String)).toEqual(held.slice(0, 5).map((request) => request.body));
      },
    );

    it("with the connection left open for ever: the next request uses a new one at once", async () => {
      const stuck: SeenRequest[] = [];
      const upstream = keep(
        await startHttp2Upstream((request) => {
          if (request.connection > 0) return reply(request);
          if (request.body === "0") return reply(request);
          stuck.push(request);
          request.session.goaway(0, request.stream.id ?? 0);
        }),
      );
      const relay = keep(await startRelay(upstream.port));
      const pool = startPool(relay.origin, { maxSessions: 1 });
      await pool.request(numbered(0), patient);
      const waiting = pool.request(numbered(1), patient);
      await until(() => stuck.length === 1);
      await until(() => pool.stats().draining === 1);
      const next = await pool.request(numbered(2), patient);
      expect(next).toMatchObject({ kind: "response", session: { state: { number: 2 } } });
      expect(next.queueMs).toBeLessThan(1000);
      // What the old one still has is not lost.
      for (const request of stuck) reply(request);
      expect(await waiting).toMatchObject({ kind: "response", session: { state: { number: 1 } } });
      // Its socket goes although the peer never hangs up.
      relay.freeze();
      expect(pool.stats().draining).toBe(1);
      await until(() => pool.stats().draining === 0);
    });

    it("with a reason before any answer: the request ends at once as unsent, and says why", async () => {
      const raw = keep(
        await startRawUpstream(({ type, socket }) => {
          if (type === 1) socket.write(goawayFrame(0, 0, '{"reason":"BadCertificateEnvironment"}'));
        }),
      );
      const pool = startPool(raw.origin, {
        connectBackoff: { minMs: 1000, maxMs: 5000, outageMaxMs: 5000 },
      });
      const first = await pool.request(numbered(0), patient);
      expect(first).toMatchObject({ kind: "unsent", reason: "goaway", detail: "BadCertificateEnvironment" });
      // And there is no storm of connections: the next one is told the same without one.
      const next = await pool.request(numbered(1), patient);
      expect(next).toMatchObject({ kind: "unsent", reason: "goaway", detail: "BadCertificateEnvironment" });
      expect(next.kind === "unsent" ? next.retryAfterMs : 0).toBeGreaterThan(500);
      expect(raw.sockets.length).toBe(1);
    });

    it("with a reason on a connection that was never used is no failure", async () => {
      const held: SeenRequest[] = [];
      const second = new AbortController();
      const upstream = keep(
        await startHttp2Upstream(
          (request) => (request.body === "0" ? void held.push(request) : reply(request)),
          {
            settings: { maxConcurrentStreams: 1 },
            // Who made the pool open a second connection has gone when it is ready.
            onSession: (_, index) => index === 1 && second.abort(),
          },
        ),
      );
      const wait = 5000;
      const connectBackoff = { minMs: wait, maxMs: wait, outageMaxMs: wait };
      const pool = startPool(upstream.origin, { connectBackoff });
      const first = pool.request(numbered(0), patient);
      expect(await pool.request(numbered(1), second.signal)).toMatchObject({
        kind: "unsent",
        reason: "aborted",
      });
      await until(() => pool.stats().ready === 2);
      for (const request of held) reply(request);
      expect(await first).toMatchObject({ kind: "response" });
      upstream.sessions[1]?.goaway(0, 2 ** 31 - 1, Buffer.from("session_timeout"));
      await until(() => pool.stats().ready === 1);
      pool.retireAll();
      const next = await pool.request(numbered(2), patient);
      expect(next.kind).toBe("response");
      expect(upstream.seen.map((request) => request.body)).toEqual(["0", "2"]);
    });

    it("while idle costs nothing", async () => {
      const upstream = keep(await startHttp2Upstream((request) => reply(request)));
      const pool = startPool(upstream.origin);
      await pool.request(numbered(0), patient);
      upstream.sessions[0]?.goaway(0, 2 ** 31 - 1, Buffer.from("session_timeout"));
      await until(() => pool.stats().ready === 0);
      expect(await pool.request(numbered(1), patient)).toMatchObject({ kind: "response", status: 200 });
    });

    it("resends a bounded number of times", async () => {
      const raw = keep(
        await startRawUpstream(({ type, socket }) => {
          if (type === 1) socket.write(goawayFrame(0, 0));
        }),
      );
      const pool = startPool(raw.origin, { maxSessions: 1 });
      expect(await pool.request(numbered(0), patient)).toMatchObject({
        kind: "unsent",
        reason: "refused-stream",
      });
      expect(raw.sockets.length).toBe(6);
    });
  });

  describe("RST_STREAM", () => {
    const { NGHTTP2_REFUSED_STREAM, NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_ENHANCE_YOUR_CALM } =
      constants;

    it("REFUSED_STREAM goes again at once", async () => {
      let refusals = 0;
      const upstream = keep(
        await startHttp2Upstream((request) => {
          if (refusals === 3) return reply(request);
          refusals += 1;
          request.stream.close(NGHTTP2_REFUSED_STREAM);
        }),
      );
      const pool = startPool(upstream.origin, { maxSessions: 1 });
      expect(await pool.request(numbered(0), patient)).toMatchObject({ kind: "response", status: 200 });
      expect(upstream.seen.length).toBe(4);
      expect(upstream.sessions.length).toBe(1);
    });

    it("REFUSED_STREAM for ever ends as unsent", async () => {
      const upstream = keep(
        await startHttp2Upstream((request) => request.stream.close(NGHTTP2_REFUSED_STREAM)),
      );
      const pool = startPool(upstream.origin, { maxSessions: 1 });
      expect(await pool.request(numbered(0), patient)).toMatchObject({
        kind: "unsent",
        reason: "refused-stream",
      });
      expect(upstream.seen.length).toBe(6);
    });

    it.each([
      [NGHTTP2_CANCEL, "CANCEL"],
      [NGHTTP2_INTERNAL_ERROR, "INTERNAL_ERROR"],
    ])("%i is unknown and named %s", async (code, name) => {
      const upstream = keep(await startHttp2Upstream((request) => request.stream.close(code)));
      const pool = startPool(upstream.origin, { maxSessions: 1 });
      const result = await pool.request(numbered(0), patient);
      expect(result).toMatchObject({ kind: "unknown", reason: "stream-reset", detail: name });
      expect(upstream.seen.length).toBe(1);
      expect(pool.stats().ready).toBe(1);
    });

    it("ENHANCE_YOUR_CALM is unknown, and the connection rests for a second", async () => {
      const upstream = keep(
        await startHttp2Upstream((request) => {
          if (request.body === "0") request.stream.close(NGHTTP2_ENHANCE_YOUR_CALM);
          else reply(request);
        }),
      );
      const pool = startPool(upstream.origin);
      expect(await pool.request(numbered(0), patient)).toMatchObject({ kind: "unknown", reason: "calm" });
      const next = await pool.request(numbered(1), patient);
      expect(next.kind).toBe("response");
      expect(next.queueMs).toBeGreaterThan(900);
      expect(next.queueMs).toBeLessThan(2000);
      expect(upstream.sessions.length).toBe(1);
    });

    it("after the status has come leaves the answer an answer", async () => {
      const raw = keep(
        await startRawUpstream(({ type, streamId, socket }) => {
          if (type !== 1) return;
          socket.write(frame(1, 4, streamId, Buffer.from([0x8c]))); // HEADERS, :status 400
          socket.write(frame(0, 0, streamId, Buffer.from("half of it")));
          socket.write(frame(3, 0, streamId, Buffer.from([0, 0, 0, NGHTTP2_INTERNAL_ERROR])));
        }),
      );
      const result = await startPool(raw.origin).request(numbered(0), patient);
      expect(result).toMatchObject({ kind: "response", status: 400, body: "half of it", truncated: true });
    });
  });
}
