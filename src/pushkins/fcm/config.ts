import type { Static } from "@sinclair/typebox";
import { oneOf, secret, secretFile } from "../../config/fields.ts";
import { parsePrivateKey } from "../../config/pem.ts";
import { readSmallFile } from "../../config/read-file.ts";
import { Type } from "../../json-schema.ts";
import { isJsonObject } from "../../json.ts";
import type { JsonObject } from "../../json.ts";
import { appOptions, checkAppOptions } from "../app-options.ts";

/** An app of `type: gcm` or `fcm` (sygnal-compat 4.2, and this project's own options). */
export const FcmConfig = Type.Object(
  {
    type: Type.Unsafe<"gcm" | "fcm">({ type: "string", enum: ["gcm", "fcm"] }),
    api_version: Type.Optional(
      oneOf(["v1", "legacy"], { description: "v1. Google has switched legacy off, so it is refused." }),
    ),
    api_key: Type.Optional(secret({ description: "The legacy API's key. Not used." })),
    project_id: Type.Optional(Type.String({ minLength: 1, description: "The Firebase project's id." })),
    service_account_file: Type.Optional(
      secretFile({
        description: "Google credentials as JSON: service_account, authorized_user or external_account.",
      }),
    ),
    application_default_credentials: Type.Boolean({
      default: false,
      description: "Without service_account_file: use what the machine provides (ADC, workload identity).",
    }),
    fcm_options: Type.Unsafe<JsonObject>({
      type: "object",
      default: {},
      description: "The base of every message, such as {android: {ttl: 60s}, apns: {…}}.",
    }),
    payload_layout: oneOf(["sygnal", "hedwig"], {
      default: "sygnal",
      description: "How a Matrix notification becomes FCM data: as Sygnal or as Hedwig does it.",
    }),
    max_connections: Type.Integer({
      default: 20,
      minimum: 1,
      description: "Sygnal's bound on requests at once. Over HTTP/2 they share a connection.",
    }),
    send_badge_counts: Type.Boolean({ default: true, description: "Send unread counts in the data." }),
    ...appOptions,
  },
  { description: "An Android app, by Firebase Cloud Messaging." },
);

export type FcmOptions = Static<typeof FcmConfig>;

/** The base URL of FCM. */
export function fcmOrigin(config: FcmOptions): string {
  return config.endpoint ?? "https://fcm.googleapis.com";
}

const LEGACY =
  "Google began to switch the legacy FCM API off on 2024-07-22 and nothing can be sent through it; write " +
  "`api_version: v1` with `project_id` and `service_account_file` instead of `api_key`";

/** What the schema cannot say, as `option: sentence`; the credentials file must hold what it should (C02). */
export async function checkFcm(config: FcmOptions): Promise<readonly string[]> {
  const problems = [...checkVersion(config), ...checkMessageBase(config.fcm_options)];
  if (config.service_account_file !== undefined) {
    const problem = await checkCredentials(config.service_account_file);
    if (problem !== undefined) problems.push(`service_account_file: ${problem}`);
  }
  return [...problems, ...(await checkAppOptions(config))];
}

/** What differs from Sygnal without being wrong. */
export function fcmWarnings(config: FcmOptions): readonly string[] {
  if (config.api_version !== undefined) return [];
  return [
    "is taken as `api_version: v1`, since Sygnal's default, legacy, was switched off by Google; write it down",
  ];
}

function checkVersion(config: FcmOptions): readonly string[] {
  const hasCredentials = config.service_account_file !== undefined || config.application_default_credentials;
  if (config.api_version === "legacy") return [`api_version: legacy is no longer there: ${LEGACY}`];
  if (config.api_version === undefined && (config.project_id === undefined || !hasCredentials)) {
    return [`api_version: is missing, which means legacy, as in Sygnal: ${LEGACY}`];
  }
  const problems: string[] = [];
  if (config.project_id === undefined) problems.push("project_id: is missing; `api_version: v1` needs it");
  if (!hasCredentials) problems.push("service_account_file: is missing; `api_version: v1` needs it");
  return problems;
}

/** Sygnal answers every push with 500 when `android` is no mapping. */
function checkMessageBase(base: FcmOptions["fcm_options"]): readonly string[] {
  const parts = ["android", "apns", "webpush", "notification", "fcm_options"];
  const wrong = parts.filter((part) => Object.hasOwn(base, part) && !isJsonObject(base[part]));
  return wrong.map((part) => `fcm_options.${part}: must be a mapping`);
}

async function checkCredentials(path: string): Promise<string | undefined> {
  const file = await readSmallFile(path);
  if ("problem" in file) return file.problem;
  const parsed = parseJson(file.text);
  if (!isJsonObject(parsed)) return "holds no JSON object";
  const required = REQUIRED.get(typeof parsed.type === "string" ? parsed.type : "");
  if (required === undefined) {
    return `is not of a known type: its \`type\` must be ${[...REQUIRED.keys()].join(", ")}`;
  }
  const missing = required.filter((key) => !isFilled(parsed[key]));
  if (missing.length > 0) return `lacks ${missing.join(", ")}`;
  if (parsed.type !== "service_account" || typeof parsed.private_key !== "string") return undefined;
  if (
    parsed.token_uri !== undefined &&
    (typeof parsed.token_uri !== "string" || !URL.canParse(parsed.token_uri))
  ) {
    return "its token_uri is no URL";
  }
  const key = parsePrivateKey(parsed.private_key);
  if ("problem" in key) return `its private_key ${key.problem}`;
  return key.key.asymmetricKeyType === "rsa" ? undefined : "its private_key is not an RSA key";
}

/** What each type of Google's credentials cannot do without. */
const REQUIRED: ReadonlyMap<string, readonly string[]> = new Map([
  ["service_account", ["client_email", "private_key"]],
  ["authorized_user", ["client_id", "client_secret", "refresh_token"]],
  ["external_account", ["audience", "subject_token_type", "token_url", "credential_source"]],
]);

function isFilled(value: unknown): boolean {
  return (typeof value === "string" && value !== "") || isJsonObject(value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
