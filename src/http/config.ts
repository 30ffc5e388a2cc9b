import type { Static } from "@sinclair/typebox";
import { isLoopback } from "../config/cidr.ts";
import { bindAddress, cidrs, port, secret, secretFile, section, sygnalSection } from "../config/fields.ts";
import { checkKeyPair, readCertificates, readPrivateKey } from "../config/pem.ts";
import type { Finding } from "../config/problem.ts";
import { Type } from "../json-schema.ts";

/** `http`: the public listener. */
export const HttpConfig = sygnalSection(
  {
    port: port({ default: 5000, description: "The port of the public listener." }),
    bind_addresses: Type.Unsafe<string[]>(
      Type.Array(bindAddress({ description: "An address." }), {
        default: ["127.0.0.1"],
        minItems: 1,
        description: "Its addresses, all with the same port.",
      }),
    ),
    tls: Type.Optional(
      Type.Object(
        {
          cert_file: Type.String({ minLength: 1, description: "The certificate and its chain, PEM." }),
          key_file: secretFile({ description: "The certificate's private key, PEM, not encrypted." }),
        },
        { additionalProperties: false, description: "Serve https instead of http." },
      ),
    ),
    trusted_proxies: cidrs({
      description: "Reverse proxies whose X-Forwarded-For and trusted header are believed.",
    }),
  },
  { description: "The public listener." },
);

/** `admin`: the listener for operators. */
export const AdminConfig = section(
  {
    enabled: Type.Boolean({ default: true, description: "false or port 0: no such listener." }),
    bind_address: bindAddress({
      default: "127.0.0.1",
      description: "Any other than loopback needs a token.",
    }),
    port: port({ default: 5001, description: "Its port." }),
    token: Type.Optional(
      secret({
        reads: "strong_secret",
        description: "Bearer token of 32 bytes or more. Absent: not asked for.",
      }),
    ),
  },
  { description: "The listener for operators: readiness, explain, counts, reload." },
);

export type HttpSettings = Static<typeof HttpConfig>;
export type AdminSettings = Static<typeof AdminConfig>;

/** What the schema cannot say about `http`: the TLS files must be there and belong together. */
export async function checkHttp(http: HttpSettings): Promise<readonly Finding[]> {
  if (http.tls === undefined) return [];
  const certificates = await readCertificates(http.tls.cert_file);
  const key = await readPrivateKey(http.tls.key_file);
  const problems: Finding[] = [];
  if ("problem" in certificates)
    problems.push({ path: ["http", "tls", "cert_file"], message: certificates.problem });
  if ("problem" in key) problems.push({ path: ["http", "tls", "key_file"], message: key.problem });
  if (!("problem" in certificates) && !("problem" in key)) {
    const mismatch = checkKeyPair(certificates.leaf, key.key);
    if (mismatch !== undefined) problems.push({ path: ["http", "tls", "cert_file"], message: mismatch });
  }
  return problems;
}

/** Whoever reaches the admin listener can read and change much: beyond loopback only with a token (C07). */
export function checkAdmin(admin: AdminSettings): readonly Finding[] {
  if (!admin.enabled || admin.port === 0 || isLoopback(admin.bind_address) || admin.token !== undefined)
    return [];
  const message = "is missing, and required because admin.bind_address is not a loopback address";
  return [{ path: ["admin", "token"], message }];
}
