import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createApnsKey } from "../../../src/simulator/credentials.ts";
import { spawnSignalbox } from "../../support/spawn-gateway.ts";
import { ANDROID, IOS, message, type RunningGateway } from "../../support/with-gateway.ts";
import type { Fault } from "../fault.ts";
import { AppendOnly } from "../ledger.ts";
import { startLoad } from "../support/load.ts";
import { withRig } from "../support/rig.ts";
import { freshIos, sharedCredentials, sleep, until, withGateway } from "../support/shared.ts";

/** The iOS app signs with this key from the next reload on. */
async function signWith(
  gateway: RunningGateway,
  { keyId, keyPem }: { readonly keyId: string; readonly keyPem: string },
): Promise<void> {
  const keyfile = join(gateway.directory, `${keyId}.p8`);
  await writeFile(keyfile, keyPem, { mode: 0o600 });
  await gateway.rewrite((config) => ({
    ...config,
    apps: { ...config.apps, [IOS]: { ...config.apps[IOS], keyfile, key_id: keyId } },
  }));
  const result = await gateway.gateway.reload();
  assert.ok(result.ok && result.apps.changed.includes(IOS), JSON.stringify(result));
}

/** Open files and sockets of a process. */
async function openFiles(pid: number | undefined): Promise<number> {
  return (await readdir(`/proc/${pid ?? 0}/fd`)).length;
}

export const reloadFaults: readonly Fault[] = [
  {
    number: "C10",
    fault: "key rotation by a reload, six times at 300/s",
    tier: 1,
    run: async () => {
      const first = sharedCredentials().apnsKey;
      const second = createApnsKey({ teamId: first.teamId });
      const simulators = { apns: { keys: [first, second], latency: 50 } };
      return withGateway({ simulators }, async (gateway) => {
        const ledger = new AppendOnly(join(gateway.directory, "sent.ledger"));
        const load = startLoad({ urls: [gateway.url], ledger, perSecond: 300 });
        for (let i = 0; i < 6; i += 1) {
          await sleep(400);
          await signWith(gateway, i % 2 === 0 ? second : first);
        }
        await sleep(400);
        await load.stop();
        ledger.close();
        const bad = load.answers.filter(({ how }) => how !== "ok");
        assert.deepEqual(
          bad.slice(0, 3),
          [],
          `${bad.length} of ${load.answers.length} were not answered well`,
        );
        const sent = new Set(load.answers.map(({ id }) => id));
        const reached = gateway.simulators.recorder.requests
          .filter(({ accepted, token }) => accepted && sent.has(token ?? ""))
          .map(({ token }) => token);
        await until("every push has arrived", () => new Set(reached).size === sent.size, 1_000);
        assert.equal(reached.length, sent.size, "pushes were sent twice");
        return `${sent.size} pushes over 6 rotations: 0 errors, 0 lost, 0 doubled`;
      });
    },
  },
  {
    number: "C12",
    fault: "a wrong reload",
    tier: 1,
    run: () =>
      withRig({}, async (rig) => {
        const gateway = await rig.gateway();
        await gateway.start();
        const file = join(rig.directory, "gateway.yaml");
        const good = await readFile(file, "utf8");
        await writeFile(file, `${good}\ndelivery: {answer_witin: 5s}\n`);
        const checked = spawnSignalbox(["check", "--config", file], { cwd: rig.directory });
        assert.equal(await checked.ended(), 1);
        gateway.child.kill("SIGHUP");
        await until("the refusal is logged", () => gateway.output().includes("the reload was refused"));
        assert.match(gateway.output(), /answer_witin: unknown key/);
        const body = JSON.stringify({ notification: message([{ app_id: IOS, pushkey: freshIos() }]) });
        const answer = await fetch(gateway.url, { method: "POST", body });
        assert.deepEqual([answer.status, await answer.json()], [200, { rejected: [] }]);
        assert.match(await gateway.scrape(), /signalbox_alarms_total\{app="",alarm="reload"\} 1/);
        await writeFile(file, good);
        gateway.child.kill("SIGHUP");
        await until("the right file is taken", () =>
          gateway.output().includes("the configuration is reloaded"),
        );
        return "refused with its reason and an alarm, the old one serves on; check exits 1";
      }),
  },
  {
    number: "PR13",
    fault: "100 SIGHUP reloads under load, an app changed by each",
    tier: 2,
    limitMs: 120_000,
    run: () =>
      withRig({ latencyMs: 20 }, async (rig) => {
        const gateway = await rig.gateway();
        await gateway.start();
        const file = join(rig.directory, "gateway.yaml");
        const good = await readFile(file, "utf8");
        const load = rig.load({
          urls: [gateway.url],
          perSecond: 100,
          appOf: (count) => (count % 2 === 0 ? IOS : ANDROID),
        });
        await sleep(1_000);
        const before = await openFiles(gateway.child.pid);
        for (let i = 0; i < 100; i += 1) {
          // Every app is made anew: its limit is another.
          await writeFile(
            file,
            good.replaceAll("    type: ", `    inflight_request_limit: ${500 + i}\n    type: `),
          );
          gateway.child.kill("SIGHUP");
          await sleep(100);
        }
        await load.stop();
        const bad = load.answers.filter(({ how }) => how !== "ok");
        assert.deepEqual(
          bad.slice(0, 3),
          [],
          `${bad.length} of ${load.answers.length} were not answered well`,
        );
        const balance = await rig.settle(gateway, 15_000);
        assert.deepEqual([balance.lost, balance.unexpected], [[], []]);
        let after = 0;
        await until("replaced connections are closed", async () => {
          after = await openFiles(gateway.child.pid);
          return after <= before + 10;
        });
        return `${load.answers.length} pushes: 0 errors, 0 lost; ${before} open files before, ${after} after`;
      }),
  },
];
