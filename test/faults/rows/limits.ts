import assert from "node:assert/strict";
import {
  alice,
  asAlice,
  asBob,
  basic,
  bob,
  BUNDLE,
  MESSAGES,
  startRegistry,
} from "../../support/registry-gateway.ts";
import { ANDROID, IOS, message } from "../../support/with-gateway.ts";
import type { Fault } from "../fault.ts";
import { freshIos, quantile, sharedCredentials, timed, until, withGateway } from "../support/shared.ts";

type RegistryGateway = Awaited<ReturnType<typeof startRegistry>>;

async function withRegistry<T>(work: (gateway: RegistryGateway) => Promise<T>): Promise<T> {
  const gateway = await startRegistry({}, { simulators: { credentials: sharedCredentials() } });
  try {
    return await work(gateway);
  } finally {
    await gateway.stop();
  }
}

/** Who may ask, and how much (reliability 2, H21 to H24, and what B22 says of the token reporter). */
export const limitFaults: readonly Fault[] = [
  {
    number: "B22",
    fault: "token reports with missing, ill-formed and unknown parts",
    tier: 1,
    ci: true,
    run: () =>
      withRegistry(async ({ origin }) => {
        const token = "QVBBOTFiRzlhcVd2bW54bllCWldHOWh4dnRrZ3pUWFNvcGZpdWZ6bWM2dFAzS2J";
        const good = `selector=S:1&token_msgs=${token}&appid_msgs=${MESSAGES}`;
        const form = { "content-type": "application/x-www-form-urlencoded", ...asAlice };
        const json = { "content-type": "application/json; charset=latin1", ...asAlice };
        const cases: readonly (readonly [string, RequestInit, number])[] = [
          [`/token/?${good}`, { headers: asAlice }, 200],
          ["/token/", { method: "POST", headers: form, body: good }, 200],
          [
            "/token/alice",
            {
              method: "POST",
              headers: json,
              body: `{"selector":"S:1","token_msgs":"${token}","appid_msgs":"${MESSAGES}"}`,
            },
            200,
          ],
          [`/pushToken/alice/S:1/${token}&appid=${MESSAGES}`, { headers: asAlice }, 200],
          ["/token/?selector=S:1", { headers: asAlice }, 200],
          ["/token/", { method: "POST", headers: json, body: '{"selector":"S:1","token_msgs":null}' }, 200],
          [`/token/?token_msgs=${token}&appid_msgs=${MESSAGES}`, { headers: asAlice }, 400],
          [`/token/?selector=S:1&token_msgs=${token}`, { headers: asAlice }, 400],
          [`/token/?selector=S:1&token_msgs=${token}&appid_msgs=org.example`, { headers: asAlice }, 400],
          ["/token/?selector=%ff%fe", { headers: asAlice }, 400],
          ["/pushToken/alice/S:1/%c0%80&appid=x", { headers: asAlice }, 400],
          [
            "/token/",
            { method: "POST", headers: json, body: Buffer.from('{"selector":"\xe4"}', "latin1") },
            400,
          ],
          ["/token/", { method: "POST", headers: json, body: "[[[" }, 400],
          ["/token/", { method: "PUT", headers: json, body: "{}" }, 405],
          [`/token/?${good}`, {}, 401],
        ];
        for (const [path, init, status] of cases) {
          const response = await fetch(origin + path, init);
          assert.equal(response.status, status, `${init.method ?? "GET"} ${path}`);
          if (status === 400) assert.ok(((await response.json()) as { error: string }).error.length > 5);
        }
        return `${cases.length} reports, each with its documented answer`;
      }),
  },
  {
    number: "H21",
    fault: "10,000 wrong passwords, unknown users, empty and 1 MB password",
    tier: 1,
    limitMs: 120_000,
    run: () =>
      withRegistry(async ({ origin }) => {
        const ask = async (authorization: string): Promise<readonly [number, string]> => {
          const response = await fetch(`${origin}/api/push`, { headers: { authorization } });
          return [response.status, await response.text()];
        };
        assert.equal((await ask(asAlice.authorization))[0], 200);
        const wrong = [
          basic(alice.username, "no"),
          basic("nobody", "no"),
          basic(alice.username, ""),
          "Bearer no",
        ];
        const first = await Promise.all(wrong.map(ask));
        assert.equal(new Set(first.map(String)).size, 1, "answers differ");
        assert.equal(first[0]?.[0], 401);
        const long = await fetch(`${origin}/token/`, {
          method: "POST",
          headers: { "content-type": "application/x-www-form-urlencoded" },
          body: `username=alice&password=${"x".repeat(500_000)}&selector=S`,
        });
        assert.equal(long.status, 401);
        const statuses = new Map<number, number>();
        let right = 0;
        const { ms } = await timed(async () => {
          let left = 10_000;
          const lane = async (): Promise<void> => {
            for (; left > 0; left -= 1) {
              const [status] = await ask(
                basic(left % 2 === 0 ? alice.username : `user${left}`, `wrong ${left}`),
              );
              statuses.set(status, (statuses.get(status) ?? 0) + 1);
            }
          };
          const alive = async (): Promise<void> => {
            while (left > 0) {
              assert.equal((await ask(asAlice.authorization))[0], 200, "the right user is locked out");
              right += 1;
            }
          };
          await Promise.all([...Array.from({ length: 20 }, lane), alive()]);
        });
        assert.deepEqual(
          [...statuses.keys()].filter((status) => status !== 401 && status !== 429),
          [],
        );
        assert.ok((statuses.get(401) ?? 0) <= 25, `${statuses.get(401)} times 401`);
        assert.equal((await ask(asBob.authorization))[0], 200);
        return `${statuses.get(429)} of 10,000 answered 429 in ${(ms / 1000).toFixed(1)} s, the right user ${right} times 200 meanwhile`;
      }),
  },
  {
    number: "H22",
    fault: "one account's credentials on another's tokens and selectors",
    tier: 1,
    ci: true,
    run: () =>
      withRegistry(async ({ origin }) => {
        const token = "ab".repeat(32);
        const api = async (headers: object, body?: object): Promise<readonly [number, string]> => {
          const response = await fetch(`${origin}/api/push`, {
            headers: { "content-type": "application/json", ...headers },
            ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
          });
          return [response.status, await response.text()];
        };
        const add = {
          system: "apns",
          action: "add",
          device_token: token,
          application_id: `39JSDKGJ38.${BUNDLE}`,
        };
        assert.equal((await api(asAlice, add))[0], 200);
        const report = `selector=S:1&token_msgs=alices.token&appid_msgs=${MESSAGES}`;
        assert.equal((await fetch(`${origin}/token?${report}`, { headers: asAlice })).status, 200);
        const before = await api(asAlice);
        const foreign = await api(asBob, { ...add, action: "delete" });
        const unknown = await api(asBob, { ...add, action: "delete", device_token: "cd".repeat(32) });
        assert.deepEqual(foreign, unknown);
        const stolen = `selector=S:1&token_msgs=bobs.token&appid_msgs=${MESSAGES}`;
        assert.equal((await fetch(`${origin}/token?${stolen}`, { headers: asBob })).status, 404);
        assert.equal((await fetch(`${origin}/token/remove?selector=S:1`, { headers: asBob })).status, 200);
        assert.equal(
          (await fetch(`${origin}/token/remove?token_msgs=alices.token`, { headers: asBob })).status,
          200,
        );
        assert.deepEqual(await api(asAlice), before);
        assert.ok(!(await api(asBob))[1].includes(token));
        for (const guess of [alice.id, bob.id, "1", "..", "%2e%2e"]) {
          assert.equal((await fetch(`${origin}/api/push/${guess}`, { headers: asBob })).status, 404);
        }
        return "nothing seen, nothing changed, one answer for foreign and unknown";
      }),
  },
  {
    number: "H23",
    fault: "10,000 pushes/s to one stolen pushkey",
    tier: 1,
    run: () =>
      withGateway({ config: { limits: { per_device: "60/m" } } }, async (gateway) => {
        const stolen = freshIos();
        const before = gateway.asked();
        const others: number[] = [];
        let left = 3_000;
        const flood = async (): Promise<void> => {
          for (; left > 0; left -= 1) {
            const { status } = await gateway.notify(message([{ app_id: IOS, pushkey: stolen }]));
            assert.equal(status, 200);
          }
        };
        const beside = async (): Promise<void> => {
          while (left > 0) {
            const { ms, value } = await timed(() =>
              gateway.notify(message([{ app_id: IOS, pushkey: freshIos() }])),
            );
            assert.equal(value.status, 200);
            others.push(ms);
          }
        };
        const { ms } = await timed(() => Promise.all([...Array.from({ length: 16 }, flood), beside()]));
        const pending = (): Promise<number> =>
          gateway.metric(`signalbox_outbox_pushes{app="${IOS}",state="pending"}`);
        assert.ok((await pending()) <= 1, "more than one waits for the device");
        await until("the one that waits", async () => (await pending()) === 0);
        const sent = gateway.asked() - before - others.length;
        // What the bucket holds and refills, and one a second that waited for its turn.
        const most = 60 + 2 * Math.ceil(ms / 1000) + 2;
        assert.ok(sent <= most, `${sent} reached the phone`);
        return `${sent} of 3,000 sent in ${(ms / 1000).toFixed(1)} s, ${others.length} to other devices with p95 ${quantile(others, 0.95).toFixed(0)} ms`;
      }),
  },
  {
    number: "H24",
    fault: "5,000 requests/s from one address, random app ids and pushkeys",
    tier: 1,
    run: () =>
      withGateway(
        { config: { limits: { per_source: "600/m" }, http: { port: 0, trusted_proxies: ["127.0.0.1"] } } },
        async (gateway) => {
          const ask = async (address: string, app: string): Promise<number> => {
            const body = { notification: message([{ app_id: app, pushkey: crypto.randomUUID() }]) };
            const response = await fetch(gateway.url, {
              method: "POST",
              headers: { "x-forwarded-for": address },
              body: JSON.stringify(body),
            });
            await response.arrayBuffer();
            return response.status;
          };
          const statuses = new Map<number, number>();
          // Node's own appear with the first garbage collection or handle of a kind, without any stranger.
          const series = async (): Promise<readonly string[]> =>
            (await gateway.metrics())
              .split("\n")
              .filter((line) => line !== "" && !/^(?:#|nodejs_)/.test(line))
              .map((line) => line.slice(0, line.lastIndexOf(" ")));
          let left = 5_000;
          const flood = async (downTo: number): Promise<void> => {
            for (; left > downTo; left -= 1) {
              const status = await ask("192.0.2.66", `made.up.${left}`);
              statuses.set(status, (statuses.get(status) ?? 0) + 1);
            }
          };
          const lanes = (downTo: number): Promise<unknown> =>
            Promise.all(Array.from({ length: 16 }, () => flood(downTo)));
          const startedMs = performance.now();
          await lanes(4_000);
          // By now each status has been seen.
          const seriesBefore = await series();
          await lanes(0);
          const ms = performance.now() - startedMs;
          assert.deepEqual([...statuses.keys()].sort(), [200, 429]);
          assert.ok((statuses.get(200) ?? 0) <= 600 + (ms / 60_000) * 600 + 1);
          const text = await gateway.metrics();
          assert.ok(!text.includes("made.up"), "a label of a stranger's making");
          const added = (await series()).filter((one) => !seriesBefore.includes(one));
          assert.equal(added.join("\n"), "");
          // After the series were counted: a push that is sent has some of its own.
          assert.equal(await ask("192.0.2.67", ANDROID), 200);
          return `${statuses.get(429)} of 5,000 answered 429, another address 200, no new labels`;
        },
      ),
  },
];
