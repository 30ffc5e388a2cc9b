import { readdirSync, readFileSync } from "node:fs";
import { startGateway, type RunningGateway } from "../support/with-gateway.ts";
import { readFixtures, readIndex, type Fixture, type IndexEntry } from "./support/fixtures.ts";

const folder = new URL("../../bench/fixtures/", import.meta.url);
const index = await readIndex();
/** The apps of the gateway below. */
const served = /\.ios\.|android$|^chat\.fluffy\./;

interface Body {
  readonly notification: {
    readonly event_id?: string;
    readonly devices: readonly { readonly app_id: string }[];
  };
}

describe("the recorded notifications", () => {
  it("are all in the index, which says what each body is", async () => {
    const files = readdirSync(folder).filter((file) => file !== "index.json");
    expect(index.map(({ file }) => file)).toEqual(files.sort());
    for (const { file, bodies, titles } of index) {
      const fixtures = await readFixtures(file);
      const counted: Record<string, number> = {};
      for (const { title } of fixtures) counted[title] = (counted[title] ?? 0) + 1;
      expect(fixtures).toHaveLength(bodies);
      expect(titles).toEqual(counted);
    }
  });

  it("are a few hundred that a homeserver sent, and the others say that they were made by hand", () => {
    const recorded = index.filter(({ made }) => made === "recorded");
    expect(recorded.map(({ file }) => file)).toEqual(["synapse.jsonl"]);
    expect(recorded[0]?.from).toMatch(/^Synapse \d/);
    expect(recorded[0]?.bodies).toBeGreaterThan(200);
    expect(index.filter(({ made }) => made === "by hand").length).toBeGreaterThan(0);
  });

  it("hold synthetic names alone", () => {
    for (const { file } of index) {
      const text = readFileSync(new URL(file, folder), "utf8");
      const domains = [...text.matchAll(/@[\w-]+:([\w.-]+)/g)].map((match) => match[1] ?? "");
      expect(domains.filter((domain) => !domain.endsWith(".example"))).toEqual([]);
      expect(/https?:\/\/(localhost|127\.)/.test(text)).toBe(false);
    }
  });
});

describe.each(index)("a gateway takes each body of $file", ({ file }: IndexEntry) => {
  let gateway: RunningGateway;
  let fixtures: readonly Fixture[];
  beforeAll(async () => {
    fixtures = await readFixtures(file);
    gateway = await startGateway({
      apps: ({ ios, android }) => ({ "*.ios.*": ios, "*android": android, "chat.fluffy.*": android }),
    });
  });
  afterAll(() => gateway.stop());

  it("with 200, and hands what is about an event to its phone", async () => {
    const wrong: string[] = [];
    for (const { title, body } of fixtures) {
      const { notification } = body as Body;
      const before = gateway.simulators.recorder.accepted.length;
      const { status } = await gateway.notify(notification);
      const sent = gateway.simulators.recorder.accepted.length - before;
      const isServed = notification.devices.some(({ app_id: appId }) => served.test(appId));
      const isToArrive = isServed && notification.event_id !== undefined;
      if (status !== 200 || (isToArrive && sent === 0)) wrong.push(`${title}: ${status}, ${sent} sent`);
    }
    expect(wrong).toEqual([]);
    expect(gateway.simulators.recorder.accepted.length).toBeGreaterThan(10);
  });
});
