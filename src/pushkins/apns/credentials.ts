import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { PushkinDeps } from "../../core/pushkin.ts";
import type { UpstreamTls } from "../../upstream/connect.ts";
import { certificateTopic, type ApnsOptions } from "./config.ts";
import { ProviderToken } from "./provider-token.ts";

/** How an app proves to Apple who it is (apns.md 4). */
export interface ApnsCredentials {
  readonly tls: UpstreamTls;
  /** Absent with a certificate. */
  readonly token?: ProviderToken;
  readonly apnsTopic: string;
  /** The end of the certificate, milliseconds since 1970; absent with a key. */
  readonly expiresAtMs?: number;
  /** Changes with the credentials; tells nothing about them. */
  readonly fingerprint: string;
}

/** Reads key or certificate; the config check has seen that they hold what they should. */
export async function loadCredentials(config: ApnsOptions, deps: PushkinDeps): Promise<ApnsCredentials> {
  const ca = config.ca_file === undefined ? {} : { ca: await readFile(config.ca_file) };
  if (config.certfile !== undefined) {
    const pem = await readFile(config.certfile);
    const certificate = new X509Certificate(pem);
    return {
      tls: { ...ca, cert: pem, key: pem },
      apnsTopic: certificateTopic(certificate) ?? "",
      expiresAtMs: Date.parse(certificate.validTo),
      fingerprint: digest("certificate", pem),
    };
  }
  const { keyfile = "", key_id: keyId = "", team_id: teamId = "", topic: apnsTopic = "" } = config;
  const pem = await readFile(keyfile);
  const fingerprint = digest("key", pem, keyId, teamId);
  // Apps of one team share a key; Apple counts its tokens, so they share the token too.
  const token = deps.shared.get(
    `apns-provider-token ${fingerprint}`,
    () => new ProviderToken({ key: createPrivateKey(pem), keyId, teamId, clock: deps.clock }),
  );
  return { tls: ca, token, apnsTopic, fingerprint };
}

function digest(...parts: readonly (string | Buffer)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest("hex").slice(0, 32);
}
