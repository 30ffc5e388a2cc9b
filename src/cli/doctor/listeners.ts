import { networkInterfaces } from "node:os";
import { isIP } from "node:net";
import type { Clock } from "../../clock.ts";
import { isLoopback } from "../../config/cidr.ts";
import { readCertificates } from "../../config/pem.ts";
import type { Config } from "../../config/schema.ts";
import { expiry, failed, ok, skipped, warning, type Diagnosis } from "../../core/diagnosis.ts";
import { AddressGuard } from "../../upstream/address-guard.ts";
import { createHttpClient } from "../../upstream/http-client.ts";
import { about, type ReportLine } from "./report.ts";

/** What the listeners are open to, and whether something answers on them. */
export async function listenerLines(
  config: Config,
  clock: Clock,
  ownAddresses: () => readonly string[] = machineAddresses,
): Promise<readonly ReportLine[]> {
  return [
    ...about("http", await publicListener(config, clock, ownAddresses())),
    ...about("metrics", [metricsListener(config, ownAddresses())]),
    ...about("admin", [adminListener(config, ownAddresses())]),
  ];
}

/** The addresses of this machine's interfaces. */
export function machineAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
}

async function publicListener(
  { http }: Config,
  clock: Clock,
  own: readonly string[],
): Promise<readonly Diagnosis[]> {
  const lines: Diagnosis[] = [];
  const open = http.bind_addresses.filter((address) => !isLoopback(address));
  if (http.tls !== undefined) {
    const certificates = await readCertificates(http.tls.cert_file, clock.now());
    const remedy = "renew http.tls.cert_file, and reload the gateway";
    if (!("problem" in certificates)) {
      lines.push(
        expiry("certificate", "http.tls", certificates.leaf.validToDate.getTime(), clock.now(), remedy),
      );
    }
  } else if (open.length > 0) {
    const remedy =
      "put a reverse proxy with TLS in front, or set http.tls; senders' pushes are readable on the way";
    lines.push(warning("TLS", `plain HTTP on ${open.join(", ")}`, remedy));
  }
  const foreign = open.filter(
    (address) => isIP(address) !== 0 && !isEvery(address) && !own.includes(address),
  );
  if (foreign.length > 0) {
    const remedy = "correct http.bind_addresses; `ip address` lists this machine's";
    lines.push(failed("port", `this machine has no address ${foreign.join(", ")}`, remedy));
  } else {
    lines.push(await portLine(firstListener(http), http.tls !== undefined));
  }
  return lines;
}

function isEvery(address: string): boolean {
  return address === "" || address === "0.0.0.0" || address === "::";
}

function firstListener(http: Config["http"]): { readonly host: string; readonly port: number } {
  const [first = "127.0.0.1"] = http.bind_addresses;
  const host = first === "0.0.0.0" ? "127.0.0.1" : first === "::" ? "::1" : first;
  return { host, port: http.port };
}

/** Who answers where the gateway listens, or would. */
async function portLine(
  { host, port }: { readonly host: string; readonly port: number },
  isTls: boolean,
): Promise<Diagnosis> {
  const authority = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  // The certificate is for a public name, which the loopback address is not; that line is above.
  if (isTls) return skipped("port", "https: whether a gateway runs there is not looked at");
  const result = await createHttpClient({ deadlineMs: 3_000 })({
    method: "GET",
    url: `http://${authority}/health`,
  });
  if (result.kind === "response") {
    if (result.status === 200) return ok("port", `a gateway answers on ${authority}`);
    if (result.status === 503)
      return warning("port", `the gateway on ${authority} is not ready`, "look at its log");
    return failed(
      "port",
      `something else answers on ${authority} (${result.status})`,
      "stop it, or choose another http.port",
    );
  }
  if (result.failure.class === "refused") return ok("port", `${authority} is free: no gateway runs`);
  return warning(
    "port",
    `${authority} gives no HTTP answer (${result.failure.class})`,
    "look which program has the port: ss -ltnp",
  );
}

function metricsListener({ metrics }: Config, own: readonly string[]): Diagnosis {
  const { enabled, address, port } = metrics.prometheus;
  if (!enabled) return ok("exposure", "the metrics listener is off");
  // Without a token, who gets there can read them.
  const remedy =
    "set metrics.prometheus.address to 127.0.0.1 or to the monitoring network's address, or close the port in the firewall";
  return exposure("the metrics", address, port, own, remedy);
}

function adminListener({ admin }: Config, own: readonly string[]): Diagnosis {
  const { enabled, bind_address: address, port, token } = admin;
  if (!enabled || port === 0) return ok("exposure", "the admin listener is off");
  if (token === undefined) {
    const remedy = "set admin.token (openssl rand -base64 32), or admin.bind_address to 127.0.0.1";
    return exposure("the admin listener", address, port, own, remedy);
  }
  return isLoopback(address)
    ? ok("exposure", `only this machine reaches it, and it asks for the token (${address}:${port})`)
    : warning(
        "exposure",
        `the admin listener is open beyond this machine on ${address}:${port}, with a token`,
        "keep it on 127.0.0.1 unless it is needed from elsewhere",
      );
}

/** What a listener without a token is open to. */
function exposure(
  what: string,
  address: string,
  port: number,
  own: readonly string[],
  remedy: string,
): Diagnosis {
  if (isLoopback(address)) return ok("exposure", `only this machine reaches ${address}:${port}`);
  const isEveryInterface = isEvery(address);
  const reached = isEveryInterface ? own.filter((one) => !isLoopback(one)) : [address];
  const guard = new AddressGuard([], () => []);
  const world = reached.find((one) => isIP(one) !== 0 && guard.isAllowed(one));
  if (world !== undefined) {
    return failed("exposure", `${what} can be read by the whole world on ${world}:${port}`, remedy);
  }
  const place = isEveryInterface ? `every interface, port ${port}` : `${address}:${port}`;
  return warning("exposure", `${what} can be read by everybody in this network: ${place}`, remedy);
}
