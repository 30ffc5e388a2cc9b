import assert from "node:assert/strict";
import { createServer as createHttpsServer } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import type { Credentials } from "../../../src/simulator/credentials.ts";
import { startGateway, type GatewaySetUp, type RunningGateway } from "../../support/with-gateway.ts";
import { listen, type Listening } from "../../support/upstream-server.ts";
import { sharedCredentials } from "./shared.ts";

/** The apps of these rows. */
export const WEB = "com.example.web";
export const UP = "com.example.up";

/** One entry of `devices`. */
export interface Device {
  readonly app_id: string;
  readonly pushkey: string;
  readonly data?: object;
}

/** Nothing is rejected, and nobody is told more. */
export const OK = [200, { rejected: [] }] as const;

/** Where a row's push services live beside the simulators. */
export interface ServicesSetUp extends GatewaySetUp {
  /** `outbound`. Default: loopback is let in, any port. */
  readonly outbound?: object;
  readonly web?: Readonly<Record<string, unknown>>;
  readonly up?: Readonly<Record<string, unknown>>;
}

/** A gateway of its own with an app for browsers and one for UnifiedPush, both believing the simulators' authority. */
export async function withServices<T>(
  setUp: ServicesSetUp,
  work: (gateway: RunningGateway) => Promise<T>,
): Promise<T> {
  const {
    outbound = { allow_addresses: ["127.0.0.0/8", "::1/128"] },
    config,
    simulators,
    up,
    web,
    ...rest
  } = setUp;
  const gateway = await startGateway({
    ...rest,
    simulators: { credentials: sharedCredentials(), ...simulators },
    config: { delivery: { answer_within: "1s" }, ...config, outbound },
    apps: (_base, files) => ({
      [WEB]: {
        type: "webpush",
        vapid_private_key: files.vapidKey,
        vapid_contact_email: "operator@example.com",
        ca_file: files.ca,
        ...web,
      },
      [UP]: { type: "unifiedpush", ca_file: files.ca, ...up },
    }),
  });
  try {
    return await work(gateway);
  } finally {
    await gateway.stop();
  }
}

/** A browser at the simulated push service, or with its keys at any other endpoint. */
export function browser(gateway: RunningGateway, endpoint?: string): Device {
  const subscription = gateway.simulators.webPush.subscribe();
  const { p256dh, auth } = subscription.keys;
  return { app_id: WEB, pushkey: p256dh, data: { endpoint: endpoint ?? subscription.endpoint, auth } };
}

/** A phone with a distributor at the simulated push server. */
export function phone(gateway: RunningGateway): Device {
  return { app_id: UP, pushkey: gateway.simulators.unifiedPush.register().endpoint };
}

/** A value of `signalbox_outcomes_total`; 0 when there is none. */
export function outcomes(
  gateway: RunningGateway,
  app: string,
  kind: "delivered" | "rejected" | "dropped" | "retryable",
  reason = "",
): Promise<number> {
  return gateway.metric(`signalbox_outcomes_total{app="${app}",kind="${kind}",reason="${reason}"}`);
}

/** How many pushes of an app the outbox has in a state. */
export function promised(gateway: RunningGateway, app: string, state = "pending"): Promise<number> {
  return gateway.metric(`signalbox_outbox_pushes{app="${app}",state="${state}"}`);
}

/** Alarms of an app by name. */
export function alarms(gateway: RunningGateway, app: string, alarm: string): Promise<number> {
  return gateway.metric(`signalbox_alarms_total{app="${app}",alarm="${alarm}"}`);
}

/** Requests that push services have seen. */
export function asked(gateway: RunningGateway): number {
  return gateway.simulators.recorder.requests.filter(
    ({ upstream }) => upstream === "webpush" || upstream === "unifiedpush",
  ).length;
}

/** Holds an answer of the notify endpoint against `OK`. */
export function assertOk(
  { status, body }: { readonly status: number; readonly body: unknown },
  what?: string,
): void {
  assert.deepEqual([status, body], OK, what);
}

/** TLS for localhost and nothing of HTTP: the row writes the bytes. */
export function startRawEndpoint(
  onRequest: (socket: TLSSocket) => void,
  credentials: Credentials = sharedCredentials(),
): Promise<Listening> {
  const { certPem: cert, keyPem: key } = credentials.server;
  return listen(
    createTlsServer({ cert, key }, (socket) => {
      socket.on("error", () => {});
      socket.once("data", () => onRequest(socket));
    }),
  );
}

/** An https server on localhost. */
export function startEndpoint(
  handler: (req: IncomingMessage, res: ServerResponse) => void,
  credentials: Credentials = sharedCredentials(),
): Promise<Listening> {
  const { certPem: cert, keyPem: key } = credentials.server;
  return listen(
    createHttpsServer({ cert, key }, (req, res) => {
      req.on("error", () => {});
      res.on("error", () => {});
      handler(req, res);
    }),
  );
}
