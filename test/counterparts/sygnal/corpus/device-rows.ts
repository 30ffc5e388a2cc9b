import { corpusApps } from "../apps.ts";
import type { Case } from "../case.ts";
import { apnsToken, type DeviceFields, type Maker } from "./maker.ts";
import { lenientBase64 } from "../notes/apns.ts";

/** Rows 17 to 40 of matrix-push 10.2: devices. */
export function deviceRows(make: Maker): readonly Case[] {
  return [
    ...lists(make),
    ...identities(make),
    ...failures(make),
    ...optionalFields(make),
    ...defaultPayloads(make),
    ...formats(make),
    ...tokens(make),
    ...subscriptions(make),
  ];
}

function lists(make: Maker): readonly Case[] {
  const without = (): object => {
    const { devices: _devices, ...rest } = make.message({}) as { devices: unknown };
    return rest;
  };
  const noList: readonly unknown[] = [null, {}, "x", 7, true];
  const empty = [
    make.message({}),
    make.minimal({}),
    make.badge({ unread: 1 }),
    { devices: [] },
    { event_id: "$x", devices: [] },
  ];
  const bad: readonly (readonly [string, unknown])[] = [
    ["no app_id", { pushkey: "spqr" }],
    ["no pushkey", { app_id: corpusApps.ios }],
    ["app_id a number", { app_id: 7, pushkey: "spqr" }],
    ["pushkey null", { app_id: corpusApps.ios, pushkey: null }],
    ["a text for a device", "device"],
    ["null for a device", null],
    ["a list for a device", []],
  ];
  return [
    make.post("10.2/17", "devices missing", without()),
    ...noList.map((devices) =>
      make.post("10.2/17", `devices is ${JSON.stringify(devices)}`, make.message({ devices })),
    ),
    ...empty.map((body, n) => make.post("10.2/18", `no devices, ${n + 1}`, body)),
    ...bad.map(([title, device]) => make.post("10.2/19", title, make.message({}, device))),
    ...bad.map(([title, device]) =>
      make.post("10.2/20", `${title}, among good ones`, make.message({}, make.ios(), device, make.android())),
    ),
  ];
}

function identities(make: Maker): readonly Case[] {
  const emptyKey = make.each({ pushkey: "" });
  const long = "k".repeat(4_097);
  const repeated = (device: DeviceFields): readonly DeviceFields[] => [device, { ...device }];
  return [
    ...emptyKey.map((device) => make.post("10.2/21", "empty pushkey", make.message({}, device))),
    make.post("10.2/21", "empty pushkey, ids", make.minimal({}, make.ios({ pushkey: "" }))),
    make.post("10.2/21", "empty pushkey, Android, ids", make.minimal({}, make.android({ pushkey: "" }))),
    ...make
      .each({ pushkey: long })
      .map((device) => make.post("10.2/22", "pushkey of 4,097 bytes", make.message({}, device))),
    make.post(
      "10.2/22",
      "pushkey of 40,000 bytes",
      make.message({}, make.ios({ pushkey: "k".repeat(40_000) })),
    ),
    make.post(
      "10.2/22",
      "pushkey of 5,000 bytes, ids",
      make.minimal({}, make.android({ pushkey: "k".repeat(5_000) })),
    ),
    ...["com.example.nobody", "COM.EXAMPLE.IOS", "com.example.ios\n", "com.example", ""].map((appId) =>
      make.post(
        "10.2/23",
        `unknown app_id ${JSON.stringify(appId)}`,
        make.message({}, make.ios({ app_id: appId })),
      ),
    ),
    ...["alpha", "alto", "al", "ally.dev", "al-1"].map((name) =>
      make.post(
        "10.2/24",
        `two patterns fit ${name}`,
        make.message({}, make.ios({ app_id: `com.example.pattern.${name}` })),
      ),
    ),
    make.post(
      "10.2/24",
      "one pattern fits",
      make.message({}, make.ios({ app_id: "com.example.pattern.beta" })),
    ),
    ...make
      .each()
      .map((device) => make.post("10.2/25", "same device twice", make.message({}, ...repeated(device)))),
    make.post("10.2/25", "same device twice, ids", make.minimal({}, ...repeated(make.ios()))),
    make.post("10.2/25", "same device twice, badge", make.badge({ unread: 6 }, ...repeated(make.ios()))),
    make.post(
      "10.2/25",
      "unknown device twice",
      make.message({}, ...repeated(make.ios({ app_id: corpusApps.unknown }))),
    ),
  ];
}

/** One device fails for now, the others are fine. */
function failures(make: Maker): readonly Case[] {
  const busy = (
    title: string,
    order: (failing: DeviceFields, good: readonly DeviceFields[]) => readonly DeviceFields[],
  ): Case => {
    const failing = make.ios();
    const made = make.post(
      "10.2/26",
      title,
      make.message({}, ...order(failing, [make.ios(), make.android()])),
    );
    const answer = { kind: "error", reason: "TooManyRequests", status: 429 } as const;
    return make.scripted(made, { upstream: "apns", token: apnsToken(failing), answer });
  };
  return [
    busy("the first of three fails for now", (failing, good) => [failing, ...good]),
    busy("the second of three fails for now", (failing, [first, ...rest]) => [
      first ?? failing,
      failing,
      ...rest,
    ]),
    busy("the last of three fails for now", (failing, good) => [...good, failing]),
    busy("the only device fails for now", (failing) => [failing]),
    busy("one of two fails for now", (failing, [first]) => [failing, first ?? failing]),
  ];
}

function optionalFields(make: Maker): readonly Case[] {
  const both = (row: string, title: string, more: DeviceFields): readonly Case[] => [
    make.post(row, `${title}, iOS`, make.message({}, make.ios(more))),
    make.post(row, `${title}, Android`, make.message({}, make.android(more))),
  ];
  return [
    ...both("10.2/27", "data null", { data: null }),
    ...both("10.2/27", "data missing", { data: undefined }),
    ...both("10.2/27", "data a text", { data: "x" }),
    ...both("10.2/28", "tweaks null", { tweaks: null }),
    ...both("10.2/28", "tweaks missing", { tweaks: undefined }),
    ...both("10.2/28", "tweaks a list", { tweaks: [] }),
    ...both("10.2/28", "sound a number", { tweaks: { sound: 7 } }),
    ...both("10.2/28", "sound null", { tweaks: { sound: null } }),
    ...[undefined, 0, "soon", 1.5, 1_783_944_012_345, null].map((ts) =>
      make.post(
        "10.2/29",
        `pushkey_ts ${ts === undefined ? "missing" : JSON.stringify(ts)}`,
        make.message({}, make.ios({ pushkey_ts: ts })),
      ),
    ),
  ];
}

function defaultPayloads(make: Maker): readonly Case[] {
  const withPayload = (payload: unknown): { data: object } => ({ data: { default_payload: payload } });
  const nested: readonly object[] = [
    { aps: { "mutable-content": 1 } },
    { cs: "secret", n: 5 },
    { deep: { a: [1, { b: 2 }] } },
    { flag: true, list: ["x"] },
    { none: null, text: "kept" },
  ];
  const big = (bytes: number): { data: object } => withPayload({ x: "y".repeat(bytes) });
  return [
    ...[null, "x", 7, [], '{"cs":"text"}'].map((payload) =>
      make.post(
        "10.2/30",
        `default_payload ${JSON.stringify(payload)}, iOS`,
        make.message({}, make.ios(withPayload(payload))),
      ),
    ),
    make.post("10.2/30", "default_payload null, Android", make.message({}, make.android(withPayload(null)))),
    make.post("10.2/30", "default_payload null, web", make.message({}, make.web(withPayload(null)))),
    ...nested.map((payload) =>
      make.post(
        "10.2/31",
        `nested default_payload ${JSON.stringify(payload)}`,
        make.minimal({}, make.android(withPayload(payload))),
      ),
    ),
    ...make
      .each(withPayload({ event_id: "$other", room_id: "!other:quay.example", kept: "k" }))
      .map((device) => make.post("10.2/32", "default_payload sets ids", make.message({}, device))),
    make.post(
      "10.2/32",
      "default_payload sets ids, ids alone",
      make.minimal({}, make.ios(withPayload({ event_id: "$other", unread_count: 9 }))),
    ),
    make.post(
      "10.2/32",
      "default_payload sets counts",
      make.minimal({}, make.android(withPayload({ unread: "9", prio: "low" }))),
    ),
    make.post("10.2/33", "default_payload of 5,000 bytes, iOS", make.message({}, make.ios(big(5_000)))),
    make.post("10.2/33", "default_payload of 5,000 bytes, ids, iOS", make.minimal({}, make.ios(big(5_000)))),
    make.post(
      "10.2/33",
      "default_payload of 5,000 bytes, Android",
      make.message({}, make.android(big(5_000))),
    ),
    make.post(
      "10.2/33",
      "default_payload of 5,000 bytes, ids, Android",
      make.minimal({}, make.android(big(5_000))),
    ),
    make.post("10.2/33", "default_payload of 5,000 bytes, web", make.message({}, make.web(big(5_000)))),
    make.post("10.2/33", "default_payload of 20,000 bytes, iOS", make.message({}, make.ios(big(20_000)))),
  ];
}

function formats(make: Maker): readonly Case[] {
  const idsOnly = { data: { format: "event_id_only" } };
  return [
    ...make
      .each({ data: { format: "full_event" } })
      .map((device) => make.post("10.2/34", "unknown format", make.message({}, device))),
    make.post("10.2/34", "format a number", make.message({}, make.ios({ data: { format: 7 } }))),
    make.post("10.2/34", "format null", make.message({}, make.android({ data: { format: null } }))),
    ...make
      .each(idsOnly)
      .map((device) => make.post("10.2/35", "ids asked for, content sent", make.message({}, device))),
    ...make.each(idsOnly).map((device) =>
      make.post(
        "10.2/35",
        "ids asked for, invite sent",
        make.message(
          {
            type: "m.room.member",
            membership: "invite",
            user_is_target: true,
            content: { membership: "invite" },
          },
          device,
        ),
      ),
    ),
  ];
}

function tokens(make: Maker): readonly Case[] {
  const hex = (title: string, pushkey: string): Case => {
    const made = make.post("10.2/36", title, make.message({}, make.ios({ pushkey })));
    const garbage = lenientBase64(pushkey) ?? "";
    const answer = { kind: "error", reason: "BadDeviceToken", status: 400 } as const;
    return make.scripted(made, { upstream: "apns", token: garbage, answer });
  };
  return [
    hex("hex token", make.hex(64)),
    hex("hex token in capitals", make.hex(64).toUpperCase()),
    hex("hex token of 100 bytes", `${make.hex(100)}${make.hex(100)}`),
    hex("hex token, another", make.hex(64)),
    hex("hex token, a third", make.hex(64)),
    ...["???", "no base64!", "abcde", "a", "-_-_"].map((pushkey) =>
      make.post("10.2/37", `token ${pushkey}`, make.message({}, make.ios({ pushkey }))),
    ),
  ];
}

function subscriptions(make: Maker): readonly Case[] {
  const web = (row: string, title: string, data: object, more: DeviceFields = {}): Case =>
    make.post(row, title, make.message({}, make.web({ ...more, data })));
  const elsewhere = { app_id: corpusApps.webLimited };
  const inside = ["192.168.7.7", "10.1.2.3", "169.254.169.254", "[fd00::1]", "172.16.5.5"];
  return [
    web("10.2/38", "no endpoint", { endpoint: undefined }),
    web("10.2/38", "no auth", { auth: undefined }),
    web("10.2/38", "endpoint a number", { endpoint: 7 }),
    web("10.2/38", "not https", { endpoint: "http://push.example.net/send/1" }),
    web("10.2/38", "no URL", { endpoint: "push service" }),
    web("10.2/38", "key that is none", {}, { pushkey: "abc" }),
    make.post("10.2/38", "data missing", make.message({}, { ...make.web(), data: undefined })),
    ...[1, 2, 3, 4].map((n) => web("10.2/39", `endpoint not allowed, ${n}`, {}, elsewhere)),
    make.post("10.2/39", "endpoint not allowed, badge", make.badge({ unread: 1 }, make.web(elsewhere))),
    ...inside.map((host) =>
      web("10.2/40", `private address ${host}`, { endpoint: `https://${host}/send/1` }),
    ),
  ];
}
