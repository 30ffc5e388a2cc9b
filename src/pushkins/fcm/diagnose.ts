import { failed, ok, skipped, warning, type Diagnosis } from "../../core/diagnosis.ts";
import type { PushkinDeps } from "../../core/pushkin.ts";
import { TokenError } from "../../upstream/cached-token.ts";
import type { ProbeAnswer } from "../../upstream/probe.ts";
import { clockLine, reachUpstream, unansweredLine } from "../diagnose-upstream.ts";
import { fcmOrigin, type FcmOptions } from "./config.ts";
import { loadCredentials } from "./credentials.ts";
import { parseFcmError, type FcmError } from "./error.ts";

/** Nobody subscribes to it, and `validate_only` sends nothing anyway. */
const TOPIC = "signalbox-doctor";

/** The token endpoint, the way to FCM, the clock, and whether FCM would take this app's messages: `validate_only`. */
export async function diagnoseFcm(
  _name: string,
  config: FcmOptions,
  deps: PushkinDeps,
): Promise<readonly Diagnosis[]> {
  const credentials = await loadCredentials(config, deps);
  const lines: Diagnosis[] = [];
  let accessToken: string | undefined;
  try {
    accessToken = await credentials.accessToken.get();
    lines.push(ok("access token", "the token endpoint takes the credentials"));
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    lines.push(accessTokenLine(error));
  }
  const reached = await reachUpstream(new URL(fcmOrigin(config)), credentials.tls, deps);
  lines.push(...reached.lines);
  const { probe } = reached;
  if (probe === undefined) return lines;
  try {
    const answer = await probe.ask(validation(config, accessToken));
    if ("failure" in answer) return [...lines, unansweredLine(answer.failure)];
    lines.push(clockLine(answer, deps.clock));
    const isLetIn = accessToken !== undefined;
    lines.push(isLetIn ? credentialsLine(answer, config) : skipped("credentials", "no access token to show"));
    return lines;
  } finally {
    probe.close();
  }
}

/** A message to a topic as the app's own would be, checked by FCM and not sent (fcm.md 2). */
function validation(config: FcmOptions, accessToken: string | undefined) {
  return {
    path: `/v1/projects/${encodeURIComponent(config.project_id ?? "")}/messages:send`,
    headers: {
      "content-type": "application/json",
      ...(accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }),
    },
    body: JSON.stringify({
      validate_only: true,
      message: { ...config.fcm_options, topic: TOPIC, data: { prio: "high" } },
    }),
  };
}

function accessTokenLine(error: TokenError): Diagnosis {
  const check = "access token";
  if (error.kind === "unavailable") {
    return failed(
      check,
      error.message,
      "open the way to oauth2.googleapis.com:443 (or the file's token_uri), check DNS and `proxy`",
    );
  }
  if (error.message.includes("clock is wrong")) {
    return failed(
      check,
      error.message,
      "set this machine's clock: run an NTP client such as chrony or systemd-timesyncd",
    );
  }
  return failed(
    check,
    error.message,
    "make a new key for the service account in Google Cloud > IAM > Service accounts; this one is deleted, disabled or another account's",
  );
}

function credentialsLine(answer: ProbeAnswer, config: FcmOptions): Diagnosis {
  const project = config.project_id ?? "";
  if (answer.status >= 200 && answer.status < 300) {
    return ok("credentials", `FCM would take a message of project ${project}`);
  }
  const error = parseFcmError(answer.body);
  const word = error.errorCode ?? error.status;
  const said = `${answer.status}${word === undefined ? "" : ` ${word}`}`;
  if (answer.status === 429 || answer.status >= 500) {
    return warning("credentials", `FCM says ${said} for now`, "run doctor again later");
  }
  const { finding, remedy } = refusal(answer.status, error, project);
  return failed("credentials", `${said}: ${finding}`, remedy);
}

function refusal(
  status: number,
  { reason, violations }: FcmError,
  project: string,
): { readonly finding: string; readonly remedy: string } {
  if (status === 400) {
    const field = violations.find((name) => /^[\w.[\]]{1,80}$/.test(name));
    return {
      finding: `FCM does not take the message${field === undefined ? "" : `: ${field} is wrong`}`,
      remedy: "correct `fcm_options`: it is the base of every message, in the form of FCM's HTTP v1 API",
    };
  }
  if (reason === "SERVICE_DISABLED") {
    return {
      finding: `the Firebase Cloud Messaging API is switched off in project ${project}`,
      remedy: "enable fcm.googleapis.com in Google Cloud > APIs & Services",
    };
  }
  if (status === 403) {
    return {
      finding: `this account may not send for project ${project}, or there is no such project`,
      remedy:
        "check `project_id`; give the account the role Firebase Cloud Messaging API Admin (roles/firebasecloudmessaging.admin) in it",
    };
  }
  if (status === 404) {
    return {
      finding: `there is no project ${project}`,
      remedy: "copy `project_id` from the Firebase console > Project settings",
    };
  }
  return {
    finding: "FCM does not take the access token",
    remedy: "make a new key for the service account, and check that `endpoint` is FCM's",
  };
}
