import { generateKeyPairSync } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { createCredentials } from "../../../src/simulator/credentials.ts";
import { startSimulators, type Simulators, type SimulatorsOptions } from "../../../src/simulator/index.ts";
import { APNS_TOPIC, appKeys, type AppKey } from "./apps.ts";
import { startTunnel } from "./tunnel.ts";

/** What both gateways of a comparison talk to, and the one `sygnal.yaml` that both read. */
export interface Scene {
  readonly simulators: Simulators;
  readonly caFile: string;
  /** Writes the configuration for a gateway that listens on this port. */
  configFor(port: number, directory: string): Promise<string>;
  stop(): Promise<void>;
}

const HOSTS = ["api.push.apple.com", "fcm.googleapis.com", "oauth2.googleapis.com"] as const;

/** Starts simulators, and a proxy that stands for the way to Apple and Google. */
export async function startScene(directory: string, options: SimulatorsOptions = {}): Promise<Scene> {
  const credentials = createCredentials({ hosts: HOSTS });
  const simulators = await startSimulators({ recordCapacity: 100_000, ...options, credentials });
  const { apns, fcm, webPush } = simulators;
  const [apple = "", google = "", oauth = ""] = HOSTS.map((host) => `${host}:443`);
  const webPushPort = Number(new URL(webPush.url).port);
  const tunnel = await startTunnel({
    [apple]: apns.port,
    [google]: fcm.port,
    [oauth]: fcm.port,
    ...Object.fromEntries(
      ["localhost", "127.0.0.1", "[::1]"].map((host) => [`${host}:${webPushPort}`, webPushPort]),
    ),
  });
  await mkdir(directory, { recursive: true });
  const file = async (name: string, text: string): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  const caFile = await file("ca.pem", credentials.caPem);
  const keyFile = await file("apns.p8", credentials.apnsKey.keyPem);
  const account = credentials.serviceAccount("https://oauth2.googleapis.com/token");
  const accountFile = await file("service-account.json", JSON.stringify(account));
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const vapidFile = await file("vapid.pem", privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  const optionsOf = ({ type, allowedEndpoints }: AppKey): object => {
    switch (type) {
      case "apns": {
        const { keyId, teamId } = credentials.apnsKey;
        return { type, keyfile: keyFile, key_id: keyId, team_id: teamId, topic: APNS_TOPIC };
      }
      case "gcm": {
        const { projectId } = credentials;
        return { type, api_version: "v1", project_id: projectId, service_account_file: accountFile };
      }
      case "webpush": {
        const allowed = allowedEndpoints === undefined ? {} : { allowed_endpoints: allowedEndpoints };
        return {
          type,
          vapid_private_key: vapidFile,
          vapid_contact_email: "operator@example.com",
          ...allowed,
        };
      }
    }
  };
  return {
    simulators,
    caFile,
    async configFor(port, home) {
      const config = {
        http: { port, bind_addresses: ["127.0.0.1"] },
        log: LOG,
        proxy: `http://127.0.0.1:${tunnel.port}`,
        apps: Object.fromEntries(appKeys.map((app) => [app.key, optionsOf(app)])),
        // Sygnal warns of these and goes on.
        admin: { enabled: false },
        store: { url: `sqlite:${join(home, "signalbox.db")}` },
        delivery: { answer_within: "2s" },
        outbound: { allow_addresses: ["127.0.0.0/8", "::1/128"] },
      };
      await mkdir(home, { recursive: true });
      const path = join(home, "sygnal.yaml");
      await writeFile(path, stringify(config, { lineWidth: 0, version: "1.1" }), { mode: 0o600 });
      return path;
    },
    async stop() {
      await tunnel.close();
      await simulators.stop();
    },
  };
}

/** Sygnal wants its log set up; warnings alone, so that neither pays for lines. */
export const LOG = {
  setup: {
    version: 1,
    formatters: { normal: { format: "%(asctime)s [%(process)d] %(levelname)-5s %(name)s %(message)s" } },
    handlers: {
      stderr: { class: "logging.StreamHandler", formatter: "normal", stream: "ext://sys.stderr" },
    },
    root: { handlers: ["stderr"], level: "WARNING" },
    disable_existing_loggers: false,
  },
};
