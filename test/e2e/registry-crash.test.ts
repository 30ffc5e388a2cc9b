import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startSimulators } from "../../src/simulator/index.ts";
import { writeWorkspace } from "../../src/simulator/workspace.ts";
import { createGatewayProcess } from "../faults/support/gateway-process.ts";
import { ANDROID } from "../support/with-gateway.ts";

const token = "b0b5-t0ken-4f1c9a7d2e";
const headers = { authorization: `Bearer ${token}` };

describe("a process that dies between a report and its answer", () => {
  it("has stored the report, or the app got no 2xx", async () => {
    const directory = await mkdtemp(join(tmpdir(), "signalbox-crash-"));
    const simulators = await startSimulators({});
    const files = await writeWorkspace(simulators, directory);
    const { apnsKey, projectId } = simulators.credentials;
    const gateway = await createGatewayProcess({
      directory,
      upstreams: {
        apns: simulators.apns.url,
        fcm: simulators.fcm.url,
        keyId: apnsKey.keyId,
        teamId: apnsKey.teamId,
        projectId,
        files,
      },
      config: {
        registry: {
          accounts: [{ id: "b-1", token_hash: `sha256:${createHash("sha256").update(token).digest("hex")}` }],
        },
      },
    });
    const origin = new URL(gateway.url).origin;
    const listed = async (): Promise<readonly string[]> => {
      const body = await (await fetch(`${origin}/api/push`, { headers })).json();
      return (body as { fcm: { device_tokens: string[] } }).fcm.device_tokens;
    };
    try {
      let made = 0;
      let lost = 0;
      for (let cycle = 0; cycle < 2; cycle += 1) {
        await gateway.start();
        const answered: string[] = [];
        let isOver = false;
        const app = async (): Promise<void> => {
          while (!isOver) {
            made += 1;
            const mine = `token.${made}`;
            // Twenty selectors, each replacing its token: no report pushes another out.
            const query = `selector=S:${made % 20}&token_msgs=${mine}&appid_msgs=${ANDROID}`;
            const status = await fetch(`${origin}/token?${query}`, { headers }).then(
              (response) => response.status,
              () => undefined,
            );
            if (status === 200) answered.push(mine);
            else if (status === undefined) lost += 1;
          }
        };
        const apps = [1, 2, 3, 4].map(app);
        while (answered.length < 60) await new Promise((done) => setTimeout(done, 5));
        await gateway.kill();
        isOver = true;
        await Promise.all(apps);
        await gateway.start();
        const stored = new Set(await listed());
        // Of each selector the newest report that was answered is there, or a newer one that was stored unanswered.
        const numberOf = (name: string): number => Number(name.split(".")[1]);
        for (let selector = 0; selector < 20; selector += 1) {
          const ofSelector = (names: Iterable<string>): readonly number[] =>
            [...names].map(numberOf).filter((n) => n % 20 === selector);
          const newest = Math.max(0, ...ofSelector(answered));
          // Reports of one selector are twenty apart, and four are under way: never two of one selector.
          if (newest > 0) expect(Math.max(0, ...ofSelector(stored))).toBeGreaterThanOrEqual(newest);
        }
        await gateway.kill();
      }
      expect(lost).toBeGreaterThan(0);
    } finally {
      await gateway.kill();
      await simulators.stop();
      await rm(directory, { recursive: true, force: true });
    }
  }, 60_000);
});
