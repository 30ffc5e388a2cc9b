import { bodyValidator, type BodyProblem } from "../../http/validator.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../json.ts";
import { AddApns, Command, DeleteApns, Fcm, type RefusalBody } from "./schema.ts";

/** What an account asks for. */
export type RegistryCommand =
  | {
      readonly kind: "add-apns";
      /** Lower-case hex. */
      readonly token: string;
      readonly sandbox: boolean;
      readonly applicationId: string;
      /** The part of the application id after the team's. */
      readonly bundleId: string;
      readonly apnsTopic?: string;
    }
  | { readonly kind: "add-fcm"; readonly token: string }
  | { readonly kind: "delete"; readonly system: "apns" | "fcm"; readonly token: string };

/** A body that cannot be served. */
export type RegistryRefusal = { readonly refusal: RefusalBody };

const readCommand = bodyValidator(Command);
const readAddApns = bodyValidator(AddApns);
const readDeleteApns = bodyValidator(DeleteApns);
const readFcm = bodyValidator(Fcm);
/** What comes before the bundle id: ten characters and a dot. */
const TEAM_LENGTH = 11;

/** Reads a body of `POST /api/push`. Pure; never throws on any body. */
export function parseCommand(body: JsonValue): RegistryCommand | RegistryRefusal {
  const command = readCommand(body);
  if ("problems" in command) return refuse(command.problems);
  const { action, system } = command.value;
  const fields = inNewDialect(isJsonObject(body) ? body : {});
  if (system !== "apns") {
    const fcm = readFcm(fields);
    if ("problems" in fcm) return refuse(fcm.problems);
    const token = fcm.value.device_token;
    return action === "add" ? { kind: "add-fcm", token } : { kind: "delete", system: "fcm", token };
  }
  if (action === "delete") {
    const apns = readDeleteApns(fields);
    if ("problems" in apns) return refuse(apns.problems);
    return { kind: "delete", system, token: apns.value.device_token.toLowerCase() };
  }
  const apns = readAddApns(fields);
  if ("problems" in apns) return refuse(apns.problems);
  const { apns_topic: apnsTopic, application_id: applicationId, device_token: token, sandbox } = apns.value;
  return {
    kind: "add-apns",
    token: token.toLowerCase(),
    sandbox: sandbox ?? false,
    applicationId,
    bundleId: applicationId.slice(TEAM_LENGTH),
    ...(apnsTopic === undefined ? {} : { apnsTopic }),
  };
}

/** The older dialect's `registration_id` is a `device_token`; JSON null is absent where a field may be. */
function inNewDialect(body: JsonObject): JsonObject {
  const { registration_id: old, ...rest } = body;
  const fields = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null));
  return old === undefined || "device_token" in fields ? fields : { ...fields, device_token: old };
}

/** The words for application id and topic are those of the API; where more is wrong, all of it is told. */
function refuse(problems: readonly BodyProblem[]): RegistryRefusal {
  const fields = new Set(problems.map(({ field }) => field));
  const others = problems.filter(({ field }) => field !== "application_id" && field !== "apns_topic");
  if (others.length > 0) {
    const error = problems.map(({ sentence }) => sentence).join("; ");
    return { refusal: { status: "invalid-request", error } };
  }
  return { refusal: { status: fields.has("application_id") ? "invalid-appid" : "invalid-apns-topic" } };
}
