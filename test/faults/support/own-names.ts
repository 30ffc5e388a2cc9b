import { spawnSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createCredentials } from "../../../src/simulator/credentials.ts";
import { UnifiedPushSimulator } from "../../../src/simulator/unifiedpush.ts";
import { startDnsServer, type DnsAnswer, type DnsServer } from "../../upstream/dns-server.ts";
import { skip } from "../fault.ts";
import type { GatewayProcess } from "./gateway-process.ts";
import { UP } from "./push-services.ts";
import { withRig, type Rig } from "./rig.ts";

/** The host of the push server that works. */
export const GOOD = "good.example";
/** Others that its certificate is for. */
export const ALSO_GOOD = ["good-then-inside.example", "dual.example"] as const;

/** A whole gateway whose names all come from a name server and a hosts file of the row's own. */
export interface OwnNames {
  readonly rig: Rig;
  readonly gateway: GatewayProcess;
  readonly dns: DnsServer;
  /** By its name `good.example`. */
  readonly push: UnifiedPushSimulator;
  /** A new registration at the working push server. */
  endpoint(host?: string): string;
  /** Sends to these UnifiedPush endpoints. */
  notify(endpoints: readonly string[]): Promise<{ status: number; body: string; ms: number }>;
}

/** What to start. */
export interface OwnNamesOptions {
  /** What the name server says of a name, beside `good.example`. */
  readonly answer: (name: string) => DnsAnswer;
  readonly hosts?: string;
  readonly outbound: object;
  readonly answerWithin?: string;
  readonly config?: Readonly<Record<string, unknown>>;
}

const SCRIPT =
  'mount --bind "$0/resolv.conf" /etc/resolv.conf && mount --bind "$0/hosts" /etc/hosts && exec "$@"';

/** Runs a program with the directory's `resolv.conf` and `hosts` in place of the machine's; nobody else sees them. */
function inOwnNames(directory: string): readonly string[] {
  const asRoot = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  return ["unshare", "--mount", ...asRoot, "sh", "-c", SCRIPT, directory];
}

/** Starts them, lends them, takes them down. Skips where a process cannot have files of its own. */
export async function withOwnNames<T>(
  options: OwnNamesOptions,
  work: (names: OwnNames) => Promise<T>,
): Promise<T> {
  return withRig({}, async (rig) => {
    const dns = await startDnsServer((name) => (name === GOOD ? { a: ["127.0.0.1"] } : options.answer(name)));
    const directory = join(rig.directory, "names");
    await mkdir(directory);
    await writeFile(join(directory, "resolv.conf"), `nameserver ${dns.address}\n`);
    await writeFile(join(directory, "hosts"), `127.0.0.1 localhost\n${options.hosts ?? ""}`);
    const [program = "", ...args] = [...inOwnNames(directory), "true"];
    if (spawnSync(program, args).status !== 0) {
      await dns.close();
      skip("needs unshare --mount: Linux, and root or user namespaces");
    }
    const credentials = createCredentials({ hosts: [GOOD, ...ALSO_GOOD] });
    const ca = join(directory, "ca.pem");
    await writeFile(ca, credentials.caPem);
    const push = await UnifiedPushSimulator.start({ credentials });
    try {
      const gateway = await rig.gateway({
        wrapper: inOwnNames(directory),
        config: {
          delivery: { answer_within: options.answerWithin ?? "1s", drain_delay: 0 },
          log: { setup: { root: { level: "WARNING" } } },
          outbound: options.outbound,
          ...options.config,
        },
        apps: () => ({ [UP]: { type: "unifiedpush", ca_file: ca } }),
      });
      await gateway.start();
      let event = 0;
      return await work({
        rig,
        gateway,
        dns,
        push,
        endpoint: (host = GOOD) => push.register().endpoint.replace("localhost", host),
        async notify(endpoints) {
          const devices = endpoints.map((pushkey) => ({ app_id: UP, pushkey }));
          const notification = {
            event_id: `$${(event += 1)}`,
            room_id: "!r:e",
            type: "m.room.message",
            devices,
          };
          const startedMs = performance.now();
          const response = await fetch(gateway.url, {
            method: "POST",
            body: JSON.stringify({ notification }),
          });
          const body = await response.text();
          return { status: response.status, body, ms: performance.now() - startedMs };
        },
      });
    } finally {
      await push.stop();
      await dns.close();
    }
  });
}
