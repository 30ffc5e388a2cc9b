import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ApnsReason } from "../../src/simulator/apns-errors.ts";
import { createCredentials } from "../../src/simulator/credentials.ts";
import type { Rule } from "../../src/simulator/script.ts";
import { ask, askUntil, freshPushkey, withAskedGateway } from "../support/ask-explain.ts";
import { freePort } from "../support/free-port.ts";
import { startPostgres } from "../support/postgres.ts";
import {
  ANDROID,
  IOS,
  iosPushkey,
  message,
  startGateway,
  type RunningGateway,
} from "../support/with-gateway.ts";

const credentials = createCredentials();

const badToken: Rule = { upstream: "apns", answer: { kind: "error", reason: "BadDeviceToken" } };
const error = (reason: ApnsReason): Rule => ({ upstream: "apns", answer: { kind: "error", reason } });

/** Does something to a gateway whose iOS app has sent something before; gives the subject that is asked about. */
type Way = (gateway: RunningGateway) => Promise<string>;

const toIos =
  (
    options: {
      script?: Rule;
      overrides?: Readonly<Record<string, unknown>>;
      times?: number;
    } = {},
  ): Way =>
  async (gateway) => {
    const pushkey = freshPushkey();
    if (options.script !== undefined) gateway.simulators.script.add(options.script);
    const body = message([{ app_id: IOS, pushkey }], options.overrides ?? {});
    for (let i = 0; i < (options.times ?? 1); i += 1) await gateway.notify(body);
    gateway.simulators.script.clear();
    return pushkey;
  };

const PBX_KEY = "pbx-key-7f3a9c1e5b";

const ways: readonly (readonly [string, Way, RegExp])[] = [
  ["delivered", toIos(), /delivered .*\n {2}Apple took it\. Whether the phone showed it/],
  [
    "rejected",
    toIos({ script: error("Unregistered") }),
    /rejected .*\n {2}Apple said that the device token is no longer valid.*410 Unregistered[^]*What to do: Open the app[^]*Now:\n {2}The device is rejected/,
  ],
  [
    "rejected again, from memory",
    toIos({ script: error("Unregistered"), times: 2 }),
    /known to be dead from an earlier answer of Apple/,
  ],
  ["a duplicate", toIos({ times: 2 }), /not sent .*\n {2}The same push had been delivered already/],
  [
    "promised and waiting",
    toIos({ script: error("ServiceUnavailable") }),
    /waiting .*\n {2}Apple answered that it cannot take pushes at the moment\. \(It answered 503 ServiceUnavailable\.\) The gateway has promised it[^]*1 of its pushes is waiting/,
  ],
  [
    "refused credentials",
    toIos({ script: error("TopicDisallowed") }),
    /Apple refuses the credentials of com\.example\.ios[^]*What to do: Check key/,
  ],
  [
    "dropped for what is in it",
    toIos({ script: error("BadCollapseId") }),
    /not sent .*\n {2}Apple refused the push for what is in it/,
  ],
  [
    "dropped with nothing to send",
    toIos({
      overrides: {
        event_id: undefined,
        room_id: undefined,
        type: undefined,
        content: undefined,
        counts: {},
        sender: undefined,
        sender_display_name: undefined,
        room_name: undefined,
      },
    }),
    /not sent .*\n {2}There was nothing in the push to show/,
  ],
  [
    "an unknown app",
    async (gateway) => {
      await gateway.notify(message([{ app_id: "com.example.typo", pushkey: "unknown-1" }]));
      return "unknown-1";
    },
    /rejected {2}\(no app, device [0-9a-f]{8}\)\n {2}The app_id of the pusher is not configured[^]*Add the app_id under `apps`/,
  ],
  [
    "an impossible pushkey",
    async (gateway) => {
      await gateway.notify(message([{ app_id: IOS, pushkey: "not a token!" }]));
      return "not a token!";
    },
    /can never be a device token of this kind of app/,
  ],
  [
    "an app that was removed",
    async (gateway) => {
      await gateway.notify(message([{ app_id: ANDROID, pushkey: "removed-1" }]));
      await gateway.rewrite(({ apps: { [ANDROID]: _gone, ...apps }, ...config }) => ({ ...config, apps }));
      await gateway.gateway.reload();
      await gateway.notify(message([{ app_id: ANDROID, pushkey: "removed-1" }]));
      return "removed-1";
    },
    /taken out of the gateway's configuration lately[^]*com\.example\.android is no longer configured: its pushers are left alone until/,
  ],
];

describe("explain", () => {
  it.each(ways)("says of a push that was %s so, in words to send on", (_way, way, words) =>
    withAskedGateway({}, async (gateway) => {
      await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey("aa00") }]));
      const subject = await way(gateway);
      const { found, text } = await ask(gateway, subject);
      expect(text).toMatch(words);
      expect(found).toBe(true);
      expect(text).not.toContain(subject);
      expect(gateway.logLines.join("\n")).not.toContain(subject);
    }),
  );

  it("knows the token of a softphone as its sender writes it and as Apple spells it", () =>
    withAskedGateway({ config: { softphone: { api_keys: [PBX_KEY] } } }, async (gateway) => {
      const hex = "b1".repeat(32);
      const sent = Buffer.from(hex, "hex").toString("base64");
      const response = await fetch(new URL("/pnm2/send", gateway.url), {
        method: "POST",
        headers: { "x-api-key": PBX_KEY, "content-type": "application/json" },
        body: JSON.stringify({
          verb: "NotifyGenericTextMessage",
          AppId: IOS,
          DeviceToken: sent,
          Message: "Hello",
        }),
      });
      expect(await response.json()).toMatchObject({ code: 200 });
      for (const subject of [sent, hex]) {
        const { pushes } = await ask(gateway, subject);
        expect(pushes).toMatchObject([{ app: IOS, outcome: "delivered" }]);
      }
    }));

  it("says why a rejection is held before anything has succeeded", () =>
    withAskedGateway({}, async (gateway) => {
      const subject = await toIos({ script: badToken })(gateway);
      expect((await ask(gateway, subject)).text).toMatch(
        /waiting .*\n {2}Apple said that the device token is dead, and this is not believed[^]*What to do: Check topic[^]*Now:[^]*No push has succeeded with the present credentials/,
      );
    }));

  it("says that a sender was sent back where nothing can be promised", () =>
    withAskedGateway({ config: { store: { url: "memory:" } } }, async (gateway) => {
      const subject = await toIos({ script: error("ServiceUnavailable") })(gateway);
      expect((await ask(gateway, subject)).text).toMatch(
        /sent back .*\n.*The sender was told to send it again later/,
      );
    }));

  it("tells of an event what became of it on each device, and of a request the same", () =>
    withAskedGateway({}, async (gateway) => {
      await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey("aa00") }]));
      const [good, dead] = [iosPushkey("bb01"), iosPushkey("bb02")];
      gateway.simulators.script.add({ ...error("Unregistered"), tokenPrefix: "bb02" });
      const body = message(
        [
          { app_id: IOS, pushkey: good },
          { app_id: IOS, pushkey: dead },
          { app_id: ANDROID, pushkey: "an-android" },
        ],
        { event_id: "$the-event" },
      );
      const { headers } = await gateway.notify(body);
      const ofEvent = await ask(gateway, "$the-event");
      expect(ofEvent.pushes.map(({ app, outcome }) => `${String(app)} ${String(outcome)}`).sort()).toEqual([
        `${ANDROID} delivered`,
        `${IOS} delivered`,
        `${IOS} rejected`,
      ]);
      expect(new Set(ofEvent.pushes.map(({ device }) => device)).size).toBe(3);
      const ofRequest = await ask(gateway, String(headers["x-request-id"]));
      expect(ofRequest.pushes).toHaveLength(3);
      expect(ofEvent.text).not.toContain("the-event");
    }));

  it("tells of all sixty devices of an event, and of a device's latest twenty pushes that there are more", () =>
    withAskedGateway({}, async (gateway) => {
      const pushkeys = Array.from({ length: 60 }, freshPushkey);
      const devices = pushkeys.map((pushkey) => ({ app_id: IOS, pushkey }));
      await gateway.notify(message(devices, { event_id: "$of-sixty" }));
      const ofEvent = await ask(gateway, "$of-sixty");
      expect(ofEvent.pushes).toHaveLength(60);
      expect(ofEvent.text).not.toContain("More is remembered");
      const [pushkey = ""] = pushkeys;
      for (let i = 0; i < 20; i += 1)
        await gateway.notify(message([{ app_id: IOS, pushkey }], { event_id: `$later-${i}` }));
      const ofDevice = await ask(gateway, pushkey);
      expect(ofDevice.pushes).toHaveLength(20);
      expect(ofDevice.text).toContain("of a device the latest 20 pushes");
    }));

  it("says of a push that was too old in the end that it was given up", () =>
    withAskedGateway({ config: { delivery: { expire_after: { message: "1s" } } } }, async (gateway) => {
      gateway.simulators.script.add(error("ServiceUnavailable"));
      const pushkey = freshPushkey();
      await gateway.notify(message([{ app_id: IOS, pushkey }]));
      const text = await askUntil(gateway, pushkey, /given up/);
      expect(text).toMatch(/not sent .*\n.*too old to be useful, and was given up/);
      expect(text).not.toContain("waiting");
    }));

  it("follows a promised push to its end", () =>
    withAskedGateway({}, async (gateway) => {
      const subject = await toIos({ script: error("ServiceUnavailable") })(gateway);
      const text = await askUntil(gateway, subject, /Apple took it/);
      expect(text).toMatch(/Apple took it\. .*It took \d tries/);
      expect(text).not.toContain("waiting");
    }));

  it("knows nothing of what it never saw, and says where to look", () =>
    withAskedGateway({}, async (gateway) => {
      const { found, text } = await ask(gateway, "never-seen");
      expect([found, text]).toEqual([false, expect.stringContaining("the pusher's URL leads here")]);
    }));

  it("remembers rejections and deliveries over an orderly restart", async () => {
    const [good, dead] = [freshPushkey(), freshPushkey()];
    const directory = await mkdtemp(join(tmpdir(), "signalbox-explain-"));
    try {
      const storeFile = join(directory, "kept.db");
      await withAskedGateway({ storeFile }, async (gateway) => {
        await gateway.notify(message([{ app_id: IOS, pushkey: good }]));
        gateway.simulators.script.add(error("Unregistered"));
        await gateway.notify(message([{ app_id: IOS, pushkey: dead }]));
      });
      await withAskedGateway({ storeFile }, async (gateway) => {
        expect((await ask(gateway, good)).text).toContain("Apple took it");
        expect((await ask(gateway, dead)).text).toContain("no longer valid");
      });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("knows on one replica what another delivered, where both share a database", async () => {
    const postgres = await startPostgres();
    const store = { url: await postgres.createDatabase() };
    const replica = async () => ({ config: { store, admin: { port: await freePort() } } });
    try {
      const second = await startGateway({ simulators: { credentials }, ...(await replica()) });
      await withAskedGateway(await replica(), async (first) => {
        const subject = await toIos()(first);
        expect(await askUntil(second, subject, /Apple took it/)).toContain("Apple took it");
      }).finally(() => second.stop());
    } finally {
      await postgres.stop();
    }
  });

  it.each([
    ["{}"],
    ['{"subject": 5}'],
    ['{"subject": ""}'],
    [JSON.stringify({ subject: "x".repeat(9_000) })],
  ])("refuses a question that is none: %.30s", (body) =>
    withAskedGateway({}, async (gateway) => {
      const response = await fetch(`${gateway.adminUrl}/explain`, { method: "POST", body });
      expect(response.status).toBe(400);
    }),
  );

  it("says so when it is switched off", () =>
    withAskedGateway({ config: { explain: "off" } }, async (gateway) => {
      const response = await fetch(`${gateway.adminUrl}/explain`, {
        method: "POST",
        body: '{"subject": "x"}',
      });
      expect(response.status).toBe(404);
    }));
});
