import { createServer } from "node:http";
import { connect } from "node:net";
import { listen, type Listening } from "../../support/upstream-server.ts";

/** A forward proxy that notes what it is asked to connect to, and does. */
export async function startConnectProxy(asked: string[]): Promise<Listening> {
  const server = createServer();
  server.on("connect", (request, client) => {
    const authority = request.url ?? "";
    asked.push(authority);
    const url = new URL(`tcp://${authority}`);
    const target = connect(Number(url.port), url.hostname.replace(/^\[|\]$/g, ""), () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      target.pipe(client);
      client.pipe(target);
    });
    client.on("error", () => target.destroy());
    target.on("error", () => client.destroy());
  });
  return listen(server);
}
