import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startCollector } from "./collector.ts";
import type { GatewaySetUp, RunningGateway } from "./with-gateway.ts";

/** Marks what must never leave; device tokens in hex, as upstreams get them, and in base64, as senders name them. */
export const CANARY = "canary5ec4e7";
const CANARY_HEX = "ca4a5ec4e7ca";
const CANARY_BASE64 = Buffer.from(CANARY_HEX, "hex").toString("base64");
const forms = [CANARY, CANARY_HEX, CANARY_BASE64];

/** Everything that a run let out, by where it came out. */
export interface Leaks {
  readonly logs: string;
  readonly metrics: string;
  readonly traces: string;
  /** Bodies of answers that refuse: a `rejected` list repeats pushkeys on purpose. */
  readonly errors: string;
  readonly processArguments: string;
}

const marked = (name: string): string => `${CANARY}-${name}`;
const device = (appId: string, pushkey: string, data: object = {}): object => ({
  app_id: appId,
  pushkey,
  pushkey_ts: 1,
  data: { note: marked("data"), default_payload: { secret: marked("payload") }, ...data },
});

/** A notification in which every field that may hold a secret does. */
function notification(devices: readonly object[], change: object = {}): object {
  return {
    event_id: `$${marked("event")}-${crypto.randomUUID()}`,
    room_id: `!${marked("room")}:example.org`,
    type: "m.room.message",
    sender: `@${marked("sender")}:example.org`,
    sender_display_name: marked("name"),
    room_name: marked("room-name"),
    prio: "high",
    content: { msgtype: "m.text", body: marked("body") },
    counts: { unread: 1 },
    devices,
    ...change,
  };
}

/** What APNs answers to one push each. */
const apnsAnswers = [
  { kind: "error", reason: "Unregistered" },
  { kind: "error", reason: "BadDeviceToken" },
  { kind: "error", reason: "InvalidProviderToken" },
  { kind: "error", reason: "TopicDisallowed" },
  { kind: "error", reason: "PayloadTooLarge" },
  { kind: "error", reason: "InternalServerError" },
  { kind: "raw", status: 418, body: `<html>${CANARY}</html>` },
  { kind: "close" },
] as const;
const appOf = (answer: number): string => `com.example.answer${answer}`;

/**
 * Sends a push of every kind and end through a whole gateway at debug level, traces and metrics included, and collects
 * what came out.
 */
export async function runCanaries(start: (setUp: GatewaySetUp) => Promise<RunningGateway>): Promise<Leaks> {
  const collector = await startCollector();
  const ios = "com.example.ios";
  const android = "com.example.android";
  const gateway = await start({
    config: {
      tracing: { endpoint: collector.url },
      delivery: { answer_within: "1s" },
      limits: { max_devices: 20 },
      outbound: { allow_addresses: ["127.0.0.0/8", "::1/128"] },
    },
    apps: (base, files) => ({
      "com.example.web": {
        type: "webpush",
        vapid_private_key: files.vapidKey,
        vapid_contact_email: `${CANARY}@example.com`,
        ca_file: files.ca,
      },
      "com.example.up": { type: "unifiedpush", ca_file: files.ca },
      // One for each answer of APNs below: an app whose credentials are refused is left alone for a while.
      ...Object.fromEntries(apnsAnswers.map((_answer, i) => [appOf(i), base.ios])),
      "com.example.*.down": { ...base.ios, endpoint: "https://127.0.0.1:1" },
    }),
  });
  const { simulators } = gateway;
  const token = (i: number): string =>
    Buffer.from(`${CANARY_HEX}${String(i).padStart(2, "0")}`.padEnd(64, "0"), "hex").toString("base64");
  const hex = (i: number): string => Buffer.from(token(i), "base64").toString("hex");
  apnsAnswers.forEach((answer, i) => simulators.script.add({ upstream: "apns", token: hex(i + 1), answer }));
  simulators.fcm.setDevice(marked("dead"), "dead");
  simulators.fcm.setDevice(marked("foreign"), "foreign");
  const errors: string[] = [];
  const post = async (body: string, headers: Record<string, string> = {}): Promise<void> => {
    const answer = await fetch(`${gateway.url}?token=${marked("query")}`, {
      method: "POST",
      body,
      headers: { authorization: `Bearer ${marked("bearer")}`, "user-agent": marked("agent"), ...headers },
    });
    const text = await answer.text();
    if (answer.status !== 200) errors.push(text, JSON.stringify([...answer.headers]));
  };
  const push = (devices: readonly object[], change: object = {}): Promise<void> =>
    post(JSON.stringify({ notification: notification(devices, change) }));
  try {
    await push([device(ios, token(0)), device(android, marked("alive"))]);
    await Promise.all(apnsAnswers.map((_answer, i) => push([device(appOf(i), token(i + 1))])));
    await push([device(appOf(0), token(1)), device(ios, marked("no base64!"))]);
    await push([device(android, marked("dead")), device(android, marked("foreign"))]);
    await push([device(`com.example.${CANARY}.down`, token(20))]);
    await push([device(`${CANARY}.unknown`, marked("unknown-app"))]);
    await push([device(ios, token(0))], { event_id: "", content: { body: marked("x".repeat(9_000)) } });
    await push([device(ios, token(0))], { type: null, event_id: undefined, counts: { unread: 3 } });
    await push([
      device("com.example.up", `${simulators.unifiedPush.url}/${marked("endpoint")}?${marked("q")}`),
    ]);
    await push([device("com.example.up", `https://10.0.0.1/${marked("private")}`)]);
    const keys = { endpoint: `${simulators.webPush.url}/push/${marked("sub")}`, auth: marked("auth") };
    await push([device("com.example.web", marked("p256dh"), keys)]);
    await push(Array.from({ length: 30 }, (_, i) => device(ios, token(i))));
    await push([device(ios, token(0))], { devices: [{ app_id: CANARY, pushkey: 7 }] });
    await post(`{"notification": {"${CANARY}": `);
    await post(`[{"${CANARY}": 1}]`, { "content-encoding": marked("encoding") });
    await post("x".repeat(600_000));
    await fetch(new URL(`/${marked("path")}?${marked("query")}`, gateway.url)).then((answer) =>
      answer.text(),
    );
    const metrics = await gateway.metrics();
    const processArguments = readFileSync(join("/proc", String(process.pid), "cmdline"), "utf8");
    await gateway.stop();
    return {
      logs: gateway.logLines.join("\n"),
      metrics,
      traces: collector.requests.map(({ body }) => body).join("\n"),
      errors: errors.join("\n"),
      processArguments,
    };
  } finally {
    await collector.close();
  }
}

/** The places where a canary came out. */
export function found(leaks: Leaks): readonly string[] {
  return Object.entries(leaks)
    .filter(([, text]: [string, string]) =>
      forms.some((form) => text.toLowerCase().includes(form.toLowerCase())),
    )
    .map(([place]) => place);
}
