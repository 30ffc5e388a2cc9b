import type { MatrixContent, Push } from "../../../src/core/push.ts";
import { dataBytes } from "../../../src/pushkins/fcm/data.ts";
import { renderMatrix } from "../../../src/pushkins/fcm/matrix.ts";
import { countsContent, matrixContent, minimalContent, push } from "../../support/builders.ts";
import { N, pushOf, startFcm } from "./fcm-fixture.ts";

const rendering = { sendBadgeCounts: true, countsPushes: true, layout: "hedwig" } as const;

function render(content: MatrixContent, overrides: Partial<Push> = {}, settings: object = {}) {
  const data = renderMatrix(push({ content, ...overrides }), content, { ...rendering, ...settings });
  if ("kind" in data) throw new Error(data.reason);
  return data;
}

const parsed = (data: Map<string, string>, key: string): unknown => JSON.parse(data.get(key) ?? "");

describe("the layout that the Matrix Dart SDK reads (matrix-push 7.2)", () => {
  it("has the request's names, and counts, content and the one device as JSON text", () => {
    const content = matrixContent({
      membership: "join",
      userIsTarget: false,
      highlight: true,
      sound: "default",
      data: { client_name: "account-a", data_message: "android", default_payload: { cs: "x" } },
      defaultPayload: { cs: "x" },
    });
    const data = render(content, { pushkeyTsMs: 1_783_949_000_999 });
    const { counts, content: event, devices, ...flat } = Object.fromEntries(data);
    expect(flat).toEqual({
      cs: "x",
      event_id: "$e",
      room_id: "!r:e",
      type: "m.room.message",
      sender: "@s:e",
      membership: "join",
      sender_display_name: "Major Tom",
      room_name: "Mission Control",
      room_alias: "#a:e",
      user_is_target: "false",
      prio: "high",
    });
    expect(JSON.parse(counts ?? "")).toEqual({ unread: 2, missed_calls: 1 });
    expect(JSON.parse(event ?? "")).toEqual({ msgtype: "m.text", body: "hello", other: 1 });
    expect(JSON.parse(devices ?? "")).toEqual([
      {
        app_id: "com.example.app",
        pushkey: "spqr",
        pushkey_ts: 1_783_949_000,
        data: { client_name: "account-a", data_message: "android" },
        tweaks: { sound: "default", highlight: true },
      },
    ]);
  });

  it("of a minimal push has no content, but the device", () => {
    expect(Object.fromEntries(render(minimalContent()))).toEqual({
      event_id: "$e",
      room_id: "!r:e",
      prio: "high",
      counts: '{"unread":2}',
      devices: '[{"app_id":"com.example.app","pushkey":"spqr","data":{},"tweaks":{}}]',
    });
  });

  it("of a counts push has a zero that clears", () => {
    const data = render(countsContent({ unread: 0 }), { priority: "low" });
    expect([...data.keys()].sort()).toEqual(["counts", "devices", "prio"]);
    expect(parsed(data, "counts")).toEqual({ unread: 0 });
    expect(data.get("prio")).toBe("low");
  });

  it("has no counts with send_badge_counts: false, nor when the request has none", () => {
    expect(render(matrixContent(), {}, { sendBadgeCounts: false }).has("counts")).toBe(false);
    const { unread: _unread, missedCalls: _missed, ...content } = matrixContent();
    expect(render(content).has("counts")).toBe(false);
  });

  it("passes what is encrypted on unchanged (matrix-push 8)", () => {
    const content: MatrixContent = {
      kind: "matrix",
      form: "encrypted",
      ciphertext: "c".repeat(2500),
      ephemeral: "e",
      mac: "m",
      data: { algorithm: "a" },
      defaultPayload: {},
    };
    const data = render(content);
    expect(data.get("ciphertext")).toBe(content.ciphertext);
    expect(parsed(data, "devices")).toMatchObject([{ data: { algorithm: "a" } }]);
  });

  it("keeps a long content's kind and the beginning of its body, as JSON", () => {
    const data = render(matrixContent({ content: { msgtype: "m.text", body: "海".repeat(20_000), x: 1 } }));
    const content = parsed(data, "content") as Record<string, string>;
    expect(Object.keys(content)).toEqual(["msgtype", "body"]);
    expect(content["body"]).toMatch(/^海+…$/);
    expect(dataBytes(data)).toBeLessThanOrEqual(4000);
  });

  it("without room for the pusher's data keeps the device, and of its data what names the account", () => {
    const data = render(
      matrixContent({ data: { client_name: "account-a", data_message: "android", other: "x".repeat(9000) } }),
    );
    expect(parsed(data, "devices")).toEqual([
      {
        app_id: "com.example.app",
        pushkey: "spqr",
        data: { client_name: "account-a", data_message: "android" },
        tweaks: {},
      },
    ]);
    expect(data.get("event_id")).toBe("$e");
    expect(parsed(data, "counts")).toEqual({ unread: 2, missed_calls: 1 });
  });

  it("is chosen with payload_layout: hedwig, and FCM takes it", async () => {
    const rig = await startFcm({ config: { payload_layout: "hedwig" } });
    try {
      const device = { data: { client_name: "account-a" }, tweaks: { sound: "default" } };
      expect((await rig.outcome(pushOf(N, device, rig.clock.now()))).kind).toBe("delivered");
      expect(rig.lastMessage()["data"]).toMatchObject({
        event_id: "$e",
        content: '{"msgtype":"m.text","body":"hello","other":1}',
        counts: '{"unread":2,"missed_calls":1}',
      });
    } finally {
      await rig.stop();
    }
  });
});
