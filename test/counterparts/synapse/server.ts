import { execFile, spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { stringify } from "yaml";
import { freePort } from "../../support/free-port.ts";

/** The server's name in user and room ids; nobody is there. */
export const SERVER_NAME = "harbour.example";

/** The version that `requirements.txt` pins. */
export const SYNAPSE = { name: "matrix-synapse", version: "1.163.2" } as const;

/** A Synapse in a process of its own, on loopback, with SQLite. */
export interface Synapse {
  readonly url: string;
  readonly sharedSecret: string;
  /** Starts it; resolves once it answers. Again after `stop`, over the same database. */
  start(options?: SynapseOptions): Promise<void>;
  stop(): Promise<void>;
}

/** What a start may change. */
export interface SynapseOptions {
  /** `push.include_content`. Default true. */
  readonly includeContent?: boolean;
}

/** Writes a configuration and a signing key into a directory; nothing runs yet. */
export async function createSynapse(python: string, directory: string): Promise<Synapse> {
  const port = await freePort();
  const sharedSecret = randomBytes(24).toString("hex");
  const configPath = join(directory, "homeserver.yaml");
  const logPath = join(directory, "log.yaml");
  await writeFile(logPath, stringify(logConfig));
  const write = async ({ includeContent = true }: SynapseOptions): Promise<void> => {
    const config = {
      server_name: SERVER_NAME,
      pid_file: join(directory, "synapse.pid"),
      listeners: [
        { port, type: "http", tls: false, bind_addresses: ["127.0.0.1"], resources: [{ names: ["client"] }] },
      ],
      database: { name: "sqlite3", args: { database: join(directory, "homeserver.db") } },
      log_config: logPath,
      media_store_path: join(directory, "media"),
      signing_key_path: join(directory, "signing.key"),
      registration_shared_secret: sharedSecret,
      macaroon_secret_key: randomBytes(24).toString("hex"),
      form_secret: randomBytes(24).toString("hex"),
      report_stats: false,
      trusted_key_servers: [],
      suppress_key_server_warning: true,
      federation_domain_whitelist: [],
      // The gateway is on this machine, where Synapse sends nothing unless it is told to.
      ip_range_whitelist: ["127.0.0.0/8", "::1/128"],
      presence: { enabled: false },
      bcrypt_rounds: 4,
      push: { include_content: includeContent },
      ...unlimited,
    };
    await writeFile(configPath, stringify(config), { mode: 0o600 });
  };
  await write({});
  await promisify(execFile)(python, [
    "-m",
    "synapse.app.homeserver",
    "--config-path",
    configPath,
    "--generate-keys",
  ]);
  let child: ChildProcess | undefined;
  return {
    url: `http://127.0.0.1:${port}`,
    sharedSecret,
    async start(options = {}) {
      await write(options);
      const output = createWriteStream(join(directory, "synapse.log"), { flags: "a" });
      const started = spawn(python, ["-m", "synapse.app.homeserver", "--config-path", configPath], {
        cwd: directory,
        stdio: ["ignore", "pipe", "pipe"],
      });
      child = started;
      started.stdout.pipe(output, { end: false });
      started.stderr.pipe(output, { end: false });
      await answering(`http://127.0.0.1:${port}/health`, started);
    },
    async stop() {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child?.kill("SIGKILL"), 10_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

async function answering(url: string, child: ChildProcess): Promise<void> {
  const startedMs = performance.now();
  for (;;) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.status === 200) return;
    if (child.exitCode !== null) throw new Error(`Synapse ended with ${child.exitCode}; see synapse.log`);
    if (performance.now() - startedMs > 60_000) throw new Error("Synapse did not start; see synapse.log");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const logConfig = {
  version: 1,
  formatters: { line: { format: "%(asctime)s %(levelname)s %(name)s %(message)s" } },
  handlers: { console: { class: "logging.StreamHandler", formatter: "line" } },
  root: { level: "WARNING", handlers: ["console"] },
  loggers: { "synapse.push": { level: "INFO" } },
  disable_existing_loggers: false,
};

const often = { per_second: 10_000, burst_count: 10_000 };
/** A test's users are faster than people. */
const unlimited = {
  rc_message: often,
  rc_registration: often,
  rc_login: { address: often, account: often, failed_attempts: often },
  rc_joins: { local: often, remote: often },
  rc_joins_per_room: often,
  rc_invites: { per_room: often, per_user: often, per_issuer: often },
};
