/**
 * Fuzzes the lean HTTP/2 client: conversations with a hostile peer, header blocks that are none, and header blocks that
 * must come out as they went in. A case fails by an exception, by taking too long, by a stream that does not end exactly
 * once, or by answers that are larger than what was asked for. The whole fails when memory grows.
 */
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { HpackDecoder } from "../../src/upstream/lean/hpack-decoder.ts";
import { HpackEncoder } from "../../src/upstream/lean/hpack-encoder.ts";
import { turn, WireUnderTest } from "../upstream/lean/fake-socket.ts";
import { decodeBlock } from "../upstream/lean/hpack-blocks.ts";
import { frame } from "../support/upstream-server.ts";
import { conversation, headerBlock, openStreams } from "./http2-cases.ts";
import { Random } from "./random.ts";

const usage = `npm run fuzz:http2                          a million cases
npm run fuzz:http2 -- --count 1000          so many
npm run fuzz:http2 -- --seed 7              other ones; a seed always gives the same
`;

/** No case may take so long, the noise of a busy machine included. */
const mostCaseMs = 2_000;
/** The live heap may differ by so much between the first tenth of a run and its end. */
const mostGrowthBytes = 16 * 1024 * 1024;
const casesATurn = 250;

/** What a run came to. */
export interface FuzzReport {
  readonly cases: number;
  /** One sentence each, with the case's number; empty when all is well. */
  readonly failures: readonly string[];
  readonly slowestMs: number;
  /** Of the live heap, from a tenth of the run to its end. */
  readonly grownBytes: number;
  /** How the conversations ended: by our GOAWAY's reason, or `alive`. */
  readonly ends: Readonly<Record<string, number>>;
}

/** Runs `count` cases; the same seed gives the same cases. */
export async function fuzzHttp2(
  seed: number,
  count: number,
  onProgress?: (done: number) => void,
): Promise<FuzzReport> {
  const failures: string[] = [];
  const ends: Record<string, number> = {};
  let slowestMs = 0;
  let heapBefore = 0;
  for (let done = 0; done < count && failures.length < 20;) {
    const size = Math.min(casesATurn, count - done);
    const batch = Array.from({ length: size }, (_, i) => done + i);
    const peers = new Map(
      batch.filter((number) => number % 2 === 0).map((number) => [number, new WireUnderTest()]),
    );
    for (const peer of peers.values()) {
      peer.receive(frame(4, 0, 0));
      for (let i = 0; i < openStreams; i += 1) peer.open(i === 0 ? "" : "body");
    }
    // What a peer answers must have been written.
    await turn();
    for (const number of batch) {
      const startedMs = performance.now();
      const random = new Random(seed * 1_000_003 + number);
      const peer = peers.get(number);
      const failed = peer === undefined ? blocks(random) : converse(random, peer, ends);
      if (failed !== undefined) failures.push(`case ${number}: ${failed}`);
      const tookMs = performance.now() - startedMs;
      slowestMs = Math.max(slowestMs, tookMs);
      if (tookMs > mostCaseMs) failures.push(`case ${number}: took ${tookMs.toFixed(0)} ms`);
    }
    await turn();
    for (const [number, peer] of peers) {
      peer.wire.destroy();
      peer.socket.emit("close");
      const wrong = endedWrong(peer);
      if (wrong !== undefined) failures.push(`case ${number}: ${wrong}`);
    }
    done += size;
    if (heapBefore === 0 && done >= count / 10) heapBefore = liveHeap();
    onProgress?.(done);
  }
  let grownBytes = liveHeap() - heapBefore;
  // What is let go of late (closed sockets, another test's leftovers in this process) is given time; a leak stays.
  for (let i = 0; i < 20 && grownBytes > mostGrowthBytes; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    grownBytes = liveHeap() - heapBefore;
  }
  if (grownBytes > mostGrowthBytes) failures.push(`the heap has grown by ${grownBytes} bytes`);
  return { cases: count, failures, slowestMs, grownBytes, ends };
}

/** A peer says what it likes, while we cancel, ask and open as ever. */
function converse(random: Random, peer: WireUnderTest, ends: Record<string, number>): string | undefined {
  try {
    let received = 0;
    for (const piece of conversation(random)) {
      received += piece.length;
      peer.receive(piece);
      if (random.once(10)) peer.open("x".repeat(random.size(100_000)));
      if (random.once(10)) random.pick([peer.opened[0], ...peer.opened])?.stream?.cancel();
      if (random.once(20)) peer.wire.ping(() => {});
      if (random.once(40)) peer.wire.close();
    }
    const how = peer.owner.gones[0]?.detail ?? "alive";
    ends[how] = (ends[how] ?? 0) + 1;
    const heard = peer.opened.reduce((sum, { body }) => sum + body.length, 0);
    if (heard > received) return `heard ${heard} bytes of ${received}`;
  } catch (error) {
    return `threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  }
  return undefined;
}

function endedWrong(peer: WireUnderTest): string | undefined {
  for (const stream of peer.opened) {
    if (stream.wrong.length > 0) return stream.wrong.join(", ");
    const wasOpened = stream.stream !== undefined;
    if (stream.ends.length !== (wasOpened ? 1 : 0)) return `a stream ended ${stream.ends.length} times`;
  }
  return peer.owner.gones.length === 1 ? undefined : `gone ${peer.owner.gones.length} times`;
}

/** Blocks that may be none keep the decoder within its bounds; ours come out as they went in. */
function blocks(random: Random): string | undefined {
  try {
    const decoder = new HpackDecoder(4096);
    for (let i = 0; i < 6; i += 1) {
      const isBlock = decodeBlock(
        decoder,
        random.once(2) ? headerBlock(random) : random.bytes(random.size(400)),
      );
      if (decoder.tableBytes > 4096) return `a table of ${decoder.tableBytes} bytes`;
      if (isBlock === undefined) break;
    }
    return roundTrip(random);
  } catch (error) {
    return `threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  }
}

function roundTrip(random: Random): string | undefined {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder(4096);
  for (let block = 0; block < 6; block += 1) {
    if (random.once(4)) encoder.setPeerTableSize(random.pick([0, 31, 32, 100, 1000, 4096, 65_536]));
    const list: string[] = [];
    for (let i = random.below(8); i > 0; i -= 1) {
      list.push(
        random.pick([
          ":method",
          ":path",
          "authorization",
          "apns-topic",
          "x-a",
          "x-b",
          `x-${random.below(400)}`,
        ]),
      );
      list.push(
        random.pick([
          "",
          "POST",
          "/",
          "same",
          "v".repeat(random.size(5000)),
          random.bytes(random.size(200)).toString("latin1"),
        ]),
      );
    }
    const out = Buffer.alloc(encoder.measure(list));
    const end = encoder.encode(list, out, 0);
    const expected = list.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${list[i + 1]}`] : []));
    const fields = decodeBlock(decoder, out.subarray(0, end));
    if (fields?.join("\n") !== expected.join("\n")) return `a block came out as ${JSON.stringify(fields)}`;
  }
  return undefined;
}

let collect: (() => void) | undefined;

function liveHeap(): number {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: "1" },
      count: { type: "string", default: "1000000" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(usage);
  const [seed, count] = [Number(values.seed), Number(values.count)];
  if (!Number.isInteger(seed) || !Number.isInteger(count) || count < 1)
    throw new Error("--seed and --count want whole numbers");
  const startedMs = performance.now();
  const report = await fuzzHttp2(seed, count, (done) => {
    if (process.stdout.isTTY) process.stderr.write(`\r${done}`);
  });
  for (const failure of report.failures) console.log(failure);
  console.log(
    `seed ${seed}: ${report.cases} cases in ${((performance.now() - startedMs) / 1_000).toFixed(0)} s, ` +
      `${report.failures.length} failed, slowest ${report.slowestMs.toFixed(0)} ms, heap grown by ${(report.grownBytes / 1024).toFixed(0)} KiB`,
  );
  console.log(
    `conversations: ${Object.entries(report.ends)
      .map(([how, times]) => `${how} ${times}`)
      .join(", ")}`,
  );
  if (report.failures.length > 0) process.exitCode = 1;
}

if (import.meta.main) await main();
