import http2 from "node:http2";
import type { Http2Client } from "../../src/upstream/http2-api.ts";
import type { OpenWire } from "../../src/upstream/wire.ts";
import {
  reply,
  startHttp2Upstream,
  startRawUpstream,
  frame,
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

/**
 * What a pool does with requests, whatever speaks HTTP/2 for it. `nearLastStream` is the same client, with ten stream
 * ids left on each connection.
 */
export function http2PoolContract(client: Http2Client, nearLastStream: OpenWire): void {
  const startPool = poolsOf(client);
  afterEach(closeAll);

  describe("a request", () => {
    it("goes out with its pseudo headers, its own headers and its body, and comes back with the answer", async () => {
      const upstream = keep(
        await startHttp2Upstream((request) => {
          request.stream.respond({ ":status": 410, "apns-id": "7" });
          request.stream.end('{"reason":"Unregistered"}');
        }),
      );
      const pool = startPool(upstream.origin);
      const body = '{"aps":{"alert":"Grüße 👋"}}';
      const result = await pool.request(
        {
          path: "/3/device/ab",
          headers: ({ number }) => ({ authorization: `bearer ${number}`, "apns-id": "7" }),
          body,
        },
        patient,
      );
      expect(result).toMatchObject({
        kind: "response",
        status: 410,
        body: '{"reason":"Unregistered"}',
        truncated: false,
        session: { state: { number: 1 } },
      });
      expect(result.kind === "response" && result.headers["apns-id"]).toBe("7");
      expect(upstream.seen[0]?.body).toBe(body);
      expect(upstream.seen[0]?.headers).toMatchObject({
        ":method": "POST",
        ":scheme": "https",
        ":authority": upstream.origin.host,
        ":path": "/3/device/ab",
        authorization: "bearer 1",
        "apns-id": "7",
      });
      // Never indexed: neither the device token nor the credential.
      expect(upstream.seen[0]?.headers[http2.sensitiveHeaders as unknown as string]).toEqual([
        ":path",
        "authorization",
      ]);
    });

    it("without a body in the answer is answered", async () => {
      const upstream = keep(await startHttp2Upstream((request) => reply(request, 204)));
      const result = await startPool(upstream.origin).request(numbered(0), patient);
      expect(result).toMatchObject({ kind: "response", status: 204, body: "", truncated: false });
    });

    it("takes an answer in two DATA frames, the second empty, after a 103", async () => {
      const upstream = keep(
        await startHttp2Upstream(({ stream }) => {
          stream.additionalHeaders({ ":status": 103 });
          stream.respond({ ":status": 200 });
          stream.write("whole", () => setImmediate(() => stream.end()));
        }),
      );
      const result = await startPool(upstream.origin).request(numbered(0), patient);
      expect(result).toMatchObject({ kind: "response", status: 200, body: "whole", truncated: false });
    });

    it("keeps characters whole that two DATA frames share", async () => {
      const bytes = Buffer.from("é€👋");
      const upstream = keep(
        await startHttp2Upstream(({ stream }) => {
          stream.respond({ ":status": 200 });
          stream.write(bytes.subarray(0, 4), () => setImmediate(() => stream.end(bytes.subarray(4))));
        }),
      );
      expect(await startPool(upstream.origin).request(numbered(0), patient)).toMatchObject({ body: "é€👋" });
    });

    it("whose answer is too long is cut, counts by its status and frees its stream", async () => {
      let closedWith = -1;
      const upstream = keep(
        await startHttp2Upstream(({ stream }) => {
          stream.on("close", () => (closedWith = stream.rstCode));
          stream.respond({ ":status": 502 });
          stream.write("x".repeat(5000));
        }),
      );
      const pool = startPool(upstream.origin, { maxResponseBytes: 1000 });
      const result = await pool.request(numbered(0), patient);
      expect(result).toMatchObject({
        kind: "response",
        status: 502,
        body: "x".repeat(1000),
        truncated: true,
      });
      await until(() => closedWith === http2.constants.NGHTTP2_CANCEL && pool.stats().active === 0);
    });

    it("with a header that HTTP/2 cannot carry is a bug: nothing is sent, later ones are", async () => {
      const upstream = keep(await startHttp2Upstream((request) => reply(request)));
      const pool = startPool(upstream.origin);
      const bad = (headers: Record<string, string>): Promise<unknown> =>
        pool.request({ path: "/", headers: () => headers, body: "bad" }, patient);
      await expect(bad({ "x-a": "b\u0000:path\u0000/other\u0000" })).rejects.toThrow("HTTP/2 cannot carry");
      await expect(bad({ "x-a": "b\r\nx: y" })).rejects.toThrow("HTTP/2 cannot carry");
      await expect(bad({ "x a": "b" })).rejects.toThrow("valid HTTP token");
      await expect(bad({ connection: "close" })).rejects.toThrow("connection");
      expect(await pool.request(numbered(1), patient)).toMatchObject({ kind: "response" });
      expect(upstream.seen.map((request) => request.body)).toEqual(["1"]);
      expect(pool.stats()).toMatchObject({ active: 0, queued: 0 });
    });
  });

  describe("the stream limit", () => {
    it("is not assumed before the peer's first SETTINGS", async () => {
      let secured: (() => void) | undefined;
      const types: number[] = [];
      const raw = keep(
        await startRawUpstream(
          ({ type, streamId, socket }) => {
            types.push(type);
            if (type === 1) socket.write(frame(1, 5, streamId, Buffer.from([0x88]))); // :status 200, END_STREAM
          },
          (socket) => {
            secured = () => void socket.write(frame(4, 0, 0));
          },
        ),
      );
      const pool = startPool(raw.origin);
      const answer = pool.request(numbered(0), patient);
      await until(() => types.includes(4));
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(types).not.toContain(1);
      expect(pool.stats()).toMatchObject({ ready: 0, queued: 1 });
      secured?.();
      expect(await answer).toMatchObject({ kind: "response", status: 200 });
    });

    it("of 1 until the first success, as APNs has it, lets one through and then the rest", async () => {
      const upstream = keep(
        await startHttp2Upstream(
          (request) => {
            if (request.body === "0") request.session.settings({ maxConcurrentStreams: 1000 });
            setImmediate(() => reply(request));
          },
          { settings: { maxConcurrentStreams: 1 } },
        ),
      );
      const pool = startPool(upstream.origin, { maxSessions: 1 });
      expect(tally(await sendMany(pool, 300))).toEqual({ "response 200": 300 });
      expect(upstream.seen.length).toBe(300);
      expect(upstream.seen[0]?.body).toBe("0");
    });

    it("is obeyed as it goes 1, 1000, 0, 5, and never more streams are open", async () => {
      const held: SeenRequest[] = [];
      const upstream = keep(
        await startHttp2Upstream((request) => void held.push(request), {
          settings: { maxConcurrentStreams: 1 },
        }),
      );
      const pool = startPool(upstream.origin, { maxSessions: 1 });
      const results = sendMany(pool, 60);
      const limit = (maxConcurrentStreams: number): Promise<void> =>
        new Promise((resolve) => upstream.sessions[0]?.settings({ maxConcurrentStreams }, () => resolve()));
      await until(() => held.length === 1);
      expect(pool.stats()).toMatchObject({ active: 1, queued: 59 });

      await limit(20);
      await until(() => held.length === 20);
      expect(pool.stats()).toMatchObject({ active: 20, queued: 40 });

      await limit(0);
      for (const request of held.splice(0)) reply(request);
      await until(() => pool.stats().active === 0);
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(pool.stats()).toMatchObject({ active: 0, queued: 40 });
      expect(held.length).toBe(0);

      await limit(5);
      await until(() => held.length === 5);
      let most = 0;
      const drain = setInterval(() => {
        most = Math.max(most, pool.stats().active, held.length);
        for (const request of held.splice(0)) reply(request);
      }, 1);
      expect(tally(await results)).toEqual({ "response 200": 60 });
      clearInterval(drain);
      expect(most).toBe(5);
      expect(upstream.mostOpen[0]).toBe(20);
    });

    it("of one connection makes another open when something waits, and the less busy one is used first", async () => {
      const held: SeenRequest[] = [];
      const upstream = keep(
        await startHttp2Upstream((request) => void held.push(request), {
          settings: { maxConcurrentStreams: 10 },
        }),
      );
      const pool = startPool(upstream.origin, { maxSessions: 3 });
      const results = sendMany(pool, 35);
      await until(() => held.length === 30);
      expect(pool.stats()).toMatchObject({ ready: 3, active: 30, queued: 5 });
      // All of the second connection becomes free: the five that waited go there.
      for (const request of held.filter(({ connection }) => connection === 1)) reply(request);
      await until(() => held.length === 35);
      expect(held.slice(30).map((request) => request.connection)).toEqual([1, 1, 1, 1, 1]);
      for (const request of held) reply(request);
      expect(tally(await results)).toEqual({ "response 200": 35 });
      expect(upstream.sessions.length).toBe(3);
    });
  });

  describe("the queue", () => {
    it("is first in, first out, and bounded", async () => {
      const upstream = keep(
        await startHttp2Upstream((request) => setImmediate(() => reply(request)), {
          settings: { maxConcurrentStreams: 1 },
        }),
      );
      const pool = startPool(upstream.origin, { maxSessions: 1, maxQueued: 20 });
      const results = await sendMany(pool, 25);
      expect(tally(results)).toEqual({ "response 200": 20, "unsent queue-full": 5 });
      expect(results.slice(20).every((result) => result.kind === "unsent")).toBe(true);
      expect(upstream.seen.map((request) => Number(request.body))).toEqual(
        Array.from({ length: 20 }, (_, i) => i),
      );
    });

    it("lets a request go whose caller gives up, and none of its neighbours", async () => {
      const held: SeenRequest[] = [];
      const upstream = keep(
        await startHttp2Upstream((request) => void held.push(request), {
          settings: { maxConcurrentStreams: 1 },
        }),
      );
      const pool = startPool(upstream.origin, { maxSessions: 1 });
      const callers = Array.from({ length: 4 }, () => new AbortController());
      const results = callers.map((caller, index) => pool.request(numbered(index), caller.signal));
      await until(() => held.length === 1);
      callers[2]?.abort();
      expect(await results[2]).toMatchObject({ kind: "unsent", reason: "aborted" });
      const answering = setInterval(() => held.splice(0).forEach((request) => reply(request)), 1);
      expect(tally(await Promise.all(results))).toEqual({ "response 200": 3, "unsent aborted": 1 });
      clearInterval(answering);
      expect(upstream.seen.map((request) => request.body)).toEqual(["0", "1", "3"]);
      expect(await pool.request(numbered(9), AbortSignal.abort())).toMatchObject({
        kind: "unsent",
        reason: "aborted",
      });
    });

    it("ends a request whose time is up before it could be sent as unsent", async () => {
      const upstream = keep(
        await startHttp2Upstream((request) => reply(request), { settings: { maxConcurrentStreams: 0 } }),
      );
      const pool = startPool(upstream.origin, { maxSessions: 1, requestTimeoutMs: 300 });
      const result = await pool.request(numbered(0), patient);
      expect(result).toMatchObject({ kind: "unsent", reason: "queue-timeout" });
      expect(result.queueMs).toBeGreaterThanOrEqual(250);
      expect(result.queueMs).toBeLessThan(1000);
      expect(upstream.seen).toEqual([]);
    });
  });

  describe("a request in flight", () => {
    it("that is aborted is unknown, its stream is cancelled, and the connection serves on", async () => {
      const closed: number[] = [];
      const upstream = keep(
        await startHttp2Upstream((request) => {
          if (request.body === "1") return reply(request);
          request.stream.on("close", () => closed.push(request.stream.rstCode));
        }),
      );
      const pool = startPool(upstream.origin);
      const caller = new AbortController();
      const result = pool.request(numbered(0), caller.signal);
      await until(() => upstream.seen.length === 1);
      caller.abort();
      expect(await result).toMatchObject({
        kind: "unknown",
        reason: "aborted",
        session: { state: { number: 1 } },
      });
      await until(() => closed.length === 1 && pool.stats().active === 0);
      expect(closed).toEqual([http2.constants.NGHTTP2_CANCEL]);
      expect(await pool.request(numbered(1), patient)).toMatchObject({ session: { state: { number: 1 } } });
    });

    it("two of which go unanswered in a row retire their connection although it answers PINGs", async () => {
      const upstream = keep(await startHttp2Upstream((request) => request.connection > 0 && reply(request)));
      const pool = startPool(upstream.origin, {
        maxSessions: 1,
        requestTimeoutMs: 400,
        busyPing: { afterMs: 100, timeoutMs: 10_000 },
      });
      expect(tally(await sendMany(pool, 2))).toEqual({ "unknown request-timeout": 2 });
      expect(await pool.request(numbered(2), patient)).toMatchObject({
        kind: "response",
        session: { state: { number: 2 } },
      });
    });
  });

  describe("retiring", () => {
    it("by the caller: running requests finish, new ones go to another connection", async () => {
      const held: SeenRequest[] = [];
      const upstream = keep(
        await startHttp2Upstream((request) =>
          request.body === "1" ? void held.push(request) : reply(request),
        ),
      );
      const pool = startPool(upstream.origin, { maxSessions: 1 });
      const first = await pool.request(numbered(0), patient);
      const running = pool.request(numbered(1), patient);
      await until(() => held.length === 1);
      if (first.kind === "response") first.session.retire();
      expect(await pool.request(numbered(2), patient)).toMatchObject({ session: { state: { number: 2 } } });
      for (const request of held) reply(request);
      expect(await running).toMatchObject({ kind: "response", session: { state: { number: 1 } } });
      await until(() => pool.stats().draining === 0);
    });

    it("all: every connection is replaced", async () => {
      const upstream = keep(await startHttp2Upstream((request) => reply(request)));
      const pool = startPool(upstream.origin, { maxSessions: 1 });
      await pool.request(numbered(0), patient);
      pool.retireAll();
      expect(pool.stats().ready).toBe(0);
      expect(await pool.request(numbered(1), patient)).toMatchObject({ session: { state: { number: 2 } } });
    });

    it("happens before the stream ids run out", async () => {
      const upstream = keep(await startHttp2Upstream((request) => reply(request)));
      const pool = startPool(upstream.origin, { maxSessions: 1, maxRequestsPerSession: 30 });
      expect(tally(await sendMany(pool, 100))).toEqual({ "response 200": 100 });
      expect(upstream.sessions.length).toBe(4);
      expect(upstream.seen.length).toBe(100);
    });

    it("happens without a visible failure when the ids do run out", async () => {
      const upstream = keep(await startHttp2Upstream((request) => reply(request)));
      const pool = startPool(upstream.origin, { maxSessions: 1, client: nearLastStream });
      expect(tally(await sendMany(pool, 25))).toEqual({ "response 200": 25 });
      expect(upstream.seen.length).toBe(25);
      expect(upstream.sessions.length).toBeGreaterThan(1);
    });
  });

  describe("closing", () => {
    it("finishes what is under way, takes nothing new and leaves no connection", async () => {
      const held: SeenRequest[] = [];
      const upstream = keep(
        await startHttp2Upstream((request) => void held.push(request), {
          settings: { maxConcurrentStreams: 2 },
        }),
      );
      const pool = startPool(upstream.origin, { maxSessions: 1 });
      const results = sendMany(pool, 3);
      await until(() => held.length === 2);
      const closed = pool.close(patient);
      expect(await pool.request(numbered(9), patient)).toMatchObject({
        kind: "unsent",
        reason: "pool-closed",
      });
      for (const request of held.splice(0)) reply(request);
      await until(() => held.length === 1);
      for (const request of held) reply(request);
      expect(tally(await results)).toEqual({ "response 200": 3 });
      await closed;
      expect(pool.stats()).toEqual({ connecting: 0, ready: 0, draining: 0, active: 0, queued: 0 });
      await until(() => upstream.sockets.every((socket) => socket.destroyed));
    });

    it("ends everything at once when its signal aborts", async () => {
      const upstream = keep(await startHttp2Upstream(() => {}, { settings: { maxConcurrentStreams: 2 } }));
      const pool = startPool(upstream.origin, { maxSessions: 1 });
      const results = sendMany(pool, 3);
      await until(() => upstream.seen.length === 2);
      const patience = new AbortController();
      const closed = pool.close(patience.signal);
      patience.abort();
      expect(tally(await results)).toEqual({ "unknown pool-closed": 2, "unsent pool-closed": 1 });
      await closed;
      expect(pool.stats()).toEqual({ connecting: 0, ready: 0, draining: 0, active: 0, queued: 0 });
    });

    it("while it connects ends that too", async () => {
      const raw = keep(
        await startRawUpstream(
          () => {},
          () => {},
        ),
      );
      const pool = startPool(raw.origin);
      const result = pool.request(numbered(0), patient);
      await until(() => raw.sockets.length === 1);
      await pool.close(AbortSignal.abort());
      expect(await result).toMatchObject({ kind: "unsent", reason: "pool-closed" });
      await until(() => raw.sockets.every((socket) => socket.destroyed));
    });
  });
}
