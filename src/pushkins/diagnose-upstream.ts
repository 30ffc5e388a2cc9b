import type { Clock } from "../clock.ts";
import { failed, ok, skipped, warning, type Diagnosis } from "../core/diagnosis.ts";
import type { PushkinDeps } from "../core/pushkin.ts";
import type { UpstreamTls } from "../upstream/connect.ts";
import type { NetErrorClass, NetFailure } from "../upstream/net-error.ts";
import { hostOf, openProbe, resolveOrigin, type Probe, type ProbeAnswer } from "../upstream/probe.ts";

/** VAPID, Google's assertions and Apple's tokens bear a few minutes; a machine with NTP is off by milliseconds. */
const SKEW_WARNING_MS = 30_000;
const SKEW_FAILED_MS = 5 * 60_000;

const CLOCK_REMEDY = "set this machine's clock: run an NTP client such as chrony or systemd-timesyncd";

/** What the way to an upstream looks like, and the connection when it stands. */
export interface Reached {
  readonly lines: readonly Diagnosis[];
  readonly probe?: Probe;
}

/** Name, address and TLS of an upstream that speaks HTTP/2, a line each. */
export async function reachUpstream(origin: URL, tls: UpstreamTls, deps: PushkinDeps): Promise<Reached> {
  const { clock, proxy } = deps;
  const lines: Diagnosis[] = [];
  // Behind a proxy names are the proxy's business.
  if (proxy === undefined) {
    const name = await nameLine(origin);
    lines.push(name);
    if (name.verdict === "failed") {
      return { lines: [...lines, ...notReached("address", "TLS", "clock", "credentials")] };
    }
  }
  const opened = await openProbe({ origin, tls, clock, ...(proxy === undefined ? {} : { proxy }) });
  if ("failure" in opened) {
    const line = connectionLine(origin, opened.failure);
    const passed = line.check === "TLS" ? [addressLine(origin, proxy)] : [];
    const missed = line.check === "TLS" ? [] : ["TLS"];
    return { lines: [...lines, ...passed, line, ...notReached(...missed, "clock", "credentials")] };
  }
  lines.push(addressLine(origin, proxy), tlsLine(opened.certificateEndsAtMs, clock));
  return { lines, probe: opened };
}

/** The name of an origin, looked up. */
export async function nameLine(origin: URL): Promise<Diagnosis> {
  const host = hostOf(origin);
  const resolved = await resolveOrigin(origin);
  if (!resolved.ok) {
    const code = resolved.failure.detail ?? "no address";
    return failed(
      "name",
      `${host} has no address (${code})`,
      `check \`endpoint\` and this machine's DNS: getent hosts ${host}`,
    );
  }
  const { addresses } = resolved;
  if (addresses[0] === host) return ok("name", `${host} is an address`);
  const { length } = addresses;
  return ok("name", `${host} has ${length} ${length === 1 ? "address" : "addresses"}`);
}

/** An upstream's clock against ours. The line says which of them is likely to be wrong: ours. */
export function clockLine(answer: ProbeAnswer, clock: Clock): Diagnosis {
  if (answer.dateMs === undefined) return skipped("clock", "the upstream's answers carry no time");
  const skewMs = clock.now() - answer.dateMs;
  const amount = `${Math.round(Math.abs(skewMs) / 1_000)} s ${skewMs < 0 ? "behind" : "ahead of"} the upstream's`;
  if (Math.abs(skewMs) > SKEW_FAILED_MS)
    return failed("clock", `this machine's clock is ${amount}`, CLOCK_REMEDY);
  if (Math.abs(skewMs) > SKEW_WARNING_MS)
    return warning("clock", `this machine's clock is ${amount}`, CLOCK_REMEDY);
  return ok("clock", "agrees with the upstream's");
}

/** A request that was not answered although the connection stood. */
export function unansweredLine({ class: kind, detail }: NetFailure): Diagnosis {
  const why = detail === undefined ? kind : `${kind}, ${detail}`;
  return failed(
    "credentials",
    `the upstream gave no answer (${why})`,
    "try again; if it stays so, look for what cuts connections on the way",
  );
}

/** What was not looked at because nothing before it worked. */
export function notReached(...checks: readonly string[]): readonly Diagnosis[] {
  return checks.map((check) => skipped(check, "not reached"));
}

function addressLine(origin: URL, proxy: URL | undefined): Diagnosis {
  return ok(
    "address",
    `${authority(origin)} ${proxy === undefined ? "answers" : "answers through the proxy"}`,
  );
}

function tlsLine(endsAtMs: number, clock: Clock): Diagnosis {
  const days = Math.floor((endsAtMs - clock.now()) / 86_400_000);
  return ok("TLS", `certificate verified${Number.isFinite(days) ? `, valid for ${days} more days` : ""}`);
}

/** What kept a connection from standing, as one line. */
export function connectionLine(origin: URL, failure: NetFailure): Diagnosis {
  const place = authority(origin);
  const code = failure.detail ?? failure.class;
  if (failure.class === "proxy") return proxyLine(place, failure);
  if (failure.class === "tls" || failure.class === "no-h2") return tlsFailure(place, code, failure.class);
  const { finding, remedy } = unreachable.get(failure.class) ?? {
    finding: "cannot be reached",
    remedy: `try it by hand from this machine: nc -vz ${hostOf(origin)} ${portOf(origin)}`,
  };
  return failed("address", `${place} ${finding} (${code})`, remedy);
}

const unreachable: ReadonlyMap<NetErrorClass, { readonly finding: string; readonly remedy: string }> =
  new Map([
    [
      "refused",
      {
        finding: "refuses connections: the port is closed",
        remedy: "check host and port of `endpoint`, and the firewall on the way",
      },
    ],
    [
      "unreachable",
      {
        finding: "is not reachable: there is no route",
        remedy: "check this machine's network, routes and firewall",
      },
    ],
    [
      "timeout",
      {
        finding: "does not answer in 10 s",
        remedy: "open the firewall for outgoing TCP to it, or set `proxy`",
      },
    ],
    ["dns", { finding: "has no address", remedy: "check `endpoint` and this machine's DNS" }],
    [
      "local",
      {
        finding: "cannot be connected to from here: this machine has no descriptor or port left",
        remedy: "raise the limit of open files (ulimit -n)",
      },
    ],
  ]);

function proxyLine(place: string, { detail, status }: NetFailure): Diagnosis {
  if (status === 407) {
    return failed(
      "address",
      "the proxy refuses our credentials (407)",
      "check user and password in `proxy`; percent-encode special characters",
    );
  }
  if (status !== undefined) {
    return failed(
      "address",
      `the proxy refuses a tunnel to ${place} (${status})`,
      "allow CONNECT to this host and port in the proxy's rules",
    );
  }
  return failed(
    "address",
    `the proxy cannot be reached (${detail ?? "no answer"})`,
    "check host and port in `proxy` (or HTTPS_PROXY), and that the proxy runs",
  );
}

function tlsFailure(place: string, code: string, kind: NetErrorClass): Diagnosis {
  if (kind === "no-h2") {
    return failed(
      "TLS",
      `${place} does not speak HTTP/2`,
      "check `endpoint`: something else than the upstream answers there, or a proxy in between breaks HTTP/2",
    );
  }
  const [finding, remedy] = certificateProblems.get(code) ?? [
    `the handshake fails (${code})`,
    "look at what answers there: openssl s_client -connect HOST:PORT -alpn h2",
  ];
  return failed("TLS", `${place}: ${finding}`, remedy);
}

const WRONG_CA =
  "name the CA that signed it in `ca_file`; without an `endpoint` of your own, look for a TLS-inspecting proxy, or install ca-certificates";

/** Node's codes of a failed verification: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const certificateProblems: ReadonlyMap<string, readonly [finding: string, remedy: string]> = new Map([
  [
    "CERT_HAS_EXPIRED",
    [
      "its certificate has expired",
      "renew the certificate of `endpoint`; if it is Apple's or Google's own, this machine's clock is wrong",
    ],
  ],
  ["CERT_NOT_YET_VALID", ["its certificate is not valid yet", "check this machine's clock"]],
  [
    "ERR_TLS_CERT_ALTNAME_INVALID",
    ["its certificate is for another host name", "write the name that the certificate has into `endpoint`"],
  ],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", ["its certificate is signed by an unknown CA", WRONG_CA]],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", ["its certificate is signed by an unknown CA", WRONG_CA]],
  ["SELF_SIGNED_CERT_IN_CHAIN", ["its certificate is signed by an unknown CA", WRONG_CA]],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", ["its certificate is signed by itself", WRONG_CA]],
  ["CERT_SIGNATURE_FAILURE", ["its certificate is not signed by the CA in `ca_file`", WRONG_CA]],
]);

function authority(origin: URL): string {
  return `${origin.hostname}:${portOf(origin)}`;
}

function portOf(origin: URL): number {
  return origin.port === "" ? (origin.protocol === "http:" ? 80 : 443) : Number(origin.port);
}
