import { secretFile } from "../../config/fields.ts";
import { Type } from "../../json-schema.ts";
import { checkAppOptions } from "../app-options.ts";
import { vapidSubject } from "./vapid.ts";
import { readVapidKey } from "./vapid-key.ts";

/** Requests under way at one push service unless `max_connections` says otherwise (reliability.md 1.3). */
export const DEFAULT_PER_HOST = 16;

/** Options of both types that send to push services. */
export const serviceOptions = {
  allowed_endpoints: Type.Array(Type.String({ minLength: 1 }), {
    default: [],
    description:
      "Hosts that may be sent to, with * and ?; a port only where one is meant. Empty: every public one.",
  }),
  max_connections: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 512, description: "Connections to one push service. Default: 16." }),
  ),
};

/** The option that names the VAPID key. */
export const vapidKeyOption = secretFile({
  description:
    "The VAPID private key: PEM, or base64url as the usual tools write it. `signalbox vapid` makes one.",
});

/** The option that says whom a push service can write to. */
export const vapidContactOption = Type.String({
  minLength: 1,
  description: "Where push services can reach the operator: an e-mail address, or an https URL.",
});

/** What these options have to hold, as `option: sentence`. */
export async function checkService(config: {
  readonly vapid_private_key?: string;
  readonly vapid_contact_email?: string;
  readonly ca_file?: string;
}): Promise<readonly string[]> {
  const problems: string[] = [];
  if (config.vapid_private_key !== undefined) {
    const key = await readVapidKey(config.vapid_private_key);
    if ("problem" in key) problems.push(`vapid_private_key: ${key.problem}`);
  }
  if (config.vapid_contact_email !== undefined && !isSubject(config.vapid_contact_email)) {
    problems.push("vapid_contact_email: must be an e-mail address such as ops@example.com, or an https URL");
  }
  return [...problems, ...(await checkAppOptions(config))];
}

/** What Apple's service refuses although others take it (webpush.md 3). */
export function contactWarnings(contact: string | undefined): readonly string[] {
  if (contact === undefined) return [];
  const subject = vapidSubject(contact);
  const host = /^https:/i.test(subject) ? URL.parse(subject)?.hostname : subject.split("@").at(-1);
  const isUnreachable = host === undefined || host === "localhost" || host.endsWith(".localhost");
  return isUnreachable || (/^mailto:/i.test(subject) && !/^mailto:[^@\s]+@[^@\s]+$/i.test(subject))
    ? ["vapid_contact_email: is refused by Apple's push service; write an address that reaches you"]
    : [];
}

function isSubject(contact: string): boolean {
  const subject = vapidSubject(contact);
  return /^mailto:\S+$/i.test(subject) || (/^https:/i.test(subject) && URL.canParse(subject));
}
