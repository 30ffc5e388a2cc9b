/**
 * The reference relay: the least that a push relay in Node does. Bare node:http in, JSON.parse, one node:http2 request
 * out, the answer. No checks, no retries, no store, no metrics, no log: what the gateway's figures are divided by.
 * Run by `npm run bench`; arguments: APNs URL, FCM URL, CA file.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:http2";
import type { AddressInfo } from "node:net";

const [apnsUrl = "", fcmUrl = "", caFile = ""] = process.argv.slice(2);
const ca = readFileSync(caFile, "utf8");
const sessions = { apns: connect(apnsUrl, { ca }), fcm: connect(fcmUrl, { ca }) };

interface Notify {
  readonly notification: {
    readonly devices: readonly { readonly app_id: string; readonly pushkey: string }[];
  };
}

const server = createServer((req, res) => {
  const chunks: Buffer[] = [];
  req.on("data", (chunk: Buffer) => chunks.push(chunk));
  req.on("end", () => {
    const text = Buffer.concat(chunks).toString("utf8");
    const { notification } = JSON.parse(text) as Notify;
    const device = notification.devices[0];
    if (device === undefined) return void res.writeHead(400).end();
    const isApple = device.app_id.endsWith(".ios");
    const stream = (isApple ? sessions.apns : sessions.fcm).request({
      ":method": "POST",
      ":path": isApple
        ? `/3/device/${Buffer.from(device.pushkey, "base64").toString("hex")}`
        : "/v1/messages:send",
      authorization: "bearer reference",
    });
    stream.on("response", (headers) => {
      stream.resume();
      stream.on("end", () => {
        const body = '{"rejected":[]}';
        res.writeHead(headers[":status"] === 200 ? 200 : 502, {
          "Content-Type": "application/json",
          "Content-Length": body.length,
        });
        res.end(body);
      });
    });
    stream.on("error", () => res.headersSent || res.writeHead(502).end());
    stream.end(JSON.stringify(notification));
  });
});
server.keepAliveTimeout = 600_000;
server.listen(0, "127.0.0.1", () => {
  process.send?.({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/_matrix/push/v1/notify`,
  });
});
process.on("disconnect", () => process.exit(0));
