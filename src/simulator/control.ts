import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Static, TSchema } from "@sinclair/typebox";
import { Ajv } from "ajv";
import express from "express";
import type { ErrorRequestHandler, RequestHandler, Response } from "express";
import { Type } from "../json-schema.ts";
import type { ApnsSimulator } from "./apns.ts";
import type { FcmSimulator } from "./fcm.ts";
import type { Recorder } from "./recorder.ts";
import { DelaySchema, GoawaySchema, RuleSchema } from "./script.ts";
import type { Script } from "./script.ts";

const Target = Type.Optional(Type.Union([Type.Literal("apns"), Type.Literal("fcm")]));
const Rules = Type.Union([RuleSchema, Type.Array(RuleSchema, { maxItems: 1000 })]);
const Token = Type.String({ minLength: 1, maxLength: 4096 });

const ApnsDeviceSchema = Type.Object(
  {
    upstream: Type.Literal("apns"),
    token: Token,
    state: Type.Optional(
      Type.Union([Type.Literal("alive"), Type.Literal("unregistered"), Type.Literal("expired")]),
    ),
    diedAtMs: Type.Optional(Type.Number()),
    environment: Type.Optional(Type.Union([Type.Literal("production"), Type.Literal("sandbox")])),
    topics: Type.Optional(Type.Array(Type.String(), { maxItems: 100 })),
  },
  { additionalProperties: false },
);
const FcmDeviceSchema = Type.Object(
  {
    upstream: Type.Literal("fcm"),
    token: Token,
    state: Type.Union([
      Type.Literal("alive"),
      Type.Literal("dead"),
      Type.Literal("foreign"),
      Type.Literal("malformed"),
    ]),
  },
  { additionalProperties: false },
);
const Devices = Type.Array(Type.Union([ApnsDeviceSchema, FcmDeviceSchema]), { maxItems: 10_000 });

const ConnectionAction = Type.Object(
  {
    upstream: Target,
    maxConcurrentStreams: Type.Optional(Type.Integer({ minimum: 0, maximum: 0xffffffff })),
    goaway: Type.Optional(GoawaySchema),
    close: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);
const Latency = Type.Object({ upstream: Target, delay: DelaySchema }, { additionalProperties: false });
const AccessTokens = Type.Object(
  {
    revoke: Type.Optional(Type.Boolean()),
    expiresInS: Type.Optional(Type.Integer({ minimum: 1, maximum: 86_400 })),
  },
  { additionalProperties: false },
);

/** What the control server steers. */
export interface ControlOptions {
  readonly apns: ApnsSimulator;
  readonly apnsSandbox: ApnsSimulator | undefined;
  readonly fcm: FcmSimulator;
  readonly script: Script;
  readonly recorder: Recorder;
  readonly host: string;
  readonly port: number;
}

/** The running control server. */
export interface Control {
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * Serves the simulators' script and records over HTTP, for tests in another process:
 * `GET /` · `GET /records?upstream&accepted&after&limit` · `GET|POST|DELETE /rules` · `DELETE /rules/:id` ·
 * `POST /devices` · `POST /connections` · `POST /latency` · `POST /access-tokens` · `POST /reset`.
 */
export async function startControl(options: ControlOptions): Promise<Control> {
  const server = createServer(controlApp(options));
  server.on("clientError", (_error, socket) => void socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  return {
    port,
    url: `http://${host}:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function controlApp({ apns, apnsSandbox, fcm, script, recorder }: ControlOptions): express.Express {
  const app = express();
  app.disable("x-powered-by");
  app.use(express.json({ limit: "1mb" }));
  const apnsInstances = apnsSandbox === undefined ? [apns] : [apns, apnsSandbox];
  const chosen = (upstream: "apns" | "fcm" | undefined): readonly (ApnsSimulator | FcmSimulator)[] => [
    ...(upstream === "fcm" ? [] : apnsInstances),
    ...(upstream === "apns" ? [] : [fcm]),
  ];

  app.get("/", (_request, response) => {
    response.json({
      apns: { url: apns.url, connections: apns.connections.open.length },
      ...(apnsSandbox === undefined
        ? {}
        : { apnsSandbox: { url: apnsSandbox.url, connections: apnsSandbox.connections.open.length } }),
      fcm: { url: fcm.url, tokenUri: fcm.tokenUri, connections: fcm.connections.open.length },
      oauth: { requests: fcm.oauth.requests },
      counts: recorder.counts,
    });
  });
  app.get("/records", (request, response) => {
    const { upstream, accepted, after, limit } = request.query;
    const list = (accepted === "true" ? recorder.accepted : recorder.requests).filter(
      (one) => (upstream === undefined || one.upstream === upstream) && one.sequence > Number(after ?? 0),
    );
    response.json({ counts: recorder.counts, records: list.slice(0, Number(limit ?? 1000)) });
  });
  app.get("/rules", (_request, response) => void response.json({ rules: script.list() }));
  app.post(
    "/rules",
    checked(Rules, (body, response) => {
      const rules = Array.isArray(body) ? body : [body];
      response.status(201).json({ ids: script.add(...rules) });
    }),
  );
  app.delete("/rules", (_request, response) => {
    script.clear();
    response.json({});
  });
  app.delete("/rules/:id", (request, response) => {
    const removed = script.remove(Number(request.params.id));
    response.status(removed ? 200 : 404).json({ removed });
  });
  app.post(
    "/devices",
    checked(Devices, (devices, response) => {
      for (const device of devices) {
        if (device.upstream === "fcm") fcm.setDevice(device.token, device.state);
        else for (const instance of apnsInstances) instance.setDevice(device.token, device);
      }
      response.json({ count: devices.length });
    }),
  );
  app.post(
    "/connections",
    checked(ConnectionAction, ({ upstream, goaway, maxConcurrentStreams, close }, response) => {
      for (const { connections } of chosen(upstream)) {
        if (maxConcurrentStreams !== undefined) connections.maxConcurrentStreams(maxConcurrentStreams);
        if (goaway !== undefined) connections.goaway(goaway);
        if (close === true) connections.closeAll();
      }
      response.json({});
    }),
  );
  app.post(
    "/latency",
    checked(Latency, ({ upstream, delay }, response) => {
      for (const simulator of chosen(upstream)) simulator.latency = delay;
      response.json({});
    }),
  );
  app.post(
    "/access-tokens",
    checked(AccessTokens, ({ revoke, expiresInS }, response) => {
      if (revoke === true) fcm.oauth.revokeAll();
      if (expiresInS !== undefined) fcm.oauth.expiresInS = expiresInS;
      response.json({});
    }),
  );
  app.post("/reset", (_request, response) => {
    script.clear();
    recorder.clear();
    for (const simulator of chosen(undefined)) {
      simulator.clearDevices();
      simulator.latency = 0;
    }
    response.json({});
  });
  app.use((_request, response) => void response.status(404).json({ error: "no such route" }));
  app.use(onError);
  return app;
}

const ajv = new Ajv({ allErrors: false });

/** A handler that sees only bodies that fit the schema; others get 400 and the place that does not fit. */
function checked<T extends TSchema>(
  schema: T,
  handle: (body: Static<T>, response: Response) => void,
): RequestHandler {
  const validate = ajv.compile<Static<T>>(schema);
  return (request, response) => {
    const body: unknown = request.body;
    if (validate(body)) {
      handle(body, response);
      return;
    }
    const [problem] = validate.errors ?? [];
    response
      .status(400)
      .json({ error: `${problem?.instancePath ?? ""} ${problem?.message ?? "is not valid"}`.trim() });
  };
}

/** Express knows an error handler by its four parameters. */
const onError: ErrorRequestHandler = (error: unknown, _request, response, _next) => {
  const status =
    typeof error === "object" && error !== null && "status" in error && typeof error.status === "number"
      ? error.status
      : 500;
  response.status(status).json({ error: status < 500 ? "the body is not JSON that fits" : "internal error" });
};
