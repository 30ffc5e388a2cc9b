import { generateKeyPairSync } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { stringify } from "yaml";
import type { Simulators } from "./index.ts";

/** The files a gateway needs to use the simulators: absolute paths. */
export interface WorkspaceFiles {
  readonly ca: string;
  readonly apnsKey: string;
  /** Certificate and key for certificate authentication, in one PEM file. */
  readonly apnsCertificate: string;
  readonly serviceAccount: string;
  /** The private key that web apps subscribe with. */
  readonly vapidKey: string;
  /** A configuration with one app for each upstream. */
  readonly config: string;
}

/** The APNs topic in the written configuration. */
export const SAMPLE_TOPIC = "com.example.app";

/** Writes the simulators' credentials and a ready-made `sygnal.yaml` into a directory, which is made if need be. */
export async function writeWorkspace(simulators: Simulators, directory: string): Promise<WorkspaceFiles> {
  const { credentials, apns, apnsSandbox, fcm } = simulators;
  const { apnsKey, projectId } = credentials;
  const root = resolve(directory);
  const files: WorkspaceFiles = {
    ca: join(root, "ca.pem"),
    apnsKey: join(root, `AuthKey_${apnsKey.keyId}.p8`),
    apnsCertificate: join(root, "apns-certificate.pem"),
    serviceAccount: join(root, "service-account.json"),
    vapidKey: join(root, "vapid.pem"),
    config: join(root, "sygnal.yaml"),
  };
  const certificate = credentials.issueApnsCertificate({
    topics: [SAMPLE_TOPIC],
    environments: ["production", "sandbox"],
  });
  const config = {
    apps: {
      [`${SAMPLE_TOPIC}.ios`]: {
        type: "apns",
        keyfile: files.apnsKey,
        key_id: apnsKey.keyId,
        team_id: apnsKey.teamId,
        topic: SAMPLE_TOPIC,
        endpoint: apns.url,
        ...(apnsSandbox === undefined ? {} : { sandbox_endpoint: apnsSandbox.url }),
        ca_file: files.ca,
      },
      [`${SAMPLE_TOPIC}.android`]: {
        type: "gcm",
        api_version: "v1",
        project_id: projectId,
        service_account_file: files.serviceAccount,
        endpoint: fcm.url,
        ca_file: files.ca,
      },
      [`${SAMPLE_TOPIC}.web`]: {
        type: "webpush",
        vapid_private_key: files.vapidKey,
        vapid_contact_email: "operator@example.com",
        ca_file: files.ca,
      },
      [`${SAMPLE_TOPIC}.unifiedpush`]: { type: "unifiedpush", ca_file: files.ca },
    },
    // The simulated push services are on this machine, where no stranger's endpoint may lead otherwise.
    outbound: { allow_addresses: ["127.0.0.0/8", "::1/128"] },
    matrix: { unifiedpush_gateway: true },
  };
  await mkdir(root, { recursive: true });
  const secret = { mode: 0o600 };
  await writeFile(files.ca, credentials.caPem);
  await writeFile(files.apnsKey, apnsKey.keyPem, secret);
  await writeFile(files.vapidKey, vapidKeyPem(), secret);
  await writeFile(files.apnsCertificate, certificate.certPem + certificate.keyPem, secret);
  const account = credentials.serviceAccount(fcm.tokenUri);
  await writeFile(files.serviceAccount, `${JSON.stringify(account, null, 2)}\n`, secret);
  await writeFile(files.config, stringify(config, { lineWidth: 0, version: "1.1" }), secret);
  return files;
}

function vapidKeyPem(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}
