import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, type Clock } from "../../../src/clock.ts";
import { IOS, message } from "../../support/with-gateway.ts";
import { freshIos, withGateway } from "./shared.ts";

/** B25: one event over and over: in a row, at once, over an orderly restart, and when its day is over. */
export async function repeatedEvents(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "signalbox-repeats-"));
  const storeFile = join(directory, "s.db");
  // The wall clock alone is moved: what is measured stays measured.
  let aheadMs = 0;
  const clock: Clock = {
    now: () => systemClock.now() + aheadMs,
    monotonic: () => systemClock.monotonic(),
    schedule: (ms, work) => systemClock.schedule(ms, work),
    sleep: (ms, signal) => systemClock.sleep(ms, signal),
  };
  const old = message([{ app_id: IOS, pushkey: freshIos() }]);
  try {
    let repeats = 0;
    await withGateway({ storeFile, clock, simulators: { clock } }, async (gateway) => {
      gateway.simulators.script.add({ upstream: "apns", delay: 150 });
      const before = gateway.asked();
      const atOnce = await Promise.all(Array.from({ length: 50 }, () => gateway.notify(old)));
      for (const { status, body } of atOnce) assert.deepEqual([status, body], [200, { rejected: [] }]);
      for (let i = 0; i < 20; i += 1) assert.equal((await gateway.notify(old)).status, 200);
      repeats += 70;
      assert.equal(gateway.asked(), before + 1);
    });
    await withGateway({ storeFile, clock, simulators: { clock }, cold: true }, async (gateway) => {
      const before = gateway.asked();
      for (let i = 0; i < 20; i += 1) {
        const { status, body } = await gateway.notify(old);
        assert.deepEqual([status, body], [200, { rejected: [] }]);
      }
      repeats += 20;
      assert.equal(gateway.asked(), before);
    });
    // While it runs a gateway does not believe a clock that jumps (PR09): the day passes between two lives.
    aheadMs = 24 * 60 * 60 * 1_000 + 1_000;
    await withGateway({ storeFile, clock, simulators: { clock }, cold: true }, async (gateway) => {
      const before = gateway.asked();
      assert.equal((await gateway.notify(old)).status, 200);
      assert.equal(gateway.asked(), before + 1);
    });
    return `${repeats} repeats, 1 hand-over; again after 24 h + 1 s`;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
