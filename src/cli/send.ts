import { Command, InvalidArgumentError } from "commander";
import { isJsonObject } from "../json.ts";
import { readStdin } from "./stdin.ts";
import { createHttpClient, type HttpResult } from "../upstream/http-client.ts";

interface SendOptions {
  readonly url: string;
  readonly appId: string;
  readonly pushkey: string;
  readonly text: string;
  readonly sender: string;
  readonly room: string;
  readonly eventId?: string;
  readonly idOnly?: true;
  readonly unread?: number;
  readonly low?: true;
}

/** `signalbox send`: one test push through a running gateway, as a homeserver would send it. */
export function sendCommand(): Command {
  return new Command("send")
    .description("send one test push through a running gateway, as a homeserver would")
    .requiredOption("--app-id <id>", "the app, as its pusher names it")
    .requiredOption("--pushkey <key>", "the device's pushkey; `-` reads it from standard input")
    .option("--url <url>", "the gateway", "http://127.0.0.1:5000")
    .option("--text <text>", "the message", "Hello from Signalbox")
    .option("--sender <name>", "who it is from", "Signalbox")
    .option("--room <name>", "the room's name", "Test")
    .option("--event-id <id>", "the event; the same one again is a duplicate (default: a new one)")
    .option("--id-only", "send ids alone, as pushers with format event_id_only get them")
    .option("--unread <count>", "the unread count", count)
    .option("--low", "low priority")
    .addHelpText("after", "\nExits 0 when the gateway took it and the pushkey was not rejected, else 1.")
    .action(send);
}

async function send(options: SendOptions): Promise<void> {
  const pushkey = options.pushkey === "-" ? (await readStdin()).trim() : options.pushkey;
  const http = createHttpClient({});
  const result = await http({
    method: "POST",
    url: new URL("/_matrix/push/v1/notify", options.url).href,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(notification(options, pushkey)),
  });
  const { ok, sentence } = explain(result);
  (ok ? process.stdout : process.stderr).write(`${sentence}\n`);
  process.exitCode = ok ? 0 : 1;
}

function notification(options: SendOptions, pushkey: string): unknown {
  const eventId = options.eventId ?? `$signalbox-test-${crypto.randomUUID()}`;
  const full = {
    type: "m.room.message",
    sender: "@signalbox:localhost",
    sender_display_name: options.sender,
    room_name: options.room,
    content: { msgtype: "m.text", body: options.text },
  };
  return {
    notification: {
      event_id: eventId,
      room_id: "!signalbox-test:localhost",
      prio: options.low === true ? "low" : "high",
      ...(options.idOnly === true ? {} : full),
      ...(options.unread === undefined ? {} : { counts: { unread: options.unread } }),
      devices: [
        {
          app_id: options.appId,
          pushkey,
          // As if the app had just registered: an old verdict on this token does not count.
          pushkey_ts: Math.floor(Date.now() / 1_000),
          data: options.idOnly === true ? { format: "event_id_only" } : {},
        },
      ],
    },
  };
}

/** The gateway's answer in plain words. */
function explain(result: HttpResult): { readonly ok: boolean; readonly sentence: string } {
  if (result.kind === "failed") {
    const { class: kind, detail } = result.failure;
    return { ok: false, sentence: `no answer from the gateway: ${detail ?? kind}` };
  }
  const body = parse(result.body);
  if (result.status === 200 && isJsonObject(body) && Array.isArray(body["rejected"])) {
    return body["rejected"].length === 0
      ? { ok: true, sentence: "200: the gateway took the push, and the pushkey was not rejected" }
      : {
          ok: false,
          sentence:
            "200, but the pushkey is rejected: the app_id is not configured, the pushkey is none of this app's kind, or the" +
            ` device token is dead${whyOf(result.headers)}`,
        };
  }
  const error = isJsonObject(body) && typeof body["error"] === "string" ? body["error"] : "no reason given";
  return { ok: false, sentence: `${result.status}: ${error}${whyOf(result.headers)}` };
}

/** The command that says more, where it can. */
function whyOf(headers: Extract<HttpResult, { kind: "response" }>["headers"]): string {
  const id = headers["x-request-id"];
  return typeof id === "string" ? `; signalbox explain ${id} says which` : "";
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function count(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("a count is a whole number.");
  return Number(text);
}
