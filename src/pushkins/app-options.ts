import { baseUrl } from "../config/fields.ts";
import { readCertificates } from "../config/pem.ts";
import { Type } from "../json-schema.ts";

/** Options that every type of app has. */
export const appOptions = {
  inflight_request_limit: Type.Integer({
    default: 512,
    minimum: 0,
    description:
      "Pushes of this app that may be under way at once; past it they are tried again later. 0: none.",
  }),
  counts_pushes: Type.Boolean({
    default: true,
    description: "Send pushes that only carry unread counts (badge updates).",
  }),
  endpoint: Type.Optional(
    baseUrl({ description: "Another base URL for the upstream: a simulator or a proxy of one's own." }),
  ),
  ca_file: Type.Optional(
    Type.String({
      minLength: 1,
      description: "PEM with the CA of `endpoint`, used instead of the system's.",
    }),
  ),
};

/** What the schema cannot say of these options, as `option: sentence`. */
export async function checkAppOptions(options: { readonly ca_file?: string }): Promise<readonly string[]> {
  if (options.ca_file === undefined) return [];
  const certificates = await readCertificates(options.ca_file);
  return "problem" in certificates ? [`ca_file: ${certificates.problem}`] : [];
}
