import type { X509Certificate } from "node:crypto";
import type { Static } from "@sinclair/typebox";
import { baseUrl, oneOf, secretFile } from "../../config/fields.ts";
import { checkKeyPair, isP256, readCertificates, readPrivateKey } from "../../config/pem.ts";
import { Type } from "../../json-schema.ts";
import { appOptions, checkAppOptions } from "../app-options.ts";

/** Sygnal's six first, then Apple's newer ones (apns.md 2). */
export const PUSH_TYPES = [
  ...(["alert", "background", "voip", "complication", "fileprovider", "mdm"] as const),
  ...(["pushtotalk", "liveactivity", "location", "widgets", "controls"] as const),
] as const;

/** What a header may carry without a doubt; a bundle id has letters, digits, hyphens and full stops. */
const TOPIC = /^[\x21-\x7e]{1,255}$/;

/** An app of `type: apns` (sygnal-compat 4.1, and this project's own options). */
export const ApnsConfig = Type.Object(
  {
    type: Type.Literal("apns"),
    platform: oneOf(["production", "sandbox"], {
      default: "production",
      synonyms: { prod: "production" },
      blank_is_absent: true,
      description: "Which of Apple's environments the app's tokens belong to; or prod.",
    }),
    certfile: Type.Optional(
      secretFile({
        description:
          "PEM with certificate and private key, not encrypted. The topic is the certificate's UID.",
      }),
    ),
    keyfile: Type.Optional(secretFile({ description: "The .p8 key; needs key_id, team_id and topic." })),
    key_id: Type.Optional(
      Type.String({ minLength: 1, description: "The key's id; in quotes if it is all digits." }),
    ),
    team_id: Type.Optional(
      Type.String({ minLength: 1, description: "The team's id; in quotes if it is all digits." }),
    ),
    topic: Type.Optional(
      Type.String({ minLength: 1, description: "The app's bundle id. Ignored with certfile." }),
    ),
    push_type: Type.Optional(
      oneOf(PUSH_TYPES, {
        blank_is_absent: true,
        description: "The apns-push-type of every push. Absent: taken from each payload.",
      }),
    ),
    convert_device_token_to_hex: Type.Boolean({
      default: true,
      description:
        "Pushkeys are base64 and are converted; false: they are device tokens in hex as they stand.",
    }),
    token_encoding: oneOf(["auto", "base64", "hex"], {
      default: "auto",
      description: "How pushkeys are written when they are converted; auto tells base64 from hex for each.",
    }),
    send_badge_counts: Type.Boolean({
      default: true,
      description: "Put the unread count on the app's icon.",
    }),
    collapse: oneOf(["none", "room", "event"], {
      default: "none",
      description: "What a newer push replaces on the device: nothing, one of its room, or one of its event.",
    }),
    sandbox_endpoint: Type.Optional(baseUrl({ description: "As endpoint, for `platform: sandbox` alone." })),
    ...appOptions,
  },
  { description: "An iOS app, by Apple's push service." },
);

export type ApnsOptions = Static<typeof ApnsConfig>;

/**
 * What the schema cannot say, as `option: sentence`: that the credentials are complete, and that the files hold what
 * they should (reliability C02).
 */
export async function checkApns(config: ApnsOptions): Promise<readonly string[]> {
  const problems: string[] = [];
  if (config.certfile !== undefined) problems.push(...(await checkCertfile(config.certfile)));
  else if (config.keyfile !== undefined) problems.push(...(await checkKeyfile(config, config.keyfile)));
  else problems.push("either `keyfile` (with key_id, team_id and topic) or `certfile` is required");
  return [...problems, ...(await checkAppOptions(config))];
}

/** What Sygnal does without a word. */
export function apnsWarnings(config: ApnsOptions): readonly string[] {
  const warnings: string[] = [];
  if (config.certfile !== undefined && config.keyfile !== undefined) {
    warnings.push("keyfile: is ignored because `certfile` is given, as in Sygnal");
  }
  if (config.certfile !== undefined && config.topic !== undefined) {
    warnings.push("topic: is ignored: with `certfile` the topic is the certificate's UID");
  }
  if (!config.convert_device_token_to_hex && config.token_encoding !== "auto") {
    warnings.push("token_encoding: has no effect while `convert_device_token_to_hex` is false");
  }
  return warnings;
}

const PRODUCTION = "https://api.push.apple.com";
const SANDBOX = "https://api.sandbox.push.apple.com";

/**
 * The base URL for one of Apple's environments: `endpoint` stands for both, `sandbox_endpoint` for the one (design,
 * Settled points).
 */
export function apnsOrigin(config: ApnsOptions, environment: "production" | "sandbox"): string {
  const { endpoint, sandbox_endpoint: sandboxEndpoint } = config;
  if (environment === "sandbox") return sandboxEndpoint ?? endpoint ?? SANDBOX;
  return endpoint ?? PRODUCTION;
}

/** The `UID` of a certificate's subject, which is its topic; undefined when it has none (sygnal-compat 4.1). */
export function certificateTopic(certificate: X509Certificate): string | undefined {
  const lines = certificate.subject.split("\n");
  const uid = lines.find((line) => line.startsWith("UID="));
  return uid === undefined || uid.length === 4 ? undefined : uid.slice(4);
}

async function checkCertfile(path: string): Promise<readonly string[]> {
  const certificates = await readCertificates(path);
  if ("problem" in certificates) return [`certfile: ${certificates.problem}`];
  const key = await readPrivateKey(path);
  if ("problem" in key) return [`certfile: ${key.problem}`];
  const mismatch = checkKeyPair(certificates.leaf, key.key);
  if (mismatch !== undefined) return [`certfile: ${mismatch}`];
  return certificateTopic(certificates.leaf) === undefined
    ? ["certfile: its certificate's subject has no UID"]
    : [];
}

async function checkKeyfile(config: ApnsOptions, path: string): Promise<readonly string[]> {
  const missing = (["key_id", "team_id", "topic"] as const).filter((option) => config[option] === undefined);
  const problems = missing.map((option) => `${option}: is missing; \`keyfile\` needs it`);
  if (config.topic !== undefined && !TOPIC.test(config.topic)) {
    problems.push("topic: holds a character that no bundle id has, such as a space or a line end");
  }
  const key = await readPrivateKey(path);
  if ("problem" in key) problems.push(`keyfile: ${key.problem}`);
  else if (!isP256(key.key))
    problems.push("keyfile: holds a private key of another kind; APNs keys are EC, P-256");
  return problems;
}
