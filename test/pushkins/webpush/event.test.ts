import { push, softphoneContent } from "../../support/builders.ts";
import { eventContent, seedEvents } from "../../support/seed-events.ts";
import { startUnifiedPush, startWebPush } from "../push-service/fixture.ts";

describe("a push event for a browser", () => {
  it("is its fields as JSON, to a subscription given as a whole", async () => {
    const rig = await startWebPush();
    const { endpoint, keys } = rig.simulator.subscribe();
    const pushkey = JSON.stringify({ endpoint, keys });
    const nowMs = rig.clock.now();
    const times = { receivedAtMs: nowMs, expiresAtMs: nowMs + 86_400_000 };
    for (const { body } of seedEvents) {
      const event = push({ content: eventContent(body), pushkey, ...times });
      expect((await rig.send(event)).outcome.kind).toBe("delivered");
      expect(rig.simulator.recorder.accepted.at(-1)?.payload).toEqual(body);
    }
    const long = { ...(seedEvents[4]?.body ?? {}), text: "é".repeat(9_000) };
    const cut = rig.message(push({ content: eventContent(long), pushkey })).body;
    expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(3_993);
    expect((JSON.parse(cut) as { text: string }).text).toMatch(/^é+…$/);
    expect(rig.pushkin.readToken?.(pushkey)).toBe(pushkey);
    expect(rig.pushkin.readToken?.("no subscription")).toBeUndefined();
    await rig.stop();
  });

  it("a softphone's push is none, nor is either for a UnifiedPush app", async () => {
    const web = await startWebPush();
    const { endpoint, keys } = web.simulator.subscribe();
    const softphone = push({ content: softphoneContent(), pushkey: JSON.stringify({ endpoint, keys }) });
    expect(web.pushkin.render(softphone)).toEqual({ kind: "dropped", reason: "not-wanted" });
    await web.stop();
    const phone = await startUnifiedPush();
    for (const content of [softphoneContent(), eventContent(seedEvents[0]?.body ?? {})]) {
      const each = push({ content, pushkey: phone.simulator.register().endpoint });
      expect(phone.pushkin.render(each)).toEqual({ kind: "dropped", reason: "not-wanted" });
    }
    await phone.stop();
  });
});
