import { Replay, type LoadApp } from "../../src/load/replay.ts";

const ios: LoadApp = { appId: "com.example.ios", kind: "apns", devices: 2 };
const android: LoadApp = { appId: "com.example.android", kind: "fcm", devices: 3 };
const web: LoadApp = {
  appId: "com.example.web",
  kind: "webpush",
  devices: 2,
  endpoint: "https://push.example/p/",
};
const unified: LoadApp = {
  appId: "com.example.up",
  kind: "unifiedpush",
  devices: 2,
  endpoint: "https://up.example/x",
};

const recorded = {
  notification: {
    event_id: "$recorded",
    id: "$recorded",
    room_id: "!room:example.org",
    content: { body: 'says "$recorded"' },
    devices: [
      {
        app_id: "recorded.app",
        pushkey: "recorded",
        pushkey_ts: 12,
        data: { format: "x" },
        tweaks: { sound: "y" },
      },
      { app_id: "recorded.app", pushkey: "recorded two" },
    ],
  },
};

interface Sent {
  readonly notification: {
    readonly event_id?: string;
    readonly id?: string;
    readonly devices: readonly {
      readonly app_id: string;
      readonly pushkey: string;
      readonly data: Readonly<Record<string, string>>;
    }[];
  };
}

const sent = (replay: Replay): Sent => JSON.parse(replay.next().body) as Sent;

describe("Replay", () => {
  it("keeps everything of a notification but its event and its devices' names", () => {
    const { body, pushes } = new Replay([recorded], [ios]).next();
    const { notification } = JSON.parse(body) as Sent;
    const [first, second] = notification.devices;
    expect(pushes).toBe(2);
    expect(notification).toEqual({
      ...recorded.notification,
      event_id: notification.event_id,
      id: notification.event_id,
      devices: [
        { ...recorded.notification.devices[0], app_id: ios.appId, pushkey: first?.pushkey },
        { app_id: ios.appId, pushkey: second?.pushkey, data: {} },
      ],
    });
    expect(body).not.toContain("recorded two");
  });

  it("makes another event of each request, and none where there was none", () => {
    const replay = new Replay([recorded, { notification: { devices: [{}] } }], [ios]);
    const events = Array.from({ length: 100 }, () => sent(replay).notification.event_id);
    expect(events.filter((event) => event === undefined)).toHaveLength(50);
    expect(new Set(events).size).toBe(51);
    expect(events[0]).toMatch(/^\$[\w-]{43}$/);
  });

  it("takes the apps in turn, and of each its devices in turn", () => {
    const replay = new Replay([{ notification: { devices: [{}] } }], [ios, android]);
    const devices = Array.from({ length: 24 }, () => sent(replay).notification.devices[0]);
    const keysOf = (appId: string) =>
      devices.filter((each) => each?.app_id === appId).map((each) => each?.pushkey);
    expect(keysOf(ios.appId)).toHaveLength(12);
    expect(new Set(keysOf(ios.appId)).size).toBe(ios.devices);
    expect(new Set(keysOf(android.appId)).size).toBe(android.devices);
    expect(Buffer.from(String(keysOf(ios.appId)[0]), "base64")).toHaveLength(32);
  });

  it("gives browsers their endpoint and keys, beside what was recorded", () => {
    const replay = new Replay([recorded], [web, unified]);
    const [browser, phone] = sent(replay).notification.devices;
    expect(browser?.data).toMatchObject({ format: "x", endpoint: "https://push.example/p/0" });
    expect(Buffer.from(String(browser?.pushkey), "base64url")).toHaveLength(65);
    expect(Buffer.from(String(browser?.data["auth"]), "base64url")).toHaveLength(16);
    expect(phone?.pushkey).toBe("https://up.example/x/0");
  });

  it.each([
    ["nothing", []],
    ["what is no notification", [{ notification: "x" }]],
    ["a notification without devices", [{ notification: { devices: [] } }]],
    ["a device that is none", [{ notification: { devices: ["x"] } }]],
  ])("refuses %s", (_what, bodies) => {
    expect(() => new Replay(bodies, [ios])).toThrow(Error);
  });
});
