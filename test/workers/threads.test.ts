import { rename } from "node:fs/promises";
import { systemClock, type Clock } from "../../src/clock.ts";
import { freePort } from "../support/free-port.ts";
import { callersOf, watchThreads, type Caller } from "../support/threads.ts";
import {
  ANDROID,
  IOS,
  iosPushkey,
  message,
  startGateway,
  type GatewaySetUp,
  type RunningGateway,
} from "../support/with-gateway.ts";

interface TwoThreads extends RunningGateway {
  /** A connection to each thread. */
  readonly callers: readonly [Caller, Caller];
}

/** A gateway with two threads, both of which have delivered a push. */
async function withThreads(
  config: GatewaySetUp["config"],
  work: (gateway: TwoThreads) => Promise<void>,
): Promise<void> {
  const gateway = await startGateway({ config: { workers: 2, ...config } });
  const close: Caller[] = [];
  try {
    const callers = await callersOf(gateway);
    close.push(...callers);
    for (const [i, caller] of callers.entries()) {
      const answer = await caller.notify(message([{ app_id: IOS, pushkey: iosPushkey(`aa0${i}`) }]));
      expect(answer).toMatchObject({ status: 200, body: { rejected: [] } });
    }
    await work(Object.assign(gateway, { callers }));
  } finally {
    for (const caller of close) caller.close();
    await gateway.stop();
  }
}

async function until(what: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await what())) {
    if (performance.now() > end) throw new Error("not within 20 s");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const ios = (prefix: string, more: object = {}): object => ({
  app_id: IOS,
  pushkey: iosPushkey(prefix),
  ...more,
});

/** How often the upstream was asked about tokens that begin so. */
const sentTo = ({ simulators }: RunningGateway, prefix: string): number =>
  simulators.recorder.requests.filter(({ token }) => token?.startsWith(prefix)).length;

const delivered = `signalbox_outcomes_total{app="${IOS}",kind="delivered",reason=""}`;

describe("two threads", () => {
  it("both answer, each over its own connections, and one scrape sums what they count", () =>
    withThreads({}, async (gateway) => {
      for (let i = 0; i < 20; i += 1) {
        const answer = await gateway.callers[i % 2]?.notify(message([ios(`ab${10 + i}`)]));
        expect(answer?.status).toBe(200);
      }
      expect(await gateway.metric(delivered)).toBe(22);
      expect(await gateway.metric(`signalbox_upstream_connections{app="${IOS}"}`)).toBe(2);
      // What is the process's, or the same everywhere, is told once.
      const text = await gateway.metrics();
      expect(text).toMatch(/^signalbox_build_info\{[^}]*\} 1$/m);
      expect(text).toMatch(/^process_start_time_seconds \d+/m);
      expect(text).toContain(`signalbox_guard_holding{app="${IOS}",reason="never-succeeded"} 0`);
      expect(await gateway.metric("sygnal_apns_request_time_count")).toBe(22);
    }));

  it("send a push once that comes to both at once, and know it as delivered afterwards", () =>
    withThreads({}, async (gateway) => {
      gateway.simulators.script.add({ upstream: "apns", delay: 300 });
      const pushes = Array.from({ length: 10 }, (_, i) => message([ios(`ac0${i}`)]));
      const answers = await Promise.all(
        pushes.flatMap((push) => gateway.callers.map((caller) => caller.notify(push))),
      );
      for (const answer of answers) expect(answer).toEqual({ status: 200, body: { rejected: [] } });
      expect(sentTo(gateway, "ac0")).toBe(10);
      gateway.simulators.script.clear();
      for (const push of pushes) {
        for (const caller of gateway.callers) expect((await caller.notify(push)).status).toBe(200);
      }
      expect(sentTo(gateway, "ac0")).toBe(10);
    }));

  it("tell both callers of a rejection that one of them asked for, and promise a slow push once", () =>
    withThreads({ delivery: { answer_within: "200ms" } }, async (gateway) => {
      const { script } = gateway.simulators;
      script.add({
        upstream: "apns",
        tokenPrefix: "ad00",
        delay: 100,
        answer: { kind: "error", reason: "Unregistered" },
      });
      const dead = ios("ad00");
      const rejected = await Promise.all(
        gateway.callers.map((caller) => caller.notify(message([dead], { event_id: "$dead" }))),
      );
      for (const { body } of rejected) expect(body).toEqual({ rejected: [iosPushkey("ad00")] });
      expect(sentTo(gateway, "ad00")).toBe(1);

      script.add({ upstream: "apns", tokenPrefix: "ad01", delay: 900 });
      const slow = message([ios("ad01")]);
      const promised = await Promise.all(gateway.callers.map((caller) => caller.notify(slow)));
      for (const answer of promised) expect(answer).toEqual({ status: 200, body: { rejected: [] } });
      const states = `signalbox_outbox_pushes{app="${IOS}",state=`;
      await until(async () => (await gateway.metric(`${states}"handed"}`)) === 1);
      expect(await gateway.metric(`${states}"accepted"}`)).toBe(1);
      for (const caller of gateway.callers) expect((await caller.notify(slow)).status).toBe(200);
      expect(sentTo(gateway, "ad01")).toBe(1);
    }));

  it("know in the same instant what the other has learnt of a dead pushkey", () =>
    withThreads({}, async (gateway) => {
      gateway.simulators.script.add({ upstream: "apns", answer: { kind: "error", reason: "Unregistered" } });
      for (let i = 0; i < 20; i += 1) {
        const device = ios(`ae${10 + i}`);
        const [one, other] = i % 2 === 0 ? gateway.callers : [...gateway.callers].reverse();
        for (const caller of [one, other]) {
          const answer = await caller?.notify(message([device]));
          expect(answer?.body).toEqual({ rejected: [iosPushkey(`ae${10 + i}`)] });
        }
      }
      expect(sentTo(gateway, "ae")).toBe(20);
    }));

  it("have one guard: a wrong topic unregisters no more than with one thread", () =>
    withThreads({ rejections: { guard: { minimum: 10, share: 0.2, window: "5m" } } }, async (gateway) => {
      gateway.simulators.script.add({
        upstream: "apns",
        answer: { kind: "error", reason: "BadDeviceToken" },
      });
      let believed = 0;
      for (let i = 0; i < 20; i += 1) {
        const answer = await gateway.callers[i % 2]?.notify(message([ios(`af${10 + i}`)]));
        believed += (answer?.body as { rejected: string[] }).rejected.length;
      }
      // Two fifths of the minimum in a row trip it; a success of before may have been told after the first of them.
      expect([3, 4]).toContain(believed);
      expect(await gateway.metric(`signalbox_guard_holding{app="${IOS}",reason="mass-rejection"}`)).toBe(1);
      gateway.simulators.script.clear();
      // A success in the thread that has not the guard releases the app.
      expect((await gateway.callers[1].notify(message([ios("b000")]))).status).toBe(200);
      await until(
        async () =>
          (await gateway.metric(`signalbox_guard_holding{app="${IOS}",reason="mass-rejection"}`)) === 0,
      );
    }));

  it("count a device's pushes together, and an address's requests", () =>
    withThreads({ limits: { per_device: "4/h" } }, async (gateway) => {
      for (let i = 0; i < 8; i += 1) await gateway.callers[i % 2]?.notify(message([ios("b100")]));
      expect(sentTo(gateway, "b100")).toBe(4);
      expect(await gateway.metric(`signalbox_limited_total{app="${IOS}",limit="device"}`)).toBe(4);
    }));

  it("explain what the other has sent, and show its pushes in the status", async () => {
    await withThreads({ admin: { port: await freePort() } }, async (gateway) => {
      const event = message([ios("b200")], { event_id: "$by-the-other" });
      expect((await gateway.callers[1].notify(event)).status).toBe(200);
      const response = await fetch(`${gateway.adminUrl}/explain`, {
        method: "POST",
        body: JSON.stringify({ subject: "$by-the-other" }),
      });
      expect(await response.json()).toMatchObject({
        found: true,
        pushes: [{ outcome: "delivered", app: IOS }],
      });

      gateway.simulators.script.add({ upstream: "fcm", delay: 400 });
      const pending = gateway.callers.map((caller, i) =>
        caller.notify(message([{ app_id: ANDROID, pushkey: `slow-${i}` }])),
      );
      const inFlight = async (): Promise<unknown> => {
        const status = (await (await fetch(`${gateway.adminUrl}/status`)).json()) as {
          apps: { app: string; in_flight: number; in_flight_limit: number }[];
        };
        return status.apps.find(({ app }) => app === ANDROID);
      };
      await until(async () => ((await inFlight()) as { in_flight: number }).in_flight === 2);
      expect(await inFlight()).toMatchObject({ in_flight_limit: 512 });
      await Promise.all(pending);
    });
  });

  it("take a reload over together, and a wrong one not at all", () =>
    withThreads({}, async (gateway) => {
      const { script } = gateway.simulators;
      await gateway.rewrite((config) => ({
        ...config,
        apps: { ...config.apps, "com.example.second": config.apps[IOS] },
      }));
      const second = { app_id: "com.example.second", pushkey: iosPushkey("b300") };
      for (const caller of gateway.callers) {
        expect((await caller.notify(message([second]))).body).toEqual({ rejected: [second.pushkey] });
      }
      expect(await gateway.gateway.reload()).toMatchObject({
        ok: true,
        apps: { added: ["com.example.second"] },
      });
      for (const caller of gateway.callers) {
        expect((await caller.notify(message([second]))).body).toEqual({ rejected: [] });
      }
      expect(sentTo(gateway, "b300")).toBe(2);
      script.clear();
      await gateway.rewrite(() => "http: {port: nowhere}\n");
      expect(await gateway.gateway.reload()).toMatchObject({ ok: false });
      for (const caller of gateway.callers) {
        expect((await caller.notify(message([second]))).body).toEqual({ rejected: [] });
      }
    }));

  it("both finish what is under way when they are stopped", () =>
    withThreads({}, async (gateway) => {
      gateway.simulators.script.add({ upstream: "apns", delay: 500 });
      const answers = gateway.callers.flatMap((caller, i) => [caller.notify(message([ios(`b40${i}`)]))]);
      await until(() => sentTo(gateway, "b40") === 2);
      await gateway.gateway.stop({ drainMs: 0 });
      for (const answer of answers) expect(await answer).toEqual({ status: 200, body: { rejected: [] } });
      await expect(fetch(gateway.url)).rejects.toThrow();
      expect(gateway.logLines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
    }));

  it("refuse a port that another program shares", () =>
    withThreads({}, async ({ url }) => {
      const port = Number(new URL(url).port);
      await expect(startGateway({ config: { workers: 2, http: { port } } })).rejects.toThrow("EADDRINUSE");
    }));
});

describe("a thread that ends", () => {
  it("loses nothing that was promised, takes no counter down, and is started again", async () => {
    const threads = watchThreads();
    try {
      await withThreads({ delivery: { answer_within: "150ms" } }, async (gateway) => {
        const { script } = gateway.simulators;
        script.add({ upstream: "apns", tokenPrefix: "c0", times: 10, answer: { kind: "hang" } });
        const [, other] = gateway.callers;
        const answers = await Promise.all(
          Array.from({ length: 10 }, (_, i) => other.notify(message([ios(`c0${10 + i}`)]))),
        );
        for (const answer of answers) expect(answer).toMatchObject({ status: 200, body: { rejected: [] } });
        const before = await gateway.metric(delivered);
        const received = await gateway.metric("sygnal_notifications_received_total");
        expect([before, received]).toEqual([2, 12]);

        const [worker] = threads.named("gateway 1");
        await worker?.terminate();
        expect(await gateway.metric(delivered)).toBeGreaterThanOrEqual(before);
        expect(await gateway.metric("sygnal_notifications_received_total")).toBe(received);

        const handed = `signalbox_outbox_pushes{app="${IOS}",state="handed"}`;
        await until(async () => (await gateway.metric(handed)) === 10);
        const accepted = gateway.simulators.recorder.accepted.filter(({ token }) => token?.startsWith("c0"));
        expect(accepted).toHaveLength(10);
        expect(await gateway.metric('signalbox_alarms_total{app="",alarm="thread-ended"}')).toBe(1);

        const again = await callersOf(gateway);
        for (const [i, caller] of again.entries()) {
          expect((await caller.notify(message([ios(`c10${i}`)]))).status).toBe(200);
          caller.close();
        }
        // The new one counts on from what the former had counted.
        expect(await gateway.metric("sygnal_notifications_received_total")).toBe(received + 2);
        expect(threads.named("gateway 1")).toHaveLength(2);
      });
    } finally {
      threads.stop();
    }
  });

  it("frees the pushes that it was sending for the other thread", async () => {
    const threads = watchThreads();
    try {
      await withThreads({}, async (gateway) => {
        gateway.simulators.script.add({
          upstream: "apns",
          tokenPrefix: "c2",
          times: 1,
          answer: { kind: "hang" },
        });
        const push = message([ios("c200")]);
        const [first, other] = gateway.callers;
        const lost = other.notify(push).catch(() => "cut");
        await until(() => sentTo(gateway, "c2") === 1);
        const waiting = first.notify(push);
        await threads.named("gateway 1")[0]?.terminate();
        expect(await lost).toBe("cut");
        expect(await waiting).toEqual({ status: 200, body: { rejected: [] } });
        expect(sentTo(gateway, "c2")).toBe(2);
      });
    } finally {
      threads.stop();
    }
  });
});

describe("threads that end again and again", () => {
  /** A clock whose timers are a hundred times as fast from `hurry` on. */
  function hastyClock(): { readonly clock: Clock; readonly hurry: () => void } {
    let speed = 1;
    const schedule: Clock["schedule"] = (ms, callback) => systemClock.schedule(ms / speed, callback);
    return { clock: { ...systemClock, schedule }, hurry: () => (speed = 100) };
  }

  it("end the process in the end, with one line that says so", async () => {
    const threads = watchThreads();
    const { clock, hurry } = hastyClock();
    const gateway = await startGateway({ config: { workers: 2 }, clock });
    try {
      hurry();
      const ended = new Set<unknown>();
      await until(async () => {
        const latest = threads.named("gateway 1").at(-1);
        if (latest !== undefined && !ended.has(latest)) {
          ended.add(latest);
          await latest.terminate();
        }
        return gateway.logLines.some((line) => line.startsWith("FATAL"));
      });
      const fatal = gateway.logLines.filter((line) => line.startsWith("FATAL"));
      expect(fatal).toEqual([
        "FATAL threads end again and again, 10 in 5 minutes: the gateway ends, the lines before say what ended them",
      ]);
      expect(await gateway.metric('signalbox_alarms_total{app="",alarm="thread-ended"}')).toBe(10);
    } finally {
      await gateway.stop();
      threads.stop();
    }
  });

  it("do not, where one cannot start for a reason it names: the first serves on until it can", async () => {
    const threads = watchThreads();
    const { clock, hurry } = hastyClock();
    const gateway = await startGateway({ config: { workers: 2 }, clock });
    try {
      const keyfile = gateway.gateway.config.apps.get(IOS)?.options["keyfile"] as string;
      await rename(keyfile, `${keyfile}.gone`);
      hurry();
      await threads.named("gateway 1")[0]?.terminate();
      const refused = (): number =>
        gateway.logLines.filter((line) => line.includes("cannot be started, the others serve on")).length;
      await until(() => refused() > 1);
      expect(gateway.logLines.filter((line) => line.startsWith("FATAL"))).toEqual([]);
      expect(await gateway.metric('signalbox_threads{state="missing"}')).toBe(1);
      expect((await gateway.notify(message([ios("d000")]))).status).toBe(200);
      await rename(`${keyfile}.gone`, keyfile);
      await until(async () => (await gateway.metric('signalbox_threads{state="serving"}')) === 2);
    } finally {
      await gateway.stop();
      threads.stop();
    }
  });
});
