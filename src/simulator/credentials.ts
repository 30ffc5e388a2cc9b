import { createPublicKey, generateKeyPairSync, randomBytes, randomInt } from "node:crypto";
import { systemClock } from "../clock.ts";
import { createAuthority } from "./certificate.ts";
import type { ApnsCertificateGrant, KeyAndCertificate } from "./certificate.ts";
import type { ApnsKey } from "./provider-token.ts";

/** A service account file as Google hands them out; every value is made up. */
export interface ServiceAccount {
  readonly type: "service_account";
  readonly project_id: string;
  readonly private_key_id: string;
  /** PEM, PKCS#8. */
  readonly private_key: string;
  readonly client_email: string;
  readonly client_id: string;
  readonly token_uri: string;
}

/** Everything a gateway needs to be let in by the simulators, and the simulators to recognise it. */
export interface Credentials {
  /** The authority that signed the simulators' certificates. */
  readonly caPem: string;
  /** For localhost, 127.0.0.1 and ::1, and the extra hosts asked for. */
  readonly server: KeyAndCertificate;
  /** An APNs signing key; `keyPem` is the content of the `.p8` file. */
  readonly apnsKey: ApnsKey;
  /** Issues a client certificate for certificate authentication. */
  issueApnsCertificate(grant: ApnsCertificateGrant): KeyAndCertificate;
  /** What a client certificate that was issued here allows. */
  apnsGrant(fingerprint256: string): ApnsCertificateGrant | undefined;
  readonly projectId: string;
  /** The service account; `tokenUri` is the OAuth simulator's, known once it listens. */
  serviceAccount(tokenUri: string): ServiceAccount;
  /** PEM, to check the service account's assertions. */
  readonly serviceAccountPublicKey: string;
}

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** Makes new keys and certificates; nothing of them is stored or shipped. */
export function createCredentials(
  options: { readonly projectId?: string; readonly hosts?: readonly string[] } = {},
): Credentials {
  // The machine's clock, whatever clock the simulators run on: TLS clients check validity against theirs.
  const authority = createAuthority("Signalbox simulator CA", systemClock.now());
  const grants = new Map<string, ApnsCertificateGrant>();
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const projectId = options.projectId ?? "signalbox-sim";
  const account = {
    type: "service_account",
    project_id: projectId,
    private_key_id: randomBytes(20).toString("hex"),
    private_key: rsa.export({ type: "pkcs8", format: "pem" }).toString(),
    client_email: `gateway@${projectId}.iam.gserviceaccount.com`,
    client_id: String(randomInt(1e14, 2 ** 47)),
  } as const;
  return {
    caPem: authority.certPem,
    server: authority.issueServer([...new Set(["localhost", "127.0.0.1", "::1", ...(options.hosts ?? [])])]),
    apnsKey: createApnsKey(),
    issueApnsCertificate: (grant) => {
      const issued = authority.issueApnsClient(grant);
      grants.set(issued.fingerprint256, grant);
      return issued;
    },
    apnsGrant: (fingerprint256) => grants.get(fingerprint256),
    projectId,
    serviceAccount: (tokenUri) => ({ ...account, token_uri: tokenUri }),
    serviceAccountPublicKey: createPublicKey(rsa).export({ type: "spki", format: "pem" }).toString(),
  };
}

/** A new APNs signing key; `scope` narrows what it may do, or puts it into another's team. */
export function createApnsKey(scope: Partial<Omit<ApnsKey, "keyPem">> = {}): ApnsKey {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    keyId: identifier(),
    teamId: identifier(),
    keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    ...scope,
  };
}

/** Ten characters as Apple's ids are; letters only, so that YAML never reads a number. */
function identifier(): string {
  return Array.from({ length: 10 }, () => LETTERS[randomInt(LETTERS.length)]).join("");
}
