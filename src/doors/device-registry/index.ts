import type { AppDirectory } from "../../core/app.ts";
import type { Registrations, Reported } from "../../core/registrations.ts";
import type { Accounts } from "../../http/accounts.ts";
import { errorHeaders, jsonAnswer, type Answer } from "../../http/answer.ts";
import type { FrontDoor } from "../../http/door.ts";
import { HttpError } from "../../http/errors.ts";
import { mountPlainRoute, type PlainRequest } from "../../http/plain-route.ts";
import { listingOf, type ServedDevice } from "./answer.ts";
import { parseCommand, type RegistryCommand } from "./parse.ts";
import type { RefusalBody } from "./schema.ts";

/** What the device registry works with. */
export interface DeviceRegistryOptions {
  /** `registry.push_path`. */
  readonly path: string;
  readonly accounts: Accounts;
  readonly registrations: Registrations;
  readonly apps: AppDirectory;
  /** The entry of `apps` that FCM tokens belong to; undefined: none are taken. */
  readonly fcmApp: string | undefined;
}

const name = "device-registry";
const unread = { "Cache-Control": "no-store" };

/** An account lists, adds and deletes its own devices (registry.md). */
export function deviceRegistryDoor(options: DeviceRegistryOptions): FrontDoor {
  const { path } = options;
  const handle = (request: PlainRequest): Promise<Answer | HttpError> => serve(options, request);
  return {
    name,
    mount: (router, deps) =>
      mountPlainRoute({ name, path, methods: ["GET", "POST"], handle, refuse }, router, deps),
  };
}

async function serve(options: DeviceRegistryOptions, request: PlainRequest): Promise<Answer | HttpError> {
  const { accounts, registrations } = options;
  const identity = await accounts.identify(request.req);
  if (identity instanceof HttpError) return identity;
  const { id: owner } = identity;
  if (request.req.method === "GET") {
    const devices = await registrations.list(owner);
    return jsonAnswer(200, listingOf(devices.flatMap((device) => served(options, device))), unread);
  }
  // What a browser sends to another site without asking first has another type.
  const type = (request.req.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase();
  if (type !== "" && type !== "application/json") return new HttpError("wrong-content-type");
  const body = await request.body();
  if (body instanceof HttpError) return body;
  const command = parseCommand(body ?? null);
  return "refusal" in command ? refused(command.refusal) : carryOut(options, owner, command);
}

async function carryOut(
  options: DeviceRegistryOptions,
  owner: string,
  command: RegistryCommand,
): Promise<Answer | HttpError> {
  const { registrations } = options;
  if (command.kind === "delete") {
    const registered = await registrations.list(owner);
    const devices = registered.filter(
      (device) => device.pushkey === command.token && systemOf(options, device) === command.system,
    );
    await registrations.remove(owner, { devices });
    return jsonAnswer(200, {}, unread);
  }
  const device = deviceOf(options, command);
  if ("status" in device) return refused(device);
  const result = await registrations.report({ owner, devices: [device] });
  return result === "stored"
    ? jsonAnswer(200, {}, unread)
    : new HttpError("unavailable", { retryAfterMs: 60_000 });
}

/** The token with the entry of `apps` that it belongs to. */
function deviceOf(
  { apps, fcmApp }: DeviceRegistryOptions,
  command: Exclude<RegistryCommand, { readonly kind: "delete" }>,
): Reported | RefusalBody {
  if (command.kind === "add-fcm") {
    if (fcmApp === undefined) return { status: "invalid-request", error: "no FCM app is served here" };
    return { kind: "registry", appId: fcmApp, pushkey: command.token };
  }
  const { apnsTopic, applicationId, bundleId, sandbox, token } = command;
  const appId = [applicationId, bundleId].find((id) => apps.find(id)?.type === "apns");
  if (appId === undefined) return { status: "unknown-appid" };
  return {
    kind: "registry",
    appId,
    pushkey: token,
    sandbox,
    applicationId,
    ...(apnsTopic === undefined ? {} : { apnsTopic }),
  };
}

/** Which of the API's two systems a device is of. */
function systemOf(
  { apps }: DeviceRegistryOptions,
  device: ServedDevice["device"],
): "apns" | "fcm" | undefined {
  const type = apps.find(device.appId)?.type;
  if (type === "apns") return "apns";
  if (type === "gcm") return "fcm";
  // Nobody serves it any more, and it can still be deleted.
  if (type === undefined) return device.applicationId === undefined ? "fcm" : "apns";
  return undefined;
}

function served(options: DeviceRegistryOptions, device: ServedDevice["device"]): readonly ServedDevice[] {
  const system = systemOf(options, device);
  if (system === undefined || options.apps.find(device.appId) === undefined) return [];
  return [{ device, system }];
}

function refused(refusal: RefusalBody): Answer {
  return jsonAnswer(400, refusal);
}

/** A body that cannot be read is one of the API's invalid requests. */
function refuse(error: HttpError): Answer {
  const { message, status } = error;
  return jsonAnswer(
    status,
    status === 400 ? { status: "invalid-request", error: message } : { error: message },
    errorHeaders(error),
  );
}
