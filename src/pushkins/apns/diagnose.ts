import { expiry, failed, ok, skipped, warning, type Diagnosis } from "../../core/diagnosis.ts";
import type { PushkinDeps } from "../../core/pushkin.ts";
import { isJsonObject } from "../../json.ts";
import type { ProbeAnswer } from "../../upstream/probe.ts";
import { clockLine, reachUpstream, unansweredLine } from "../diagnose-upstream.ts";
import { apnsOrigin, type ApnsOptions } from "./config.ts";
import { loadCredentials, type ApnsCredentials } from "./credentials.ts";

/** No device has it, so nobody is disturbed: whoever is let in hears that the token is bad. */
const IMPOSSIBLE_TOKEN = "0".repeat(64);

/** Certificate, way to Apple, clock, and whether Apple lets this app in: a push to a token that cannot exist. */
export async function diagnoseApns(
  name: string,
  config: ApnsOptions,
  deps: PushkinDeps,
): Promise<readonly Diagnosis[]> {
  const credentials = await loadCredentials(config, deps);
  const lines: Diagnosis[] = [];
  if (credentials.expiresAtMs !== undefined) {
    const remedy =
      "make a new certificate in Apple's developer portal, or move to a .p8 key, which does not expire";
    lines.push(expiry("certificate", "certfile", credentials.expiresAtMs, deps.clock.now(), remedy));
  }
  lines.push(...environmentHint(name, config));
  const reached = await reachUpstream(new URL(apnsOrigin(config, config.platform)), credentials.tls, deps);
  lines.push(...reached.lines);
  const { probe } = reached;
  if (probe === undefined) return lines;
  try {
    const answer = await probe.ask(await impossiblePush(config, credentials));
    if ("failure" in answer) {
      const { failure } = answer;
      // A client certificate that Apple does not want ends the connection instead of being answered.
      const isRefused = credentials.token === undefined && failure.class !== "timeout";
      return [...lines, isRefused ? refusedCertificate(failure.detail) : unansweredLine(failure)];
    }
    const clock = clockLine(answer, deps.clock);
    return [...lines, clock, credentialsLine(answer, config, credentials, clock.verdict === "failed")];
  } finally {
    probe.close();
  }
}

async function impossiblePush(config: ApnsOptions, { token, apnsTopic }: ApnsCredentials) {
  await token?.refresh();
  const pushType = config.push_type ?? (apnsTopic.endsWith(".voip") ? "voip" : "alert");
  return {
    path: `/3/device/${IMPOSSIBLE_TOKEN}`,
    headers: {
      "apns-topic": apnsTopic,
      "apns-push-type": pushType,
      "apns-priority": pushType === "background" ? "5" : "10",
      "apns-expiration": "0",
      ...(token === undefined ? {} : { authorization: `bearer ${token.adopt({})}` }),
    },
    body: JSON.stringify({
      aps: pushType === "background" ? { "content-available": 1 } : { alert: "Signalbox doctor" },
    }),
  };
}

function credentialsLine(
  answer: ProbeAnswer,
  config: ApnsOptions,
  { apnsTopic }: ApnsCredentials,
  isClockOff: boolean,
): Diagnosis {
  const reason = reasonOf(answer.body);
  if (reason === "BadDeviceToken" || reason === "DeviceTokenNotForTopic") {
    return ok("credentials", `Apple lets ${apnsTopic} in (${config.platform})`);
  }
  if (answer.status === 200) {
    return warning(
      "credentials",
      "a push to a token that cannot exist was taken: this is not Apple",
      "look at `endpoint`: what answers there checks nothing",
    );
  }
  const said = `${answer.status}${reason === undefined ? "" : ` ${reason}`}`;
  if (answer.status === 429 || answer.status >= 500) {
    return warning("credentials", `Apple says ${said} for now`, "run doctor again later");
  }
  // A signature of tomorrow counts as one of another key.
  const why = reason === "InvalidProviderToken" && isClockOff ? "ExpiredProviderToken" : reason;
  const { finding, remedy } = refusals[why ?? ""] ?? {
    finding: "refuses the push",
    remedy: "look the reason up in Apple's documentation of APNs; check topic and push_type",
  };
  return failed("credentials", `${said}: Apple ${finding}`, remedy);
}

interface Refusal {
  readonly finding: string;
  readonly remedy: string;
}

const otherEnvironment: Refusal = {
  finding: "knows the credentials, but not in this environment: production and sandbox are mixed up",
  remedy: "set `platform` to the environment that the key or certificate was made for",
};
const wrongTopic: Refusal = {
  finding: "does not let these credentials send to this topic",
  remedy:
    "set `topic` to the app's bundle id (.voip and the like at its end for such a push_type), and `team_id` to its team",
};

/** https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns */
const refusals: Readonly<Record<string, Refusal>> = {
  InvalidProviderToken: {
    finding: "does not know this key: wrong key_id or team_id, another key's file, or a revoked key",
    remedy:
      "compare key_id, team_id and keyfile with Certificates, Identifiers & Profiles > Keys; make a new key if it is gone",
  },
  ExpiredProviderToken: {
    finding: "does not take the signature's time: this machine's clock is wrong",
    remedy: "set this machine's clock: run an NTP client such as chrony or systemd-timesyncd",
  },
  TopicDisallowed: wrongTopic,
  BadTopic: wrongTopic,
  MissingTopic: { finding: "gets no topic", remedy: "set `topic`, or use a certificate with a UID" },
  BadCertificate: {
    finding: "does not know this certificate",
    remedy: "make a new push certificate for the app in Apple's developer portal",
  },
  BadCertificateEnvironment: otherEnvironment,
  BadEnvironmentKeyIdInToken: otherEnvironment,
  UnrelatedKeyIdInToken: {
    finding: "does not let this key send to this app",
    remedy: "use a key of the app's own team",
  },
  TooManyProviderTokenUpdates: {
    finding: "sees too many signatures of this key",
    remedy: "wait 20 minutes, then run doctor again; let no other program use the key meanwhile",
  },
  InvalidPushType: {
    finding: "does not take this push type",
    remedy: "set `push_type` to what the topic is for, or leave it out",
  },
};

function refusedCertificate(detail: string | undefined): Diagnosis {
  const { finding, remedy } = refusals[detail ?? ""] ?? {
    finding: "ends the connection on seeing this client certificate",
    remedy: "check that `certfile` is a push certificate of the app, for this `platform`, and not revoked",
  };
  return failed("credentials", `Apple ${finding}`, remedy);
}

function reasonOf(body: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    const reason = isJsonObject(parsed) ? parsed["reason"] : undefined;
    return typeof reason === "string" && /^[A-Za-z]{1,64}$/.test(reason) ? reason : undefined;
  } catch {
    return undefined;
  }
}

/** Keys work in both environments, so only the name can tell that tokens of the other one will come. */
function environmentHint(name: string, { platform }: ApnsOptions): readonly Diagnosis[] {
  const words = name.toLowerCase().split(/[^a-z]+/);
  const saysSandbox = words.some((word) => ["dev", "debug", "development", "sandbox"].includes(word));
  const saysProduction = words.some((word) => ["prod", "production"].includes(word));
  const isMixedUp = platform === "sandbox" ? saysProduction && !saysSandbox : saysSandbox && !saysProduction;
  if (!isMixedUp)
    return [skipped("environment", `${platform}; whether the tokens are, only a real push tells`)];
  const other = platform === "sandbox" ? "production" : "sandbox";
  const finding = `the app's name speaks of ${other}, but \`platform\` is ${platform}: its tokens will look dead`;
  return [
    warning("environment", finding, `set \`platform: ${other}\`, if the app's builds are ${other} ones`),
  ];
}
