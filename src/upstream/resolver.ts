import { Resolver as DnsResolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { isIPv4 } from "node:net";
import type { Clock } from "../clock.ts";

/** One address of a name. */
export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Finds a name's addresses: at least one, or rejects with a `ResolveError`. Ends by itself. */
export interface Resolver {
  resolve(host: string): Promise<readonly ResolvedAddress[]>;
}

/** `ENOTFOUND` there is no such name, or it has no address · `EAI_AGAIN` nobody could tell. */
export class ResolveError extends Error {
  readonly code: "ENOTFOUND" | "EAI_AGAIN";

  constructor(code: ResolveError["code"]) {
    super("the name was not resolved");
    this.name = "ResolveError";
    this.code = code;
  }
}

/** Where the answers come from. */
export interface ResolverOptions {
  readonly clock: Clock;
  /** `address:port` of name servers. Default: the machine's. */
  readonly servers?: readonly string[];
  /** Default `/etc/hosts`. */
  readonly hostsFile?: string;
  /** For both families together. Default 4 s. */
  readonly limitMs?: number;
}

const LIMIT_MS = 4_000;
/** How long the second family may take once the first has an answer (RFC 8305 section 3 says 50 ms). */
const SECOND_FAMILY_MS = 150;
const HOSTS_FILE_FOR_MS = 5_000;
const MAX_HOSTS_FILE_BYTES = 1_048_576;

/**
 * Asks name servers by c-ares, each query on its own timer. `dns.lookup` would block one of the process's four
 * worker threads for every name that nobody answers for, and files and upstreams would wait for it (H29).
 */
export function createResolver(options: ResolverOptions): Resolver {
  const { clock, limitMs = LIMIT_MS } = options;
  const dns = new DnsResolver({ timeout: 1_500, tries: 2 });
  if (options.servers !== undefined) dns.setServers(options.servers);
  const hostsFile = createHostsFile(options.hostsFile ?? "/etc/hosts", clock);

  return {
    async resolve(host) {
      const name = host.toLowerCase().replace(/\.$/, "");
      const known = (await hostsFile()).get(name) ?? loopback(name);
      if (known !== undefined) return known;
      const v4 = dns.resolve4(name).then((list) => list.map((address) => ({ address, family: 4 as const })));
      const v6 = dns.resolve6(name).then((list) => list.map((address) => ({ address, family: 6 as const })));
      const found = await both(v4, v6, clock, limitMs);
      if (found.length === 0) throw new ResolveError("ENOTFOUND");
      return found;
    },
  };
}

/** RFC 6761 6.3: this name and all below it are the machine's own, whatever a name server says. */
function loopback(name: string): readonly ResolvedAddress[] | undefined {
  if (name !== "localhost" && !name.endsWith(".localhost")) return undefined;
  return [
    { address: "127.0.0.1", family: 4 },
    { address: "::1", family: 6 },
  ];
}

/** Both families' answers, or the first's when the second dawdles. */
function both(
  v4: Promise<readonly ResolvedAddress[]>,
  v6: Promise<readonly ResolvedAddress[]>,
  clock: Clock,
  limitMs: number,
): Promise<readonly ResolvedAddress[]> {
  return new Promise((resolve, reject) => {
    const found: ResolvedAddress[] = [];
    let open = 2;
    let unsure = false;
    let cancelSecond = (): void => {};
    const finish = (): void => {
      cancelLimit();
      cancelSecond();
      if (found.length === 0 && unsure) reject(new ResolveError("EAI_AGAIN"));
      else resolve(found);
    };
    const cancelLimit = clock.schedule(limitMs, () => {
      unsure = true;
      finish();
    });
    const ended = (list: readonly ResolvedAddress[]): void => {
      found.push(...list);
      open -= 1;
      if (open === 0) finish();
      else if (found.length > 0) cancelSecond = clock.schedule(SECOND_FAMILY_MS, finish);
    };
    const failed = (error: unknown): void => {
      if (!isAbsence(error)) unsure = true;
      ended([]);
    };
    v4.then(ended, failed);
    v6.then(ended, failed);
  });
}

/** The name does not exist, or has no address of that family; anything else may pass. */
function isAbsence(error: unknown): boolean {
  if (typeof error !== "object" || error === null || !("code" in error)) return false;
  return error.code === "ENOTFOUND" || error.code === "ENODATA" || error.code === "EBADNAME";
}

type Hosts = ReadonlyMap<string, readonly ResolvedAddress[]>;

/** The machine's hosts file, read again when it is some seconds old; without one, nothing. */
function createHostsFile(path: string, clock: Clock): () => Promise<Hosts> {
  let current: { readonly untilMs: number; readonly hosts: Promise<Hosts> } | undefined;
  return () => {
    const nowMs = clock.monotonic();
    if (current === undefined || nowMs >= current.untilMs) {
      const hosts = readFile(path, "utf8").then(parseHosts, (): Hosts => new Map());
      current = { untilMs: nowMs + HOSTS_FILE_FOR_MS, hosts };
    }
    return current.hosts;
  };
}

function parseHosts(text: string): Hosts {
  const hosts = new Map<string, ResolvedAddress[]>();
  if (text.length > MAX_HOSTS_FILE_BYTES) return hosts;
  for (const line of text.split("\n")) {
    const [address = "", ...names] = (line.split("#")[0] ?? "").trim().split(/\s+/);
    for (const name of names) {
      const list = hosts.get(name.toLowerCase()) ?? [];
      list.push({ address, family: isIPv4(address) ? 4 : 6 });
      hosts.set(name.toLowerCase(), list);
    }
  }
  return hosts;
}
