import type { TLSSocket } from "node:tls";
import type { Http2Client } from "../../../src/upstream/http2-api.ts";
import { frame, goawayFrame, startRawUpstream } from "../../support/upstream-server.ts";
import { closeAll, keep, patient, poolsOf, type TestResult } from "../pool-fixture.ts";
import { literal } from "./hpack-blocks.ts";

afterEach(closeAll);

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const settings = (id: number, value: number): Buffer =>
  frame(4, 0, 0, Buffer.concat([Buffer.from([0, id]), uint32(value)]));
const headers = (id: number, flags: number, ...octets: readonly number[]): Buffer =>
  frame(1, flags, id, Buffer.from(octets));
const data = (id: number, flags: number, text: string): Buffer => frame(0, flags, id, Buffer.from(text));
const rst = (id: number, code: number): Buffer => frame(3, 0, id, uint32(code));
const ok = 0x88;
const [apnsId, length5] = [literal(0x40, "apns-id", "7", true), literal(0x00, "content-length", "5")];

/** What the server sends once the requests on streams 1, 3, 5 and 7 have come, and how the connection goes on. */
interface Script {
  readonly name: string;
  readonly frames: readonly Buffer[];
  /** `end`: the server hangs up after them, `reset`: it resets the connection. Default: the requests run out of time. */
  readonly then?: "end" | "reset";
  /** Where the two may differ, and how the lean client sees it. */
  readonly lean?: readonly string[];
}

/** `response 200 body` (`…` when cut), `unknown reason detail`, `unsent reason`: what a caller acts upon. */
function inWords(result: TestResult | undefined): string {
  if (result === undefined) return "";
  if (result.kind === "response") {
    const { "apns-id": id, "retry-after": after } = result.headers;
    const cut = result.truncated ? "…" : "";
    return ["response", result.status, result.body + cut, id, after]
      .filter((each) => each !== undefined && each !== "")
      .join(" ");
  }
  // Each names the rule that was broken in its own way, Node by one word for all.
  const detail = result.reason === "protocol" ? undefined : result.detail;
  return [result.kind, result.reason, detail].filter((each) => each !== undefined).join(" ");
}

const all = (octets: readonly number[]): Buffer[] => [1, 3, 5, 7].map((id) => headers(id, 5, ...octets));

const scripts: readonly Script[] = [
  { name: "answers all", frames: all([ok, ...apnsId]) },
  {
    name: "answers by its table",
    frames: [
      headers(1, 5, ok, ...apnsId),
      headers(3, 5, ok, 0xbe),
      headers(7, 5, 0xbe - 0x36, 0xbe),
      headers(5, 5, 0x8c, 0xbe),
    ],
  },
  {
    name: "answers in many frames",
    frames: [
      headers(1, 4, ok),
      data(1, 0, "who"),
      data(1, 1, "le"),
      frame(1, 0, 3, Buffer.from([ok])),
      frame(9, 0, 3),
      frame(9, 4, 3, Buffer.from(apnsId)),
      data(3, 1, ""),
      frame(1, 0x2d, 5, Buffer.from([2, 0, 0, 0, 0, 9, ok, 1, 2])),
      headers(7, 4, ok),
      frame(0, 9, 7, Buffer.from("\u0003whole...", "latin1")),
    ],
  },
  {
    name: "answers after interim heads, with trailers",
    frames: [
      headers(1, 4, ...literal(0, ":status", "103")),
      headers(1, 4, ok),
      data(1, 0, "whole"),
      headers(1, 5, ...literal(0, "x-sum", "1")),
      ...all([ok]).slice(1),
    ],
  },
  {
    name: "says Retry-After twice",
    frames: all([
      ...literal(0, ":status", "429"),
      ...literal(0, "retry-after", "5"),
      ...literal(0, "retry-after", "9"),
    ]),
  },
  { name: "resets in several ways", frames: [rst(1, 0), rst(3, 2), rst(5, 8), rst(7, 99)] },
  { name: "asks for calm", frames: [rst(1, 11), ...all([ok]).slice(1)] },
  {
    name: "resets after the head",
    lean: ["response 400 half…", "response 200 …", "response 200 …", "response 200"],
    frames: [
      headers(1, 4, 0x8c),
      data(1, 0, "half"),
      rst(1, 2),
      headers(3, 4, ok),
      rst(3, 7),
      headers(5, 4, ok),
      rst(5, 0),
      headers(7, 5, ok),
    ],
  },
  {
    name: "goes away with an error below which all is unknown",
    frames: [goawayFrame(2, 7, '{"reason":"Broken"}')],
    then: "end",
  },
  { name: "goes away after its answers", frames: [...all([ok]), goawayFrame(0, 7)], then: "end" },
  {
    name: "answers, goes away in peace and answers the rest",
    frames: [
      headers(1, 5, ok),
      goawayFrame(0, 7),
      headers(3, 5, ok),
      headers(5, 4, ok),
      data(5, 1, "late"),
      headers(7, 5, 0x8d),
    ],
  },
  {
    name: "says goodbye in two steps",
    frames: [goawayFrame(0, 2 ** 31 - 1), goawayFrame(0, 7), ...all([ok])],
  },
  { name: "hangs up", frames: [headers(1, 5, ok), headers(3, 4, ok), data(3, 0, "ha")], then: "end" },
  { name: "is cut", frames: [headers(1, 5, ok)], then: "reset" },
  { name: "says nothing more", frames: [headers(1, 5, ok)] },
  {
    name: "changes its SETTINGS",
    frames: [settings(3, 0), settings(4, 0), settings(1, 0), settings(5, 2 ** 24 - 1), ...all([ok])],
  },
  {
    name: "PINGs, and speaks of what nobody knows",
    frames: [
      frame(6, 0, 0, Buffer.alloc(8)),
      frame(0xbe, 0xff, 1, Buffer.from("x")),
      frame(0xbf, 0, 0),
      frame(2, 0, 1, Buffer.from([0, 0, 0, 0, 9])),
      ...all([ok]),
    ],
  },
  {
    name: "gives windows",
    frames: [frame(8, 0, 0, uint32(1000)), frame(8, 0, 1, uint32(1000)), ...all([ok])],
  },
  {
    name: "breaks a stream's window",
    lean: ["unknown stream-reset FLOW_CONTROL_ERROR", "response 200", "response 200", "response 200"],
    frames: [frame(8, 0, 1, uint32(2 ** 31 - 1)), ...all([ok]).slice(1)],
  },
  {
    name: "breaks the connection's window",
    frames: [headers(1, 5, ok), frame(8, 0, 0, uint32(2 ** 31 - 1))],
  },
  {
    name: "sends a block that is none",
    frames: [headers(1, 5, ok), headers(3, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)],
  },
  {
    name: "sends pushes",
    lean: ["response 200", "unknown protocol", "unknown protocol", "unknown protocol"],
    frames: [headers(1, 5, ok), frame(5, 4, 3, Buffer.from([0, 0, 0, 2, 0x82]))],
  },
  { name: "sends a frame too large", frames: [headers(1, 5, ok), frame(0, 0, 3, Buffer.alloc(16_385))] },
  { name: "answers without a status", frames: [headers(1, 5, ...apnsId), ...all([ok]).slice(1)] },
  {
    name: "answers with names in upper case",
    frames: [headers(1, 5, ok, ...literal(0, "X-A", "b")), ...all([ok]).slice(1)],
  },
  {
    name: "answers with a line feed in a value",
    frames: [headers(1, 5, ok, ...literal(0, "x-a", "b\nc")), ...all([ok]).slice(1)],
  },
  {
    name: "answers with a header of HTTP/1.1",
    frames: [headers(1, 5, ok, ...literal(0, "connection", "close")), ...all([ok]).slice(1)],
  },
  {
    name: "says a body's length, and keeps to it",
    frames: [headers(1, 4, ok, ...length5), data(1, 1, "whole"), ...all([ok]).slice(1)],
  },
  {
    name: "sends less than it says",
    frames: [headers(1, 4, ok, ...length5), data(1, 1, "x"), ...all([ok]).slice(1)],
  },
  {
    name: "sends more than it says",
    lean: ["response 200 too long…", "response 200", "response 200", "response 200"],
    frames: [headers(1, 4, ok, ...length5), data(1, 1, "too long"), ...all([ok]).slice(1)],
  },
  {
    name: "sends a body before the head",
    lean: ["unknown stream-reset PROTOCOL_ERROR", "response 200", "response 200", "response 200"],
    frames: [data(1, 1, "early"), ...all([ok]).slice(1)],
  },
];

/** Runs a script against a client: how its four requests ended, in the order of their streams. */
async function run(client: Http2Client, { frames, then }: Script): Promise<readonly string[]> {
  let seen = 0;
  const say = (socket: TLSSocket): void => {
    socket.write(Buffer.concat(frames));
    if (then === "end") socket.end();
    // After the client has read what was said.
    if (then === "reset") setTimeout(() => raw.sockets[0]?.resetAndDestroy(), 50);
  };
  const raw = keep(
    await startRawUpstream(({ type, flags, socket }) => {
      if (type <= 1 && (flags & 1) === 1) seen += 1;
      if (type <= 1 && (flags & 1) === 1 && seen === 4) say(socket);
    }),
  );
  const pool = poolsOf(client)(raw.origin, { maxSessions: 1, requestTimeoutMs: 800 });
  const results = await Promise.all(
    [1, 3, 5, 7].map((id) => pool.request({ path: `/${id}`, headers: () => ({}), body: "x" }, patient)),
  );
  await pool.close(AbortSignal.abort());
  return results.map(inWords);
}

describe("a scripted server is understood by the lean client as by Node's: one that", () => {
  it.each(scripts.map((script) => [script.name, script] as const))("%s", async (_, script) => {
    const [node, lean] = await Promise.all([run("node", script), run("lean", script)]);
    expect(lean).toEqual(script.lean ?? node);
    if (script.lean !== undefined) expect(node).not.toEqual(script.lean);
  });
});
