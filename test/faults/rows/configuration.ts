import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { systemClock } from "../../../src/clock.ts";
import { createCredentials } from "../../support/credentials.ts";
import { spawnSignalbox } from "../../support/spawn-gateway.ts";
import { IOS, message, type RunningGateway } from "../../support/with-gateway.ts";
import type { Fault } from "../fault.ts";
import { refusalOf, withWorkspace, type Workspace } from "../support/refused-start.ts";
import { freshIos, timed, withGateway } from "../support/shared.ts";

const secret = "hunter2-canary-password";

/** The workspace's configuration with one thing changed, as YAML. */
const withChange = ({ config }: Workspace, change: object): string =>
  stringify({ ...config, ...change }, { version: "1.1" });

/** Its first APNs app with some options changed. */
function withIos(workspace: Workspace, change: object): string {
  const [[name, ios] = ["", {}], ...others] = Object.entries(workspace.config.apps);
  return withChange(workspace, { apps: { ...Object.fromEntries(others), [name]: { ...ios, ...change } } });
}

/** Refused with exit 1, within the second that P12 gives (and what Node takes to start), and the words are said. */
async function refuses(
  workspace: Workspace,
  config: string,
  words: readonly (string | RegExp)[],
): Promise<number> {
  const { value, ms } = await timed(() => refusalOf(workspace.directory, config));
  assert.equal(value.code, 1, `was not refused: ${value.text.slice(0, 300)}`);
  for (const word of words) {
    const isSaid = typeof word === "string" ? value.text.includes(word) : word.test(value.text);
    assert.ok(isSaid, `${String(word)} is not said: ${value.text.slice(0, 500)}`);
  }
  assert.ok(!value.text.includes(secret), "a secret is printed");
  return ms;
}

async function rejectedOf(gateway: RunningGateway): Promise<number> {
  const { body } = await gateway.notify(message([{ app_id: IOS, pushkey: freshIos() }]));
  return (body as { rejected: string[] }).rejected.length;
}

export const configurationFaults: readonly Fault[] = [
  {
    number: "C01",
    fault: "syntax error, wrong type, unknown key, misspelt key",
    tier: 1,
    waits: true,
    ci: true,
    run: () =>
      withWorkspace(async (workspace) => {
        const times = [
          await refuses(workspace, "http: [unclosed\napps: {", [/refused\.yaml/, /line 1|:1:|:2:/]),
          await refuses(workspace, withChange(workspace, { http: { port: "five" } }), [
            "http.port",
            /refused\.yaml:\d+/,
          ]),
          await refuses(workspace, withChange(workspace, { delivery: { answer_witin: "5s" } }), [
            "answer_within",
            /did you mean/i,
            /refused\.yaml:\d+/,
          ]),
          await refuses(workspace, withChange(workspace, { outbox: { nonsense: 1 } }), [
            "nonsense",
            /refused\.yaml:\d+/,
          ]),
          await refuses(workspace, withChange(workspace, { delivery: { answer_within: "soon" } }), [
            "answer_within",
          ]),
        ];
        return `${times.length} refused with file and line, at most ${Math.max(...times).toFixed(0)} ms`;
      }),
  },
  {
    number: "C02",
    fault: "key file missing, a directory, P-384, RSA, expired, broken service account",
    tier: 1,
    waits: true,
    run: () =>
      withWorkspace(async (workspace) => {
        const made = createCredentials();
        try {
          const expired = made.certificate({ expired: true });
          const files = {
            "a missing file": "/nonexistent/key.p8",
            "a directory": made.directory,
            "P-384": made.write("p384.p8", made.p384()),
            RSA: made.write("rsa.p8", made.rsa()),
            "no PEM": made.write("rubbish.p8", `${secret}\n`),
            empty: made.write("empty.p8", ""),
          };
          let count = 0;
          for (const keyfile of Object.values(files)) {
            await refuses(workspace, withIos(workspace, { keyfile }), [/apps\["[^"]+"\]/]);
            count += 1;
          }
          const certfile = made.write("expired.pem", expired.cert + expired.key);
          await refuses(workspace, withIos(workspace, { certfile }), [/apps\["[^"]+"\]/, /expired/]);
          const [name = "", android = {}] =
            Object.entries(workspace.config.apps).find(([, { type }]) => type === "gcm") ?? [];
          for (const text of [
            "{",
            "[]",
            made.serviceAccount({ private_key: secret }),
            made.serviceAccount({ client_email: undefined }),
          ]) {
            const service_account_file = made.write("account.json", text);
            const apps = { ...workspace.config.apps, [name]: { ...android, service_account_file } };
            await refuses(workspace, withChange(workspace, { apps }), [name]);
            count += 1;
          }
          return `${count + 1} refused, the app named, nothing of a key printed`;
        } finally {
          made.remove();
        }
      }),
  },
  {
    number: "C03",
    fault: "key or configuration that others can read",
    tier: 1,
    run: () =>
      withWorkspace(async (workspace) => {
        const made = createCredentials();
        try {
          const keyfile = made.write("open.p8", made.p256(), 0o644);
          const warned = await refusalOf(workspace.directory, withIos(workspace, { keyfile }), {
            command: "check",
          });
          assert.equal(warned.code, 0, warned.text);
          assert.match(warned.text, /warning: .*(read|permission)/i);
          const path = join(workspace.directory, "open.yaml");
          for (const strict_permissions of [false, true]) {
            await writeFile(path, withChange(workspace, { strict_permissions }), { mode: 0o644 });
            const checked = spawnSignalbox(["check", "--config", path], { cwd: workspace.directory });
            assert.equal(await checked.ended(), strict_permissions ? 1 : 0, checked.stderr());
            assert.match(checked.stderr() + checked.stdout(), /open\.yaml: .*others can read this file/);
          }
          const strict = withIos(
            { ...workspace, config: { ...workspace.config, strict_permissions: true } },
            { keyfile },
          );
          await refuses(workspace, strict, [/read|permission/i]);
          return "both warned of; both refused with strict_permissions";
        } finally {
          made.remove();
        }
      }),
  },
  {
    number: "C04",
    fault: "sandbox token against production: at once, and after success",
    tier: 1,
    ci: true,
    run: async () => {
      const bad = { upstream: "apns", answer: { kind: "error", reason: "BadDeviceToken" } } as const;
      const setUp = { config: { delivery: { answer_within: "300ms" } } };
      const first = await withGateway({ ...setUp, cold: true }, async (gateway) => {
        gateway.simulators.script.add(bad);
        let rejected = 0;
        for (let i = 0; i < 200; i += 1) rejected += await rejectedOf(gateway);
        return rejected;
      });
      assert.equal(first, 0);
      const later = await withGateway(setUp, async (gateway) => {
        for (let i = 0; i < 500; i += 1) await rejectedOf(gateway);
        gateway.simulators.script.add(bad);
        let rejected = 0;
        for (let i = 0; i < 500; i += 1) rejected += await rejectedOf(gateway);
        assert.ok(
          (await gateway.metric(`signalbox_alarms_total{app="${IOS}",alarm="rejections-held-mass"}`)) > 0,
        );
        return rejected;
      });
      assert.ok(later > 0 && later <= 50, `${later} rejected`);
      return `0 of 200 rejected from the start, ${later} of 500 after success (<= 50)`;
    },
  },
  {
    number: "C05",
    fault: "an app with traffic is removed by a reload; a restart; 8 days pass",
    tier: 1,
    run: async () => {
      const directory = await mkdtemp(join(tmpdir(), "signalbox-removed-"));
      try {
        const storeFile = join(directory, "s.db");
        const app = "com.example.removed";
        const device = { app_id: app, pushkey: freshIos() };
        const held = async (gateway: RunningGateway): Promise<void> => {
          const { status, body } = await gateway.notify(message([device]));
          assert.ok(status !== 200 || (body as { rejected: string[] }).rejected.length === 0, "rejected");
          assert.equal(await gateway.metric(`signalbox_alarms_total{app="${app}",alarm="app-removed"}`), 1);
        };
        await withGateway({ storeFile, apps: ({ ios }) => ({ [app]: ios }) }, async (gateway) => {
          assert.deepEqual((await gateway.notify(message([device]))).body, { rejected: [] });
          await gateway.rewrite(({ apps: { [app]: _gone, ...apps }, ...config }) => ({ ...config, apps }));
          const result = await gateway.gateway.reload();
          assert.ok(result.ok && result.apps.removed.includes(app), JSON.stringify(result));
          await held(gateway);
        });
        await withGateway({ storeFile }, async (gateway) => {
          await held(gateway);
          const never = await gateway.notify(message([{ app_id: "com.example.never", pushkey: "x" }]));
          assert.deepEqual(never.body, { rejected: ["x"] });
        });
        const clock = { ...systemClock, now: () => systemClock.now() + 8 * 24 * 60 * 60 * 1_000 };
        await withGateway({ storeFile, clock, cold: true }, async (gateway) => {
          assert.deepEqual((await gateway.notify(message([device]))).body, { rejected: [device.pushkey] });
        });
        return "held with an alarm, after a restart too; rejected 8 days later; one never configured at once";
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    },
  },
  {
    number: "C06",
    fault: "duplicate app ids, tied globs",
    tier: 1,
    run: () =>
      withWorkspace(async (workspace) => {
        const [ios = {}] = Object.values(workspace.config.apps);
        const twice = `${stringify({ apps: { "com.twice": ios } })}  com.twice:\n    type: apns\n`;
        await refuses(workspace, twice, ["com.twice"]);
        await refuses(
          workspace,
          withChange(workspace, { apps: { "com.*.x": ios, "com.?*.x": ios, "a*b*c": ios, "a*d*c": ios } }),
          ["a*d*c"],
        );
        return "both refused, the ids named";
      }),
  },
  {
    number: "C07",
    fault: "admin listener beyond loopback without a token",
    tier: 1,
    run: () =>
      withWorkspace(async (workspace) => {
        await refuses(workspace, withChange(workspace, { admin: { bind_address: "0.0.0.0", port: 5001 } }), [
          "admin.token",
        ]);
        await refuses(
          workspace,
          withChange(workspace, { admin: { bind_address: "0.0.0.0", port: 5001, token: "short" } }),
          ["admin.token"],
        );
        return "refused without a token and with a short one";
      }),
  },
  {
    number: "C08",
    fault: "example secrets, an empty secret variable, a short secret",
    tier: 1,
    run: () =>
      withWorkspace(async (workspace) => {
        const admin = (token: string): string =>
          withChange(workspace, { admin: { bind_address: "0.0.0.0", token } });
        for (const token of ["short", "changeme".repeat(5), "x".repeat(40), "${EMPTY_SECRET}"]) {
          const { text, code } = await refusalOf(workspace.directory, admin(token), {
            env: { EMPTY_SECRET: "" },
          });
          assert.equal(code, 1, `${token} was taken`);
          assert.ok(text.includes("admin.token"), text);
        }
        return "4 refused";
      }),
  },
  {
    number: "C09",
    fault: "a store URL with a password",
    tier: 1,
    run: () =>
      withWorkspace(async (workspace) => {
        const urls = [
          `postgresql://user:${secret}@127.0.0.1:1/db`,
          `postgresql://user:${secret}@nobody.invalid/db?sslmode=disable`,
        ];
        for (const url of urls) {
          const path = join(workspace.directory, "password.yaml");
          await writeFile(path, withChange(workspace, { store: { url } }), { mode: 0o600 });
          const started = spawnSignalbox(["serve", "--config", path], { cwd: workspace.directory });
          const timer = setTimeout(() => started.child.kill("SIGKILL"), 20_000);
          const code = await started.ended();
          clearTimeout(timer);
          const text = started.stdout() + started.stderr();
          assert.equal(code, 1, text);
          assert.ok(text.length > 10 && !text.includes(secret) && !text.includes("canary"), text);
        }
        return `${urls.length} failing stores, the password nowhere`;
      }),
  },
];
