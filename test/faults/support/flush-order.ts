import assert from "node:assert/strict";
import { readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { childOf, underStrace } from "./strace.ts";
import { withRig } from "./rig.ts";
import { sleep } from "./shared.ts";

/** One finished system call of the trace. */
interface Call {
  readonly name: string;
  readonly fd: number;
  readonly text: string;
}

const ANSWER = "HTTP/1.1 200 OK";

/**
 * Traces the writes of a gateway whose APNs is down: before each 200 there is a finished flush of the log, after the
 * write that had this push in it. Pushes come one at a time, and their rooms are found in what is written.
 */
export function checkFlushOrder(): Promise<string> {
  return withRig({}, async (rig) => {
    const trace = join(rig.directory, "trace");
    const gateway = await rig.gateway({
      config: { delivery: { answer_within: "50ms" } },
      wrapper: [
        ...underStrace([], trace, "pwrite64,fsync,fdatasync,write,writev,sendto,sendmsg"),
        "-s",
        "4200",
      ],
    });
    await gateway.start();
    const { pid = 0 } = gateway.child;
    await rig.upstreams.addRules({
      upstream: "apns",
      answer: { kind: "error", reason: "ServiceUnavailable" },
    });
    const load = rig.load({ urls: [gateway.url], perSecond: 0 });
    // The circuit opens with the first few; from then on each push is committed alone.
    const answers = [];
    for (let i = 0; i < 40; i += 1) {
      answers.push(await load.push("com.example.ios", { room_id: mark(i) }));
      await sleep(10);
    }
    assert.ok(answers.every(({ how }) => how === "ok"));
    const walFd = await fdOf(childOf(pid), "gateway.db-wal");
    process.kill(childOf(pid), "SIGKILL");
    await gateway.ended();
    const calls = (await readFile(trace, "utf8")).split("\n").flatMap(parse);
    const isFlush = (call: Call): boolean => call.name.startsWith("f") && call.fd === walFd;
    let checked = 0;
    for (const [place, call] of calls.entries()) {
      if (!call.text.includes(ANSWER) || !call.text.includes("rejected")) continue;
      const before = calls.slice(0, place);
      const written = before.findIndex(
        ({ name, fd, text }) => name === "pwrite64" && fd === walFd && text.includes(mark(checked)),
      );
      assert.ok(written >= 0, `answer ${checked}: its push was not written`);
      assert.ok(
        before.slice(written).some(isFlush),
        `answer ${checked}: no flush between the write and the answer`,
      );
      checked += 1;
    }
    const flushes = calls.filter(isFlush).length;
    assert.equal(checked, answers.length, "answers in the trace");
    return `${checked} answers, each after its write and a flush (${flushes} flushes)`;
  });
}

/** Names a push, so that it can be found in the trace. */
const mark = (number: number): string => `!flush-${String(number).padStart(6, "0")}`;

/** The file of the call that each thread is in. */
const latest = new Map<string, number>();

/** Calls that another thread interrupts stand on two lines, the second without its file. */
function parse(line: string): readonly Call[] {
  const match = /^(\d+) +(?:<\.\.\. )?(\w+)(?: resumed>|\((\d+))(.*)$/.exec(line);
  if (match === null) return [];
  const [, thread = "", name = "", fd, text = ""] = match;
  if (fd !== undefined) latest.set(thread, Number(fd));
  const call = { name, fd: latest.get(thread) ?? -1, text };
  if (!text.includes("<unfinished")) return fd === undefined && !name.startsWith("f") ? [] : [call];
  // A flush counts when it has ended, a write when it has begun.
  return name.startsWith("f") ? [] : [call];
}

async function fdOf(pid: number, name: string): Promise<number> {
  for (let fd = 3; fd < 256; fd += 1) {
    const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => "");
    if (target.endsWith(name)) return fd;
  }
  throw new Error(`${name} is not open`);
}
