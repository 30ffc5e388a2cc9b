/**
 * What kept a connection from standing, or ended it: the closed list that logs, metrics and retry policies use.
 * `dns` no address · `refused` nobody listens · `unreachable` no route · `reset` cut by the peer or the network ·
 * `closed` the peer hung up in order · `timeout` no answer in time · `tls` handshake or certificate · `no-h2` the
 * peer does not speak HTTP/2 · `proxy` the forward proxy failed or said no · `goaway` the peer sent the connection
 * away with an error · `protocol` one side broke HTTP/2 · `local` this machine has no descriptor, port or memory
 * left · `other` none of these.
 */
export type NetErrorClass =
  | "dns"
  | "refused"
  | "unreachable"
  | "reset"
  | "closed"
  | "timeout"
  | "tls"
  | "no-h2"
  | "proxy"
  | "goaway"
  | "protocol"
  | "local"
  | "other";

/** A failure on the way to an upstream, fit for a log: no address, no text of a stranger's. */
export interface NetFailure {
  readonly class: NetErrorClass;
  /** Node's or OpenSSL's code (`ECONNREFUSED`, `CERT_HAS_EXPIRED`), or the reason that the peer gave, bounded. */
  readonly detail?: string;
  /** The proxy's answer, when it was one. */
  readonly status?: number;
}

const byCode: ReadonlyMap<string, NetErrorClass> = new Map([
  ["ENOTFOUND", "dns"],
  ["ENODATA", "dns"],
  ["ECONNREFUSED", "refused"],
  ["EHOSTUNREACH", "unreachable"],
  ["ENETUNREACH", "unreachable"],
  ["EHOSTDOWN", "unreachable"],
  ["ENETDOWN", "unreachable"],
  ["EACCES", "unreachable"],
  ["EPERM", "unreachable"],
  ["ECONNRESET", "reset"],
  ["ECONNABORTED", "reset"],
  ["EPIPE", "reset"],
  ["ERR_STREAM_PREMATURE_CLOSE", "closed"],
  ["ERR_SOCKET_CLOSED", "closed"],
  ["ERR_HTTP2_SOCKET_UNBOUND", "closed"],
  ["ERR_HTTP2_STREAM_CANCEL", "closed"],
  ["ABORT_ERR", "closed"],
  ["ETIMEDOUT", "timeout"],
  ["ERR_SOCKET_CONNECTION_TIMEOUT", "timeout"],
  ["EPROTO", "tls"],
  ["HOSTNAME_MISMATCH", "tls"],
  ["INVALID_CA", "tls"],
  ["INVALID_PURPOSE", "tls"],
  ["PATH_LENGTH_EXCEEDED", "tls"],
  ["ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL", "no-h2"],
  ["EMFILE", "local"],
  ["ENFILE", "local"],
  ["ENOMEM", "local"],
  ["ENOBUFS", "local"],
  ["EADDRNOTAVAIL", "local"],
]);

const byPrefix: ReadonlyArray<readonly [string, NetErrorClass]> = [
  ["EAI_", "dns"],
  ["ERR_SSL_", "tls"],
  ["ERR_TLS_", "tls"],
  ["ERR_OSSL_", "tls"],
  ["CERT_", "tls"],
  ["CRL_", "tls"],
  ["UNABLE_TO_", "tls"],
  ["SELF_SIGNED_", "tls"],
  ["DEPTH_ZERO_", "tls"],
  ["ERROR_IN_CERT", "tls"],
  ["ERR_HTTP2_", "protocol"],
  ["HPE_", "protocol"],
];

/** The error's code, or that of the first address when several were tried; undefined for what carries none. */
export function errorCode(error: unknown): string | undefined {
  // By shape and not by class: errors come from other realms too, and some are not errors at all.
  if (typeof error !== "object" || error === null) return undefined;
  if ("code" in error && typeof error.code === "string") return error.code;
  return "errors" in error && Array.isArray(error.errors) ? errorCode(error.errors[0]) : undefined;
}

/** Any error that Node's sockets, TLS and HTTP/2 give, as a class of the closed list. The one place that maps. */
export function classifyNetError(error: unknown): NetFailure {
  const code = errorCode(error);
  if (code === undefined) return { class: "other" };
  const found = byCode.get(code) ?? byPrefix.find(([prefix]) => code.startsWith(prefix))?.[1] ?? "other";
  return { class: found, detail: code };
}
