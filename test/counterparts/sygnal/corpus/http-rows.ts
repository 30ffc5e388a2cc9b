import type { Case } from "../case.ts";
import type { Maker } from "./maker.ts";

const PATH = "/_matrix/push/v1/notify";
const EMPTY = Buffer.alloc(0);

/** Rows 1 to 16 of matrix-push 10.1: HTTP and JSON. */
export function httpRows(make: Maker): readonly Case[] {
  return [...methodsAndPaths(make), ...bodies(make), ...connections(make), ...oddJson(make)];
}

function methodsAndPaths(make: Maker): readonly Case[] {
  const get = (row: string, title: string, path: string, more = {}): Case =>
    make.raw(row, title, EMPTY, { method: "GET", path, headers: {}, ...more });
  const message = (row: string, path: string): Case =>
    make.post(row, `POST ${path.replace(PATH, "…")}`, make.message({}, make.ios()), { path });
  return [
    get("10.1/1", "GET", PATH),
    get("10.1/1", "GET with a query", `${PATH}?x=y`),
    get("10.1/1", "GET with a trailing slash", `${PATH}/`),
    get("10.1/1", "GET over HTTP/1.0", PATH, { version: "1.0" }),
    get("10.1/1", "GET for a page", PATH, { headers: { accept: "text/html" } }),
    ...["/", "/notify", "/_matrix/push/v2/notify", "/metrics"].map((path) => message("10.1/2", path)),
    get("10.1/2", "GET of the root", "/"),
    get("10.1/2", "GET of nothing we know", "/.well-known/matrix/client"),
    ...[`${PATH}/`, `${PATH}?x=y`, `${PATH}/?x=y`, `${PATH}?`, `${PATH}?access_token=none&y`].map((path) =>
      message("10.1/3", path),
    ),
    message("10.1/3", `${PATH}/below`),
  ];
}

function bodies(make: Maker): readonly Case[] {
  const whole = (): string => JSON.stringify({ notification: make.message({}, make.ios()) });
  const empty = ["", " ", "\n", "\t\r\n", "  \n  "];
  const broken: readonly (readonly [string, string | Buffer])[] = [
    [
      "a byte that is not UTF-8",
      Buffer.concat([Buffer.from(whole()).subarray(0, -3), Buffer.from([0xff]), Buffer.from("}}")]),
    ],
    ["Latin-1", Buffer.from('{"notification":{"room_name":"é"}}', "latin1")],
    ["UTF-16", Buffer.from(whole(), "utf16le")],
    ["cut off", whole().slice(0, -4)],
    ["single quotes", "{'notification':{}}"],
    ["NaN", '{"notification":{"counts":{"unread":NaN},"devices":[]}}'],
    ["a comma too many", '{"notification":{"devices":[],}}'],
  ];
  const bom = "\ufeff";
  const withBom: readonly (readonly [string, object])[] = [
    ["message", make.message({}, make.ios())],
    ["ids", make.minimal({}, make.ios())],
    ["badge", make.badge({ unread: 4 }, make.ios())],
    ["Android", make.message({}, make.android())],
    ["web", make.message({}, make.web())],
  ];
  const others = ["[]", '["notification"]', '"text"', "7", "null", "true", '"a notification"'];
  const notNotification = [
    "{}",
    '{"notification":null}',
    '{"notification":[]}',
    '{"notification":"x"}',
    '{"notification":5}',
    '{"Notification":{}}',
  ];
  const types: readonly (readonly [string, Record<string, string>])[] = [
    ["text/plain", { "content-type": "text/plain" }],
    ["none", {}],
    ["a form", { "content-type": "application/x-www-form-urlencoded" }],
    ["with charset", { "content-type": "application/json; charset=utf-8" }],
    ["rubbish", { "content-type": "rubbish" }],
  ];
  return [
    ...empty.map((text) => make.raw("10.1/4", `empty body ${JSON.stringify(text)}`, text)),
    ...broken.map(([title, body]) => make.raw("10.1/5", title, body)),
    ...withBom.map(([title, body]) =>
      make.raw("10.1/6", `byte order mark, ${title}`, `${bom}${JSON.stringify({ notification: body })}`),
    ),
    ...others.map((text) => make.raw("10.1/7", `JSON, but ${text}`, text)),
    ...notNotification.map((text) => make.raw("10.1/8", text, text)),
    ...types.map(([title, headers]) =>
      make.post("10.1/9", `content type ${title}`, make.message({}, make.ios()), { headers }),
    ),
  ];
}

function connections(make: Maker): readonly Case[] {
  const old = { version: "1.0" } as const;
  const large = (bytes: number): string => {
    const body = JSON.stringify({ notification: make.message({ filler: "" }, make.ios()) });
    return body.replace('"filler":""', `"filler":"${"x".repeat(bytes - body.length)}"`);
  };
  const endless = { sender: "never-ends" } as const;
  const leaving = { sender: "hangs-up" } as const;
  return [
    make.post("10.1/10", "HTTP/1.0, message", make.message({}, make.ios()), old),
    make.post("10.1/10", "HTTP/1.0, ids", make.minimal({}, make.android()), old),
    make.post("10.1/10", "HTTP/1.0, badge", make.badge({ unread: 1 }, make.ios()), old),
    make.post("10.1/10", "HTTP/1.0, web", make.message({}, make.web()), old),
    make.post("10.1/10", "HTTP/1.0, bad", {}, old),
    make.raw("10.1/11", "exactly 512 KiB", large(524_288)),
    make.raw("10.1/11", "one byte more", large(524_289)),
    make.raw("10.1/11", "600,000 bytes", large(600_000)),
    make.raw("10.1/11", "1 MiB", large(1_048_576)),
    make.raw("10.1/11", "700,000 bytes that are no JSON", "x".repeat(700_000)),
    ...[1, 2, 3, 4, 5].map((n) =>
      make.post("10.1/12", `body never finishes, ${n}`, make.message({}, make.ios()), endless),
    ),
    make.post("10.1/16", "caller hangs up, message", make.message({}, make.ios()), leaving),
    make.post("10.1/16", "caller hangs up, ids", make.minimal({}, make.ios()), leaving),
    make.post("10.1/16", "caller hangs up, badge", make.badge({ unread: 3 }, make.ios()), leaving),
    make.post("10.1/16", "caller hangs up, Android", make.message({}, make.android()), leaving),
    make.post("10.1/16", "caller hangs up, web", make.message({}, make.web()), leaving),
  ];
}

function oddJson(make: Maker): readonly Case[] {
  const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
  const withText = (notification: object, from: string, to: string): string =>
    JSON.stringify({ notification }).replace(from, to);
  const twice = (title: string, from: string, to: string): Case =>
    make.raw("10.1/14", `${title} twice`, withText(make.message({}, make.ios()), from, to));
  const lone = "\ud800";
  return [
    make.raw(
      "10.1/13",
      "content 10,000 deep",
      withText(make.message({}, make.ios()), '{"msgtype":"m.text","body":"Cod is in"}', nested(10_000)),
    ),
    make.raw("10.1/13", "arrays 10,000 deep", `${"[".repeat(10_000)}${"]".repeat(10_000)}`),
    make.raw(
      "10.1/13",
      "key __proto__ in content",
      withText(make.message({}, make.ios()), '{"msgtype"', '{"__proto__":{"body":"x"},"msgtype"'),
    ),
    make.raw(
      "10.1/13",
      "key __proto__ in the notification",
      withText(make.message({}, make.ios()), '{"event_id"', '{"__proto__":{"prio":"low"},"event_id"'),
    ),
    make.raw(
      "10.1/13",
      "key constructor in content",
      withText(make.message({}, make.ios()), '{"msgtype"', '{"constructor":{"prototype":{}},"msgtype"'),
    ),
    make.raw(
      "10.1/13",
      "key constructor in data",
      withText(make.message({}, make.ios()), '"data":{}', '"data":{"constructor":1}'),
    ),
    twice("room_id", '"room_id"', '"room_id":"!first:quay.example","room_id"'),
    twice("content", '"content"', '"content":{"msgtype":"m.text","body":"first"},"content"'),
    twice("prio", '"prio"', '"prio":"low","prio"'),
    twice("counts", '"counts"', '"counts":{"unread":9},"counts"'),
    twice("devices", '"devices"', '"devices":[],"devices"'),
    make.post(
      "10.1/15",
      "lone surrogate in the text",
      make.message({ content: { msgtype: "m.text", body: `a${lone}b` } }, make.ios()),
    ),
    make.post(
      "10.1/15",
      "lone surrogate in a name",
      make.message({ sender_display_name: `${lone}Olav` }, make.ios()),
    ),
    make.post(
      "10.1/15",
      "lone surrogate in the room",
      make.message({ room_name: `Market${lone}` }, make.ios()),
    ),
    make.post(
      "10.1/15",
      "lone surrogate, Android",
      make.message({ content: { msgtype: "m.text", body: `a${lone}b` } }, make.android()),
    ),
    make.post(
      "10.1/15",
      "lone surrogate in the default payload",
      make.minimal({}, make.ios({ data: { default_payload: { x: lone } } })),
    ),
  ];
}
