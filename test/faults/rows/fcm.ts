import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { Answer } from "../../../src/simulator/script.ts";
import { ANDROID, message, type GatewaySetUp, type RunningGateway } from "../../support/with-gateway.ts";
import type { Fault } from "../fault.ts";
import { freshAndroid, sleep, timed, until, withGateway } from "../support/shared.ts";

type Notified = Awaited<ReturnType<RunningGateway["notify"]>>;

const push = (gateway: RunningGateway, pushkey = freshAndroid()): Promise<Notified> =>
  gateway.notify(message([{ app_id: ANDROID, pushkey }]));

const error = (reason: string, more: object = {}): Answer => ({ kind: "error", reason, ...more });

const state = (gateway: RunningGateway, name: string): Promise<number> =>
  gateway.metric(`signalbox_outbox_pushes{app="${ANDROID}",state="${name}"}`);

const alarms = (gateway: RunningGateway, alarm: string): Promise<number> =>
  gateway.metric(`signalbox_alarms_total{app="${ANDROID}",alarm="${alarm}"}`);

const dropped = (gateway: RunningGateway): Promise<number> =>
  gateway.metric(`signalbox_outcomes_total{app="${ANDROID}",kind="dropped",reason="refused-by-upstream"}`);

function expectDelivered(answers: readonly Notified[]): void {
  for (const { status, body } of answers) assert.deepEqual([status, body], [200, { rejected: [] }]);
}

const short = (answerWithin = "300ms"): GatewaySetUp => ({
  config: { delivery: { answer_within: answerWithin } },
});

/** How long after it was put off the one waiting push may be tried again, as the store has it. */
function waitInStore(file: string): number {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const row = database
      .prepare("SELECT due_ms - queued_ms AS wait FROM outbox ORDER BY entry DESC LIMIT 1")
      .get();
    return Number(row?.["wait"]);
  } finally {
    database.close();
  }
}

export const fcmFaults: readonly Fault[] = [
  {
    number: "UF01",
    fault: "404 with FcmError UNREGISTERED",
    tier: 1,
    ci: true,
    run: () =>
      withGateway({}, async (gateway) => {
        const pushkey = freshAndroid();
        gateway.simulators.script.add({ upstream: "fcm", times: 1, answer: error("UNREGISTERED") });
        assert.deepEqual((await push(gateway, pushkey)).body, { rejected: [pushkey] });
        const asked = gateway.asked();
        assert.deepEqual((await push(gateway, pushkey)).body, { rejected: [pushkey] });
        assert.equal(gateway.asked(), asked);
        return "rejected, and again without asking";
      }),
  },
  {
    number: "UF02",
    fault: "404 without it: a wrong project, HTML from a proxy",
    tier: 1,
    ci: true,
    run: async () => {
      const answers: readonly Answer[] = [
        error("NOT_FOUND", { status: 404 }),
        { kind: "raw", status: 404 },
        { kind: "raw", status: 404, body: "" },
        { kind: "raw", status: 404, body: '{"error":{"status":"NOT_FOUND","details":"x"}}' },
      ];
      for (const answer of answers) {
        await withGateway(short(), async (gateway) => {
          gateway.simulators.script.add({ upstream: "fcm", answer });
          for (let i = 0; i < 5; i += 1) assert.deepEqual((await push(gateway)).body, { rejected: [] });
          assert.ok((await alarms(gateway, "credentials")) > 0);
          assert.deepEqual([await state(gateway, "pending"), await state(gateway, "rejected")], [5, 0]);
        });
      }
      return `${answers.length} kinds of 404, 0 of ${answers.length * 5} rejected, alarm, all wait`;
    },
  },
  {
    number: "UF03",
    fault: "400 INVALID_ARGUMENT on the token, or on a field",
    tier: 1,
    run: () =>
      withGateway({}, async (gateway) => {
        for (const reason of ["INVALID_TOKEN", "INVALID_TOKEN_MESSAGE"]) {
          const pushkey = freshAndroid();
          gateway.simulators.script.add({ upstream: "fcm", times: 1, answer: error(reason) });
          assert.deepEqual((await push(gateway, pushkey)).body, { rejected: [pushkey] }, reason);
        }
        for (const reason of ["INVALID_ARGUMENT", "RECIPIENT_NOT_SET"]) {
          const before = await dropped(gateway);
          gateway.simulators.script.add({ upstream: "fcm", times: 1, answer: error(reason) });
          expectDelivered([await push(gateway)]);
          assert.equal(await dropped(gateway), before + 1, reason);
        }
        assert.equal(await alarms(gateway, "refused-by-upstream"), 2);
        return "the token: rejected; a field: dropped with an alarm";
      }),
  },
  {
    number: "UF04",
    fault: "403 SENDER_ID_MISMATCH; PERMISSION_DENIED",
    tier: 1,
    run: async () => {
      const rejected = await withGateway(short("2s"), async (gateway) => {
        for (let i = 0; i < 60; i += 1) await push(gateway);
        gateway.simulators.script.add({ upstream: "fcm", answer: error("SENDER_ID_MISMATCH") });
        let count = 0;
        for (let i = 0; i < 150; i += 1)
          count += ((await push(gateway)).body as { rejected: string[] }).rejected.length;
        assert.ok(count > 0 && count < 50, `${count} rejected`);
        assert.ok((await alarms(gateway, "rejections-held-mass")) > 0);
        return count;
      });
      for (const reason of ["IAM_PERMISSION_DENIED", "SERVICE_DISABLED"]) {
        await withGateway(short("1s"), async (gateway) => {
          gateway.simulators.script.add({ upstream: "fcm", answer: error(reason) });
          await push(gateway);
          const asked = gateway.asked();
          for (let i = 0; i < 10; i += 1) expectDelivered([await push(gateway)]);
          assert.equal(gateway.asked(), asked, "the circuit is not open");
          assert.ok((await alarms(gateway, "credentials")) > 0);
        });
      }
      return `${rejected} of 150 rejected before the breaker; permission: circuit open, 0 rejected`;
    },
  },
  {
    number: "UF05",
    fault: "401 UNAUTHENTICATED; THIRD_PARTY_AUTH_ERROR",
    tier: 1,
    run: async () => {
      await withGateway({}, async (gateway) => {
        const tokens = gateway.simulators.fcm.oauth.requests;
        gateway.simulators.fcm.oauth.revokeAll();
        expectDelivered(await Promise.all(Array.from({ length: 50 }, () => push(gateway))));
        assert.equal(gateway.simulators.fcm.oauth.requests, tokens + 1, "more than one refresh");
      });
      for (const reason of ["ACCESS_TOKEN_TYPE_UNSUPPORTED", "THIRD_PARTY_AUTH_ERROR"]) {
        await withGateway(short("1s"), async (gateway) => {
          const before = gateway.asked();
          gateway.simulators.script.add({ upstream: "fcm", answer: error(reason) });
          assert.deepEqual((await push(gateway)).body, { rejected: [] });
          const perPush = gateway.asked() - before;
          assert.ok(perPush <= 2, `${perPush} attempts`);
          for (let i = 0; i < 10; i += 1) expectDelivered([await push(gateway)]);
          assert.equal(gateway.asked(), before + perPush, "the circuit is not open");
        });
      }
      return "50 pushes: 1 refresh, all resent; else circuit open, 0 rejected";
    },
  },
  {
    number: "UF06",
    fault: "429 and 503 with Retry-After: seconds, date, missing, negative, 1e9, garbage",
    tier: 1,
    run: async () => {
      const now = (): string => new Date(Date.now() + 120_000).toUTCString();
      const hour = 3_600_000;
      const cases: readonly (readonly [string | undefined, number, number])[] = [
        ["90", 90_000, 90_000],
        [now(), 110_000, 120_000],
        [undefined, 60_000, 60_000],
        ["-5", 10_000, 60_000],
        ["1e9", 10_000, hour],
        ["1000000000", hour, hour],
        ["soon", 10_000, 60_000],
        ["0", 10_000, 10_000],
      ];
      const seen: string[] = [];
      for (const [retryAfter, atLeast, atMost] of cases) {
        await withGateway(short("2s"), async (gateway) => {
          for (const reason of ["QUOTA_EXCEEDED", "UNAVAILABLE"]) {
            const more = retryAfter === undefined ? {} : { retryAfter };
            gateway.simulators.script.clear();
            gateway.simulators.script.add({ upstream: "fcm", answer: error(reason, more) });
            expectDelivered([await push(gateway)]);
            const waitMs = waitInStore(gateway.storeFile);
            // Without Retry-After only a 429 waits a minute; jitter (up to a second before the first repeat) is added.
            const floor =
              reason === "UNAVAILABLE" && atLeast === 60_000 && atMost === 60_000 ? 10_000 : atLeast;
            assert.ok(waitMs >= floor - 50, `${reason} ${retryAfter}: ${waitMs} ms`);
            assert.ok(waitMs <= atMost + 1_100, `${reason} ${retryAfter}: ${waitMs} ms`);
            if (reason === "QUOTA_EXCEEDED")
              seen.push(
                `${retryAfter === undefined ? "none" : retryAfter.slice(0, 10)}: ${Math.round(waitMs / 1_000)}`,
              );
          }
        });
      }
      return `waits in s: ${seen.join(", ")}`;
    },
  },
  {
    number: "UF08",
    fault: "OAuth endpoint down, 10 s slow, invalid_grant, 500 pushes waiting",
    tier: 1,
    waits: "idle",
    limitMs: 150_000,
    run: async () => {
      const devices = (): object[] =>
        Array.from({ length: 100 }, () => ({ app_id: ANDROID, pushkey: freshAndroid() }));
      const handed = await withGateway({ cold: true, ...short("1s") }, async (gateway) => {
        gateway.simulators.script.add({ upstream: "oauth", times: 1, delay: 10_000 });
        expectDelivered(
          await Promise.all(Array.from({ length: 5 }, () => gateway.notify(message(devices())))),
        );
        assert.equal(gateway.simulators.fcm.oauth.requests, 1, "more than one refresh in flight");
        await until("500 pushes", async () => (await state(gateway, "pending")) === 0, 60_000);
        const { accepted } = gateway.simulators.recorder;
        assert.equal(new Set(accepted.map(({ token }) => token)).size, 500);
        // The token comes as the attempts' 10 s end: what is cut with its request out goes again (P1).
        return `${await state(gateway, "handed")} promised, ${accepted.length - 500} doubled`;
      });
      const figures: string[] = [];
      for (const answer of [
        error("invalid_grant"),
        error("unavailable", { status: 503 }),
        { kind: "close" } as const,
      ]) {
        await withGateway(short("1s"), async (gateway) => {
          // The token there is serves on while no new one is to be had.
          const [rule = 0] = gateway.simulators.script.add({ upstream: "oauth", answer });
          expectDelivered([await push(gateway)]);
          assert.equal(await state(gateway, "accepted"), 0);
          gateway.simulators.fcm.oauth.revokeAll();
          for (let i = 0; i < 5; i += 1) assert.deepEqual((await push(gateway)).body, { rejected: [] });
          await sleep(500);
          assert.equal(await state(gateway, "rejected"), 0);
          assert.ok((await state(gateway, "pending")) >= 4);
          gateway.simulators.script.remove(rule);
          const tookMs = await until(
            "the pushes that waited",
            async () => (await state(gateway, "pending")) === 0,
            60_000,
          );
          figures.push(`${(tookMs / 1_000).toFixed(0)} s`);
        });
      }
      return `500 waited for 1 refresh (${handed}), 0 failed; back after ${figures.join(", ")}`;
    },
  },
  {
    number: "UF10",
    fault: "keep-alive race: the server closes as we write",
    tier: 1,
    waits: true,
    ci: true,
    run: () =>
      withGateway({ android: { inflight_request_limit: 2_000 } }, async (gateway) => {
        const { value, ms } = await timed(async () => {
          const answers: Notified[] = [];
          for (let round = 0; round < 6; round += 1) {
            const sending = Array.from({ length: 20 }, () => push(gateway));
            await new Promise((resolve) => setImmediate(resolve));
            gateway.simulators.fcm.connections.closeAll();
            answers.push(...(await Promise.all(sending)));
            // So that the cuts alone do not open the circuit.
            answers.push(...(await Promise.all(Array.from({ length: 30 }, () => push(gateway)))));
          }
          return answers;
        });
        expectDelivered(value);
        await until("what was promised", async () => (await state(gateway, "pending")) === 0);
        const times = new Map<string, number>();
        for (const { token = "", accepted } of gateway.simulators.recorder.requests) {
          if (accepted) times.set(token, (times.get(token) ?? 0) + 1);
        }
        times.delete("warm-up");
        assert.equal([...times.keys()].filter((token) => token.startsWith("token-")).length, 300);
        const most = Math.max(...times.values());
        assert.ok(most <= 2, "a push was resent more than once");
        return `300 served in ${(ms / 1_000).toFixed(1)} s over 6 cuts, none sent more than twice`;
      }),
  },
];
