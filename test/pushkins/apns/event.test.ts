import { renderEvent } from "../../../src/pushkins/apns/event.ts";
import { eventContent, seedEvents } from "../../support/seed-events.ts";
import { openApns, TOKEN, TOPIC, type ApnsRig, type ApnsRigOptions } from "./rig.ts";

const opened: ApnsRig[] = [];
async function open(setUp: ApnsRigOptions = {}): Promise<ApnsRig> {
  const rig = await openApns(setUp);
  opened.push(rig);
  return rig;
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((rig) => rig.stop()));
});

const fax = eventContent(seedEvents[0]?.body ?? {});

describe("a push event for APNs", () => {
  it.each(seedEvents)("$name is the reference's content", async ({ body, apns }) => {
    const rig = await open();
    expect((await rig.send({ content: eventContent(body), pushkey: TOKEN })).outcome.kind).toBe("delivered");
    const [request] = rig.arrived();
    expect(request?.payload).toEqual(apns);
    // In the reference's order, so that the bytes are the same too.
    expect(request?.body).toBe(JSON.stringify(apns));
    expect(request?.headers).toMatchObject({ "apns-push-type": "background", "apns-priority": "5" });
  });

  const topics: readonly [string, object, object, string, string, string][] = [
    ["the app's topic", {}, {}, TOPIC, "background", "5"],
    ["the device's own", {}, { apnsTopic: "com.example.other" }, "com.example.other", "background", "5"],
    ["the device's own for calls", {}, { apnsTopic: `${TOPIC}.voip` }, `${TOPIC}.voip`, "voip", "10"],
    [
      "the device's own over the app's push type",
      { push_type: "alert" },
      { apnsTopic: `${TOPIC}.voip` },
      `${TOPIC}.voip`,
      "voip",
      "10",
    ],
    [
      "the device's own that rings not, of an app that does",
      { push_type: "voip", topic: `${TOPIC}.voip` },
      { apnsTopic: TOPIC },
      TOPIC,
      "background",
      "5",
    ],
    ["a VoIP app's", { push_type: "voip", topic: `${TOPIC}.voip` }, {}, `${TOPIC}.voip`, "voip", "10"],
  ];
  it.each(topics)("goes to %s", async (_what, options, overrides, topic, pushType, priority) => {
    const known = { topics: [TOPIC, `${TOPIC}.voip`, "com.example.other"] };
    const rig = await open({ options: { ...options }, simulator: known });
    expect((await rig.send({ content: fax, pushkey: TOKEN, ...overrides })).outcome.kind).toBe("delivered");
    expect(rig.arrived()[0]?.headers).toMatchObject({
      "apns-topic": topic,
      "apns-push-type": pushType,
      "apns-priority": priority,
    });
  });

  it("goes to Apple's sandbox or production by the device, through one app", async () => {
    const rig = await open({ sandbox: true });
    await rig.send({ content: fax, pushkey: TOKEN, environment: "sandbox" });
    await rig.send({ content: fax, pushkey: TOKEN, environment: "production" });
    expect(rig.sandbox?.recorder.counts.requests).toBe(1);
    expect(rig.simulator.recorder.counts.requests).toBe(1);
  });

  it("has its text cut at a character, with an ellipsis", () => {
    const chat = eventContent({ ...(seedEvents[4]?.body ?? {}), text: "ü👨‍👩‍👧‍👦".repeat(1_000) });
    const body = renderEvent(chat, 4096) ?? "";
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual(4096);
    const { text } = JSON.parse(body) as { text: string };
    expect(text).toMatch(/^(?:ü👨‍👩‍👧‍👦)*ü?…$/u);
    expect(
      renderEvent(eventContent({ owner: "o", message: "m", note: "n".repeat(5_000) }), 4096),
    ).toBeUndefined();
  });
});
