import { readFile } from "node:fs/promises";
import { connect, isIP } from "node:net";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "../config/durations.ts";
import { isJsonObject, type JsonValue } from "../json.ts";
import { deviceKinds, Replay, type DeviceKind, type LoadApp } from "../load/replay.ts";
import { runLoad } from "../load/run.ts";
import { liveLine, missed, summary, type ServiceLevel } from "../load/summary.ts";

interface LoadFlags {
  readonly url: string;
  readonly app: readonly Omit<LoadApp, "devices">[];
  readonly devices: number;
  readonly notifications: string;
  readonly rate?: number;
  readonly callers: number;
  readonly duration: number;
  readonly timeout: number;
  readonly ca?: string;
  readonly p50?: number;
  readonly p99?: number;
  readonly p999?: number;
  readonly success?: number;
  readonly throughput?: number;
  readonly json?: true;
  readonly thisHostIsMine?: true;
}

/** What a real homeserver has sent, in the package. */
const recorded = fileURLToPath(new URL("../../bench/fixtures/synapse.jsonl", import.meta.url));

/** `signalbox load`: recorded notifications at a gateway, as fast as asked, and whether it held what it should. */
export function loadCommand(): Command {
  return new Command("load")
    .description("replay recorded notifications at a gateway, and tell how it held")
    .option("--url <url>", "the gateway", "http://127.0.0.1:5000")
    .addOption(
      new Option(
        "--app <id=kind>",
        "an app that the devices belong to, and what their pushkeys are: apns, fcm, webpush=ENDPOINT or unifiedpush=ENDPOINT; may be repeated",
      )
        .argParser(app)
        .default([], "com.example.app.ios=apns and com.example.app.android=fcm, which `sim --dir` writes"),
    )
    .option("--devices <count>", "made-up devices for each app", positiveCount, 1000)
    .addOption(
      new Option(
        "--notifications <file>",
        "JSON: a list of request bodies or of objects with a `body`, or one of them a line",
      ).default(recorded, "what a Synapse has sent, in the package"),
    )
    .option(
      "--rate <per second>",
      "requests a second, whatever becomes of them (default: each caller goes on when it is answered)",
      positive,
    )
    .option("--callers <count>", "connections, each with one request at a time", positiveCount, 20)
    .addOption(
      new Option("--duration <time>", "how long, such as 30s or 10m")
        .argParser(duration)
        .default(10_000, "10s"),
    )
    .addOption(new Option("--timeout <time>", "for one request").argParser(duration).default(30_000, "30s"))
    .option("--ca <file>", "a private authority's certificate, PEM, for https")
    .option("--p50 <time>", "exit with 1 when half of the requests take longer", duration)
    .option("--p99 <time>", "the same for one in a hundred", duration)
    .option("--p999 <time>", "the same for one in a thousand", duration)
    .option("--success <percent>", "exit with 1 when fewer requests are answered 200", percent)
    .option("--throughput <per second>", "exit with 1 when fewer pushes a second are answered 200", positive)
    .option("--json", "print the figures as JSON")
    .option(
      "--this-host-is-mine",
      "send to a host that is not this machine: a gateway behind it sends real pushes",
    )
    .addHelpText("after", HELP)
    .action(load);
}

const HELP = `
Each request gets an event and a device of its own, made up; no phone has them. With --rate a request's time counts from
when it was due, so that a gateway that stalls is charged for all that had to wait meanwhile. Ctrl-C ends it early.
Exits 0 when the service level was held, 1 when it was missed, 2 when nothing was sent.

For example, against the simulators:
  signalbox sim --dir /tmp/sim --quiet
  signalbox serve --config /tmp/sim/sygnal.yaml
  signalbox load --rate 500 --duration 30s --p99 50ms --success 100`;

const CONNECT_TIMEOUT_MS = 5_000;
const print = (text: string): void => void process.stdout.write(text);

async function load(flags: LoadFlags): Promise<void> {
  const refuse = (sentence: string): void => {
    process.stderr.write(`${sentence}\n`);
    process.exitCode = 2;
  };
  const url = URL.parse(flags.url);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:"))
    return refuse("--url: must be an http or https URL");
  if (!isLoopback(url.hostname) && flags.thisHostIsMine !== true)
    return refuse(
      `--url: ${url.hostname} is not this machine; --this-host-is-mine if it is yours to put under load`,
    );
  if (url.pathname === "/") url.pathname = "/_matrix/push/v1/notify";
  let replay: Replay;
  let ca: string | undefined;
  try {
    replay = new Replay(await readBodies(flags.notifications), appsOf(flags));
    if (flags.ca !== undefined) ca = await readFile(flags.ca, "utf8");
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
  const refusal = await connectionRefusal(url);
  if (refusal !== undefined) return refuse(`no gateway answers at ${url.origin}: ${refusal}`);
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once("SIGINT", onSignal);
  const isLive = process.stderr.isTTY;
  const figures = await runLoad({
    target: { url, timeoutMs: flags.timeout, ...(ca === undefined ? {} : { ca }) },
    next: () => replay.next(),
    callers: flags.callers,
    durationMs: flags.duration,
    signal: stop.signal,
    ...(flags.rate === undefined ? {} : { perSecond: flags.rate }),
    ...(isLive ? { onProgress: (now) => void process.stderr.write(`\r${liveLine(now)}\u001b[K`) } : {}),
  });
  process.off("SIGINT", onSignal);
  if (isLive) process.stderr.write("\r\u001b[K");
  const misses = missed(serviceLevel(flags), figures);
  print(
    flags.json === true ? `${JSON.stringify({ ...figures, missed: misses }, null, 2)}\n` : summary(figures),
  );
  if (figures.rejected > 0)
    process.stderr.write(
      "rejected: is each app of --app configured at that gateway, with the type of its kind?\n",
    );
  for (const miss of misses) process.stderr.write(`missed: ${miss}\n`);
  process.exitCode = misses.length === 0 ? 0 : 1;
}

/** Why nothing listens there, before a load is laid on nobody; undefined when something does. */
function connectionRefusal({ hostname, port, protocol }: URL): Promise<string | undefined> {
  const socket = connect({
    host: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port) || (protocol === "https:" ? 443 : 80),
    timeout: CONNECT_TIMEOUT_MS,
  });
  return new Promise((resolve) => {
    const end = (reason?: string): void => {
      socket.destroy();
      resolve(reason);
    };
    socket.once("connect", () => end());
    socket.once("timeout", () => end("no connection in 5 s"));
    socket.on("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

function serviceLevel({ p50, p99, p999, success, throughput }: LoadFlags): ServiceLevel {
  return {
    ...(p50 === undefined ? {} : { p50Ms: p50 }),
    ...(p99 === undefined ? {} : { p99Ms: p99 }),
    ...(p999 === undefined ? {} : { p999Ms: p999 }),
    ...(success === undefined ? {} : { successShare: success }),
    ...(throughput === undefined ? {} : { pushesPerSecond: throughput }),
  };
}

function appsOf({ app: given, devices }: LoadFlags): readonly LoadApp[] {
  const usual = [
    { appId: "com.example.app.ios", kind: "apns" },
    { appId: "com.example.app.android", kind: "fcm" },
  ] as const;
  return (given.length === 0 ? usual : given).map((one) => ({ ...one, devices }));
}

/** Bodies, or recorded ones with a title beside: a list, or one a line. Throws what to tell the user. */
async function readBodies(file: string): Promise<readonly JsonValue[]> {
  const text = await readFile(file, "utf8");
  const whole = jsonOf(text);
  const list: readonly unknown[] = Array.isArray(whole)
    ? whole
    : text.split("\n").flatMap((line) => (line.trim() === "" ? [] : [jsonOf(line)]));
  if (list.includes(undefined)) throw new Error(`${file}: is no JSON list, nor JSON line by line`);
  return (list as readonly JsonValue[]).map((entry) =>
    isJsonObject(entry) && entry["body"] !== undefined ? entry["body"] : entry,
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Names other than localhost may lead anywhere. */
function isLoopback(host: string): boolean {
  const address = host.replace(/^\[|\]$/g, "");
  return address === "localhost" || address === "::1" || (isIP(address) === 4 && address.startsWith("127."));
}

function app(text: string, before: LoadFlags["app"]): LoadFlags["app"] {
  const [appId = "", kind = "", ...rest] = text.split("=");
  const endpoint = rest.join("=");
  if (appId === "" || !deviceKinds.some((known) => known === kind))
    throw new InvalidArgumentError(`an app_id, '=' and one of ${deviceKinds.join(", ")}.`);
  const needsEndpoint = kind === "webpush" || kind === "unifiedpush";
  if (needsEndpoint !== URL.canParse(endpoint))
    throw new InvalidArgumentError(
      needsEndpoint ? `${kind} needs an endpoint: ${appId}=${kind}=https://…` : `${kind} takes no endpoint.`,
    );
  return [...before, { appId, kind: kind as DeviceKind, ...(needsEndpoint ? { endpoint } : {}) }];
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1e6)) throw new InvalidArgumentError("a number above 0, at most a million.");
  return value;
}

function positiveCount(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError("a whole number from 1 to 99999.");
  return Number(text);
}

function percent(text: string): number {
  const value = Number(text.replace(/\s*%$/, ""));
  if (!(value >= 0 && value <= 100)) throw new InvalidArgumentError("a number from 0 to 100.");
  return value / 100;
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms <= 0) throw new InvalidArgumentError("a duration such as 500ms, 5s or 10m.");
  return ms;
}
