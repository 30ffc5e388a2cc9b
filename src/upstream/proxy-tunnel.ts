import type { Socket } from "node:net";
import { request } from "../node-http.ts";
import { classifyNetError, type NetFailure } from "./net-error.ts";

/** A socket whose next bytes are the target's, or why the proxy gave none. */
export type Tunnel =
  { readonly ok: true; readonly socket: Socket } | { readonly ok: false; readonly failure: NetFailure };

/** A proxy's answer has a few lines; more is somebody's mistake. */
const maxHeadBytes = 16 * 1024;

/**
 * Asks a forward proxy for a connection to `host:port` (RFC 9110 section 9.3.6). Any 2xx is a yes. The time limit
 * is the signal's: a proxy that stalls holds nothing but this one socket (sygnal-gaps G-16).
 */
export function openTunnel(proxy: URL, host: string, port: number, signal: AbortSignal): Promise<Tunnel> {
  const authority = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const credentials = basicCredentials(proxy);
  return new Promise((resolve) => {
    const fail = (failure: Omit<NetFailure, "class">): void =>
      resolve({ ok: false, failure: { class: "proxy", ...failure } });
    if (signal.aborted) return fail({});
    const asking = request({
      method: "CONNECT",
      ...proxyPlace(proxy),
      path: authority,
      headers: {
        host: authority,
        ...(credentials === undefined ? {} : { "proxy-authorization": credentials }),
      },
      agent: false,
      maxHeaderSize: maxHeadBytes,
    });
    const onAbort = (): void => void asking.destroy();
    signal.addEventListener("abort", onAbort, { once: true });
    asking.on("close", () => {
      signal.removeEventListener("abort", onAbort);
      fail({ detail: "closed" });
    });
    asking.on("error", (error) => {
      const { detail } = classifyNetError(error);
      fail(detail === undefined ? {} : { detail });
    });
    asking.on("connect", (answer, socket, head) => {
      socket.on("error", () => {});
      const status = answer.statusCode ?? 0;
      if (status < 200 || status > 299) {
        socket.destroy();
        return fail({ status });
      }
      // What followed the head in the same segment belongs to the target.
      if (head.length > 0) socket.unshift(head);
      resolve({ ok: true, socket });
    });
    asking.end();
  });
}

/** Where a proxy listens: port 80 unless its URL names another (sygnal-compat 16). */
export function proxyPlace(proxy: URL): { readonly host: string; readonly port: number } {
  return {
    host: proxy.hostname.replace(/^\[|\]$/g, ""),
    port: proxy.port === "" ? 80 : Number(proxy.port),
  };
}

/** Basic credentials of a proxy URL, percent-decoded, standard base64 (RFC 7617); undefined when it names none. */
function basicCredentials(proxy: URL): string | undefined {
  if (proxy.username === "" && proxy.password === "") return undefined;
  const pair = `${percentDecoded(proxy.username)}:${percentDecoded(proxy.password)}`;
  return `Basic ${Buffer.from(pair, "utf8").toString("base64")}`;
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
