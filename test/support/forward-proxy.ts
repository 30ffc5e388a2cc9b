import { createServer } from "node:http";
import { connect, type Socket } from "node:net";
import { listen, type Listening } from "./upstream-server.ts";

/** What a proxy does when it is asked for a tunnel. A number is the status that it refuses with. */
export type ProxyAnswer = "relay" | "hang" | "close" | number;

/** A forward proxy that notes what it is asked for. */
export interface ForwardProxy extends Listening {
  /** Its URL, without credentials. */
  readonly url: URL;
  readonly asked: { readonly target: string; readonly credentials: string | undefined }[];
  /** May be changed while it runs. */
  answer: ProxyAnswer;
}

/**
 * Starts one on loopback that relays.
 *
 * @param credentials the `Proxy-Authorization` that it wants; whoever brings another gets 407. Absent: it wants none
 */
export async function startForwardProxy(credentials?: string): Promise<ForwardProxy> {
  const server = createServer((_request, response) => response.writeHead(501).end());
  const listening = await listen(server);
  const proxy: ForwardProxy = {
    ...listening,
    url: new URL(`http://127.0.0.1:${listening.port}`),
    asked: [],
    answer: "relay",
  };
  server.on("connect", (request, stream) => {
    const client = stream as Socket;
    const brought = request.headers["proxy-authorization"];
    proxy.asked.push({ target: request.url ?? "", credentials: brought });
    client.on("error", () => {});
    // An http server leaves half-open what the other side has closed.
    client.on("end", () => client.end());
    const answer = credentials !== undefined && brought !== credentials ? 407 : proxy.answer;
    if (answer === "relay") return relay(client, request.url ?? "");
    client.resume();
    if (answer === "close") client.destroy();
    if (typeof answer === "number") client.end(`HTTP/1.1 ${answer} No\r\nContent-Length: 0\r\n\r\n`);
  });
  return proxy;
}

function relay(client: Socket, authority: string): void {
  const { hostname, port } = new URL(`tcp://${authority}`);
  const target = connect(Number(port), hostname.replace(/^\[|\]$/g, ""), () => {
    client.write("HTTP/1.1 200 Connection established\r\n\r\n");
    client.pipe(target).pipe(client);
  });
  target.on("error", () => client.destroy());
  target.on("close", () => client.destroy());
  client.on("close", () => target.destroy());
}
