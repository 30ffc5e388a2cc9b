import type { AgentOptions, Agent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as tlsConnect, type ConnectionOptions } from "node:tls";
import { Agent as HttpAgent } from "../node-http.ts";
import { openTunnel } from "./proxy-tunnel.ts";

/** What the proxy is asked to connect to for a host, in this order; rejects when it may not be reached. */
export type TunnelTo = (host: string) => Promise<readonly string[]>;

type CreateOptions = Parameters<Agent["createConnection"]>[0];
type Callback = (error: Error | null, stream: Duplex) => void;

const TUNNEL_LIMIT_MS = 5_000;
/** Of a name with many addresses. */
const MAX_ADDRESSES = 3;

/** https through a forward proxy that is told a checked address; the certificate is checked for the host's name (H30). */
export class GuardedTunnelAgent extends HttpsAgent {
  readonly #proxy: URL;
  readonly #tunnelTo: TunnelTo;

  constructor(options: AgentOptions, proxy: URL, tunnelTo: TunnelTo) {
    super(options);
    this.#proxy = proxy;
    this.#tunnelTo = tunnelTo;
  }

  override createConnection(options: CreateOptions, callback: Callback): undefined {
    const host = options.host ?? "";
    tunnel(this.#proxy, this.#tunnelTo, host, Number(options.port ?? 443)).then(
      (socket) => {
        const secured = {
          ...(options as ConnectionOptions),
          ...(isIP(host) === 0 ? { servername: host } : {}),
        };
        callback(null, tlsConnect({ ...secured, socket }));
      },
      (error: Error) => callback(error, NO_STREAM),
    );
    return undefined;
  }
}

/** Plain http through the same kind of tunnel. */
export class GuardedTunnelAgentPlain extends HttpAgent {
  readonly #proxy: URL;
  readonly #tunnelTo: TunnelTo;

  constructor(options: AgentOptions, proxy: URL, tunnelTo: TunnelTo) {
    super(options);
    this.#proxy = proxy;
    this.#tunnelTo = tunnelTo;
  }

  override createConnection(options: CreateOptions, callback: Callback): undefined {
    tunnel(this.#proxy, this.#tunnelTo, options.host ?? "", Number(options.port ?? 80)).then(
      (socket) => callback(null, socket),
      (error: Error) => callback(error, NO_STREAM),
    );
    return undefined;
  }
}

/** Node wants a stream even beside an error; it looks at the error first. */
const NO_STREAM = undefined as unknown as Duplex;

/** The first address that the proxy reaches. */
async function tunnel(proxy: URL, tunnelTo: TunnelTo, host: string, port: number): Promise<Socket> {
  const limit = AbortSignal.timeout(TUNNEL_LIMIT_MS);
  const addresses = isIP(host) === 0 ? await tunnelTo(host) : [host];
  let code = "PROXY";
  for (const address of addresses.slice(0, MAX_ADDRESSES)) {
    const opened = await openTunnel(proxy, address, port, limit);
    if (opened.ok) return opened.socket;
    code = opened.failure.status === undefined ? "PROXY" : `PROXY_${opened.failure.status}`;
  }
  throw Object.assign(new Error("the proxy gave no tunnel"), { code });
}
