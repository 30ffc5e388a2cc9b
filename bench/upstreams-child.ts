/**
 * The upstreams of a benchmark, in a process of their own: lean APNs, FCM and a Web Push service, or this project's
 * simulators, which check everything and are slower. Arguments: directory for credentials and configuration, kind.
 */
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { readFileSync, writeFileSync } from "node:fs";
import { parse, stringify } from "yaml";
import { createCredentials } from "../src/simulator/credentials.ts";
import { startSimulators } from "../src/simulator/index.ts";
import { writeWorkspace } from "../src/simulator/workspace.ts";
import { literalField, startLeanUpstream } from "./lean-upstream.ts";
import type { UpstreamAddresses, UpstreamRequest } from "./upstreams.ts";

const [directory = ".", kind = "lean"] = process.argv.slice(2);

/** Whoever measures a gateway that knows no other addresses leads these to here. */
const hosts = ["127.0.0.1", "api.push.apple.com", "fcm.googleapis.com"];
const simulators = await startSimulators({ record: "count", credentials: createCredentials({ hosts }) });
const { server, projectId } = simulators.credentials;
const files = await writeWorkspace(simulators, directory);
const ok = Buffer.from([0x88]);

const apns = await startLeanUpstream(server, {
  headers: Buffer.concat([ok, literalField("apns-id", "7b1d3c52-0000-4000-8000-000000000000")]),
});
const fcm = await startLeanUpstream(server, {
  headers: Buffer.concat([ok, literalField("content-type", "application/json; charset=UTF-8")]),
  body: Buffer.from(`{\n  "name": "projects/${projectId}/messages/0:1500000000000000%000000000000000"\n}\n`),
});

let latencyMs = 0;
let webPushRequests = 0;
const webPush = createServer(
  { key: server.keyPem, cert: server.certPem, keepAliveTimeout: 600_000 },
  (req, res) => {
    req.resume();
    req.on("end", () => {
      webPushRequests += 1;
      const answer = (): void => void res.writeHead(201, { "content-length": 0 }).end();
      if (latencyMs === 0) answer();
      else setTimeout(answer, latencyMs);
    });
  },
);
await new Promise<void>((resolve) => webPush.listen(0, "127.0.0.1", resolve));

const isLean = kind === "lean";
const addresses: UpstreamAddresses = {
  apns: isLean ? `https://127.0.0.1:${apns.port}` : simulators.apns.url,
  fcm: isLean ? `https://127.0.0.1:${fcm.port}` : simulators.fcm.url,
  webPush: `https://127.0.0.1:${(webPush.address() as AddressInfo).port}/push`,
  config: files.config,
  ca: files.ca,
};
const config = parse(readFileSync(files.config, "utf8"), { version: "1.1" });
config.apps["com.example.app.ios"].endpoint = addresses.apns;
config.apps["com.example.app.android"].endpoint = addresses.fcm;
writeFileSync(files.config, stringify(config, { version: "1.1" }));

process.on("message", (request: UpstreamRequest) => {
  if ("latencyMs" in request) {
    latencyMs = request.latencyMs;
    apns.setLatency(latencyMs);
    fcm.setLatency(latencyMs);
    simulators.script.clear();
    if (!isLean && latencyMs > 0) {
      for (const upstream of ["apns", "fcm"] as const) simulators.script.add({ upstream, delay: latencyMs });
    }
  }
  const requests = apns.requests() + fcm.requests() + webPushRequests + simulators.recorder.counts.requests;
  process.send?.({ requests });
});
process.on("disconnect", () => process.exit(0));
process.send?.({ addresses });
