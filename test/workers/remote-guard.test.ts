import type { GuardPolicy } from "../../src/core/guard.ts";
import { RemoteGuard, type GuardLine } from "../../src/workers/remote-guard.ts";
import { digestOf } from "../../src/workers/shared-table.ts";
import { createFakeClock, type FakeClock } from "../support/fake-clock.ts";

const policy: GuardPolicy = { share: 0.2, minimum: 50, windowMs: 300_000 };
const device = digestOf("a device");

interface Said {
  readonly name: string;
  readonly given: unknown;
}

function world(answer: () => Promise<unknown>): { guard: RemoteGuard; clock: FakeClock; said: Said[] } {
  const clock = createFakeClock();
  const said: Said[] = [];
  const line: GuardLine = {
    ask(name, given) {
      said.push({ name, given });
      return answer() as never;
    },
    tell: (name, given) => void said.push({ name, given }),
  };
  return { guard: new RemoteGuard({ app: "a", fingerprint: "f", policy, line, clock }), clock, said };
}

describe("the guard of a thread that is not the first", () => {
  it("asks the first thread, which has first heard of what went well", async () => {
    const { guard, said } = world(() => Promise.resolve({ held: undefined, justTripped: false }));
    guard.succeeded(digestOf("one"));
    guard.sawCertainRejection(digestOf("two"));
    expect(await guard.judge(device)).toEqual({ held: undefined, justTripped: false });
    const about = { app: "a", fingerprint: "f" };
    const notes = [
      [digestOf("one"), true],
      [digestOf("two"), false],
    ];
    expect(said).toEqual([
      { name: "judged", given: { ...about, notes } },
      { name: "judge", given: { ...about, device } },
    ]);
  });

  it("tells what went well within a moment, together", async () => {
    const { clock, guard, said } = world(() => Promise.resolve(undefined));
    for (let i = 0; i < 700; i += 1) guard.succeeded(digestOf(String(i)));
    expect(said).toEqual([]);
    await clock.advance(50);
    expect(said).toHaveLength(1);
    expect((said[0]?.given as { notes: unknown[] }).notes).toHaveLength(500);
  });

  it.each([
    ["says nothing", () => new Promise(() => {})],
    ["has this app no more", () => Promise.resolve(undefined)],
  ])("believes no verdict when the first thread %s", async (_what, answer) => {
    const { clock, guard } = world(answer);
    const judged = guard.judge(device);
    const malformed = guard.judgeMalformed(device);
    await clock.advance(2_000);
    expect(await judged).toEqual({ held: "mass-rejection", justTripped: false });
    expect(await malformed).toBe(true);
  });

  it("asks nobody where the guard is off", async () => {
    const clock = createFakeClock();
    const line: GuardLine = {
      ask: () => Promise.reject(new Error("asked")),
      tell: () => {},
    };
    const guard = new RemoteGuard({ app: "a", fingerprint: "f", policy: undefined, line, clock });
    expect(await guard.judge(device)).toEqual({ held: undefined, justTripped: false });
    expect(await guard.judgeMalformed(device)).toBe(false);
    expect([guard.hasPolicy(undefined), guard.hasPolicy(policy)]).toEqual([true, false]);
  });
});
