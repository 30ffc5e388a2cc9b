import { once } from "node:events";
import { createServer, request as send, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** One request of the homeserver, and what it was answered. */
export interface Notify {
  readonly body: NotifyBody;
  /** Wall clock, when all of the request was there. */
  readonly atMs: number;
  /** Absent: no answer came, as when the gateway is down. */
  answer?: { readonly status: number; readonly text: string; readonly atMs: number };
}

/** As far as these tests look into it. */
export interface NotifyBody {
  readonly notification: {
    readonly event_id?: string;
    readonly counts?: { readonly unread?: number };
    readonly devices: readonly {
      readonly app_id: string;
      readonly pushkey: string;
      readonly data?: Readonly<Record<string, unknown>>;
    }[];
    readonly [key: string]: unknown;
  };
}

/** Stands between homeserver and gateway, and writes down what passes; changes nothing. */
export interface NotifyRelay {
  /** What pushers are given as their URL. */
  readonly url: string;
  readonly requests: readonly Notify[];
  close(): Promise<void>;
}

/** Passes everything on to the gateway's notify path; a gateway that is not there is a cut connection. */
export async function startNotifyRelay(gatewayUrl: string): Promise<NotifyRelay> {
  const requests: Notify[] = [];
  const server = createServer((incoming, outgoing) => void relay(incoming, outgoing, gatewayUrl, requests));
  server.keepAliveTimeout = 130_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${new URL(gatewayUrl).pathname}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function relay(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  gatewayUrl: string,
  requests: Notify[],
): Promise<void> {
  const cut = (): void => void incoming.socket.destroy();
  incoming.on("error", cut);
  outgoing.on("error", cut);
  const body = Buffer.concat(await incoming.toArray().catch(() => []));
  const notify: Notify = { body: JSON.parse(body.toString("utf8")) as NotifyBody, atMs: Date.now() };
  requests.push(notify);
  const { origin } = new URL(gatewayUrl);
  const headers = { ...incoming.headers, "content-length": String(body.length) };
  const onward = send(`${origin}${incoming.url ?? ""}`, { method: incoming.method ?? "POST", headers });
  onward.on("error", cut);
  onward.on("response", (answer) => {
    void answer.toArray().then((chunks: Buffer[]) => {
      const text = Buffer.concat(chunks);
      notify.answer = { status: answer.statusCode ?? 0, text: text.toString("utf8"), atMs: Date.now() };
      outgoing.writeHead(notify.answer.status, answer.headers).end(text);
    }, cut);
  });
  onward.end(body);
}
