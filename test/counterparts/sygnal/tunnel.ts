import { createServer } from "node:http";
import { connect } from "node:net";
import { listen, type Listening } from "../../support/upstream-server.ts";

/**
 * A forward proxy that leads the upstreams' own names to the simulators: with it a gateway needs no other settings than
 * those it would have in earnest. Whatever else is asked for is refused, so nothing leaves this machine.
 *
 * @param ports by `host:port` as the gateway asks for it
 */
export async function startTunnel(ports: Readonly<Record<string, number>>): Promise<Listening> {
  const server = createServer((_request, response) => void response.writeHead(403).end());
  server.on("connect", (request, client, head) => {
    const port = ports[request.url ?? ""];
    client.on("error", () => {});
    if (port === undefined) {
      client.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    const target = connect(port, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      target.write(head);
      target.pipe(client);
      client.pipe(target);
    });
    client.on("close", () => target.destroy());
    target.on("error", () => client.destroy());
    target.on("close", () => client.destroy());
  });
  return listen(server);
}
