import { stat } from "node:fs/promises";
import {
  ANDROID,
  IOS,
  iosPushkey,
  message,
  startGateway,
  type GatewaySetUp,
  type RunningGateway,
} from "../support/with-gateway.ts";

const down = { kind: "error", reason: "ServiceUnavailable" } as const;

/** A gateway that waits 300 ms for an upstream before it promises. */
async function withGateway(
  setUp: GatewaySetUp,
  work: (gateway: RunningGateway) => Promise<void>,
): Promise<void> {
  const gateway = await startGateway({
    ...setUp,
    config: { delivery: { answer_within: "300ms" }, ...setUp.config },
  });
  try {
    // The guard believes rejections once something has succeeded.
    await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey("aa00") }]));
    await gateway.notify(message([{ app_id: ANDROID, pushkey: "warm-up" }]));
    await work(gateway);
  } finally {
    await gateway.stop();
  }
}

const outbox = (gateway: RunningGateway, state: string, app = IOS): Promise<number> =>
  gateway.metric(`signalbox_outbox_pushes{app="${app}",state="${state}"}`);

async function until(what: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 15_000;
  while (!(await what())) {
    if (performance.now() > end) throw new Error("not within 15 s");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const holds = async (gateway: RunningGateway): Promise<boolean> => {
  const [accepted, ...states] = await Promise.all(
    ["accepted", "handed", "rejected", "expired", "dropped", "pending"].map((state) =>
      outbox(gateway, state),
    ),
  );
  return accepted === states.reduce((sum, each) => sum + each, 0);
};

describe("the outbox", () => {
  it("promises what is open when the window ends, and keeps it when the upstream is back", () =>
    withGateway({}, async (gateway) => {
      const [rule] = gateway.simulators.script.add({ upstream: "apns", answer: down });
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, i) =>
          gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey(`ab0${i}`) }])),
        ),
      );
      for (const answer of answers) expect(answer).toMatchObject({ status: 200, body: { rejected: [] } });
      expect(await outbox(gateway, "pending")).toBe(10);
      gateway.simulators.script.remove(rule ?? 0);
      await until(async () => (await outbox(gateway, "handed")) === 10);
      const tokens = gateway.simulators.recorder.accepted
        .map(({ token }) => token)
        .filter((token) => token?.startsWith("ab0"));
      expect(new Set(tokens).size).toBe(10);
      expect(tokens).toHaveLength(10);
      expect(await holds(gateway)).toBe(true);
      expect(await outbox(gateway, "pending")).toBe(0);
    }));

  it("answers at once when the circuit is open", () =>
    withGateway({}, async (gateway) => {
      gateway.simulators.script.add({ upstream: "apns", answer: down });
      for (let i = 0; i < 8; i += 1)
        await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey(`ac0${i}`) }]));
      const asked = gateway.asked();
      const startedMs = performance.now();
      for (let i = 0; i < 20; i += 1) {
        expect(
          (await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey(`ad${i}`.padEnd(4, "0")) }])))
            .status,
        ).toBe(200);
      }
      expect(performance.now() - startedMs).toBeLessThan(5_000);
      expect(gateway.asked() - asked).toBeLessThanOrEqual(2);
      // The other app does not notice.
      expect(await gateway.notify(message([{ app_id: ANDROID, pushkey: "untouched" }]))).toMatchObject({
        status: 200,
      });
      expect(await outbox(gateway, "accepted", ANDROID)).toBe(0);
    }));

  it("settles a promised push by its late answer: nothing is sent twice", () =>
    withGateway({}, async (gateway) => {
      gateway.simulators.script.add({ upstream: "apns", tokenPrefix: "ae", delay: 1_000 });
      const notification = message([{ app_id: IOS, pushkey: iosPushkey("ae01") }]);
      expect(await gateway.notify(notification)).toMatchObject({ status: 200 });
      expect(await outbox(gateway, "pending")).toBe(1);
      expect(await gateway.notify(notification)).toMatchObject({ status: 200 });
      await until(async () => (await outbox(gateway, "handed")) === 1);
      expect(await gateway.notify(notification)).toMatchObject({ status: 200 });
      expect(
        gateway.simulators.recorder.requests.filter(({ token }) => token?.startsWith("ae")),
      ).toHaveLength(1);
      expect([await outbox(gateway, "accepted"), await holds(gateway)]).toEqual([1, true]);
    }));

  it("reports a verdict that came after the answer on the next request", () =>
    withGateway({}, async (gateway) => {
      const pushkey = iosPushkey("af01");
      gateway.simulators.script.add({
        upstream: "apns",
        tokenPrefix: "af",
        delay: 800,
        answer: { kind: "error", reason: "Unregistered" },
      });
      expect((await gateway.notify(message([{ app_id: IOS, pushkey }]))).body).toEqual({ rejected: [] });
      await until(async () => (await outbox(gateway, "rejected")) === 1);
      expect((await gateway.notify(message([{ app_id: IOS, pushkey }]))).body).toEqual({
        rejected: [pushkey],
      });
    }));

  it("sends no call that nobody would pick up any more", () =>
    withGateway(
      { config: { delivery: { answer_within: "300ms", expire_after: { call: "2s" } } } },
      async (gateway) => {
        const [rule] = gateway.simulators.script.add({ upstream: "apns", answer: down });
        const call = { type: "m.call.invite", content: { offer: { sdp: "v=0" } } };
        expect(
          await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey("b001") }], call)),
        ).toMatchObject({ status: 200 });
        await until(async () => (await outbox(gateway, "expired")) === 1);
        gateway.simulators.script.remove(rule ?? 0);
        expect(
          gateway.simulators.recorder.accepted.filter(({ token }) => token?.startsWith("b001")),
        ).toHaveLength(0);
        expect(await holds(gateway)).toBe(true);
      },
    ));

  it("replaces a badge that waits by a newer one", () =>
    withGateway({}, async (gateway) => {
      const [rule] = gateway.simulators.script.add({ upstream: "apns", answer: down });
      for (let i = 0; i < 6; i += 1)
        await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey(`b10${i}`) }]));
      const device = { app_id: IOS, pushkey: iosPushkey("b201") };
      for (const unread of [1, 2, 3]) {
        expect(await gateway.notify({ counts: { unread }, devices: [device] })).toMatchObject({
          status: 200,
        });
      }
      gateway.simulators.script.remove(rule ?? 0);
      await until(async () => (await outbox(gateway, "pending")) === 0);
      const badges = gateway.simulators.recorder.accepted.filter(({ token }) => token?.startsWith("b201"));
      expect(badges.map(({ payload }) => payload)).toEqual([{ aps: { badge: 3 } }]);
      expect(await holds(gateway)).toBe(true);
    }));

  it("promises nothing beyond its caps: 503 with Retry-After, the other app untouched", () =>
    withGateway(
      { config: { delivery: { answer_within: "200ms" }, outbox: { max_rows: 10, app_share: 0.5 } } },
      async (gateway) => {
        gateway.simulators.script.add({ upstream: "apns", answer: down });
        const statuses: number[] = [];
        for (let i = 0; i < 8; i += 1) {
          const answer = await gateway.notify(
            message([{ app_id: IOS, pushkey: iosPushkey(`b3${i}`.padEnd(4, "0")) }]),
          );
          statuses.push(answer.status);
          if (answer.status === 503) expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
        }
        expect(statuses).toEqual([200, 200, 200, 200, 200, 503, 503, 503]);
        gateway.simulators.script.add({ upstream: "fcm", answer: { kind: "error", reason: "UNAVAILABLE" } });
        expect(await gateway.notify(message([{ app_id: ANDROID, pushkey: "other" }]))).toMatchObject({
          status: 200,
        });
      },
    ));

  it("writes nothing for the usual push", () =>
    withGateway({}, async (gateway) => {
      const size = async (): Promise<number> =>
        (await stat(`${gateway.storeFile}-wal`)).size + (await stat(gateway.storeFile)).size;
      // What the first success of each app made the store remember is written by then.
      await until(async () => {
        const first = await size();
        await new Promise((resolve) => setTimeout(resolve, 300));
        return first === (await size());
      });
      const before = await size();
      for (let i = 0; i < 50; i += 1) {
        await gateway.notify(
          message([{ app_id: IOS, pushkey: iosPushkey(`b4${String(i).padStart(2, "0")}`) }]),
        );
      }
      expect(await size()).toBe(before);
      expect(await outbox(gateway, "accepted")).toBe(0);
    }));

  it("answers at once and delivers afterwards when it never waits", () =>
    withGateway({ config: { delivery: { answer_within: 0 } } }, async (gateway) => {
      gateway.simulators.script.add({ upstream: "apns", tokenPrefix: "b5", delay: 3_000 });
      const startedMs = performance.now();
      expect(await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey("b501") }]))).toMatchObject({
        status: 200,
      });
      expect(performance.now() - startedMs).toBeLessThan(2_500);
      await until(async () => (await outbox(gateway, "pending")) === 0);
      expect(
        gateway.simulators.recorder.accepted.filter(({ token }) => token?.startsWith("b5")),
      ).toHaveLength(1);
    }));

  it("keeps content no longer than the push, and no pushkey at any time", () =>
    withGateway({}, async (gateway) => {
      const { readFile } = await import("node:fs/promises");
      const [rule] = gateway.simulators.script.add({ upstream: "apns", answer: down });
      const pushkey = iosPushkey("b601", "5a");
      const text = "canary-text-in-the-outbox";
      await gateway.notify(
        message([{ app_id: IOS, pushkey }], { content: { msgtype: "m.text", body: text } }),
      );
      gateway.simulators.script.remove(rule ?? 0);
      await until(async () => (await outbox(gateway, "handed")) === 1);
      await gateway.gateway.stop({ drainMs: 0 });
      const file = (await readFile(gateway.storeFile)).toString("latin1");
      expect(file).not.toContain(text);
      expect(file).not.toContain(pushkey);
    }));
});
