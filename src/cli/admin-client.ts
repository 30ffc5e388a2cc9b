import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import type { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import type { Problem } from "../config/problem.ts";
import type { Environment } from "../config/secrets.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../json.ts";
import { pushkinTypes } from "../pushkins/index.ts";
import { createHttpClient } from "../upstream/http-client.ts";
import { configFile, USUAL_FILE } from "./config-file.ts";

/** How a command finds the gateway that runs. */
export interface AdminFlags {
  readonly config?: string;
  readonly url?: string;
  readonly tokenFile?: string;
}

/** Where the admin listener is, and what it asks for. */
export interface AdminTarget {
  readonly url: string;
  readonly token?: string;
}

/** The gateway's answer, or why there is none. */
export type AdminAnswer =
  { readonly status: number; readonly body: JsonObject } | { readonly problem: string };

const DEFAULT_URL = "http://127.0.0.1:5001";
/** A reload reads files and asks the store. */
const DEADLINE_MS = 30_000;

/** Adds the options that every command with a running gateway has. */
export function withAdminOptions(command: Command): Command {
  return command
    .option(
      "-c, --config <file>",
      "the gateway's configuration, for its `admin` section (default: $SYGNAL_CONF, else sygnal.yaml)",
    )
    .option("--url <url>", `the admin listener (default: what the configuration says, else ${DEFAULT_URL})`)
    .option(
      "--token-file <file>",
      "a file with the admin listener's token (default: what the configuration says)",
    );
}

/**
 * The target that flags and configuration name. A wrong configuration names it too as long as it is wrong elsewhere: it
 * is the gateway that is to say so. The usual file need not be there; one that was named must be.
 */
export async function adminTarget(
  flags: AdminFlags,
  env: Environment,
): Promise<AdminTarget | { readonly problem: string }> {
  let token: string | undefined;
  if (flags.tokenFile !== undefined) {
    try {
      token = (await readFile(flags.tokenFile, "utf8")).trim();
    } catch {
      return { problem: `cannot read ${flags.tokenFile}` };
    }
  }
  if (flags.url !== undefined) {
    if (!URL.canParse(flags.url)) return { problem: `--url: not a URL: ${flags.url}` };
    return { url: flags.url, ...(token === undefined ? {} : { token }) };
  }
  const file = configFile(flags.config, env);
  const loaded = await loadConfig({ path: file, env, pushkinTypes });
  const unread = loaded.ok ? undefined : loaded.problems.find(isOfTheFile);
  if (unread !== undefined && file !== USUAL_FILE) return { problem: `${file}: ${unread.message}` };
  const settings = loaded.ok ? loaded.config : loaded.settings;
  if (settings === undefined) return { url: DEFAULT_URL, ...(token === undefined ? {} : { token }) };
  const { admin } = settings;
  if (!admin.enabled || admin.port === 0) return { problem: "`admin` is switched off in the configuration" };
  token ??= admin.token;
  const url = `http://${hostOf(admin.bind_address)}:${admin.port}`;
  return { url, ...(token === undefined ? {} : { token }) };
}

/** The file itself cannot be read. */
function isOfTheFile({ line, path, message }: Problem): boolean {
  return line === undefined && path === "" && message.startsWith("cannot be read");
}

/** Asks the admin listener; never rejects. */
export async function askAdmin(target: AdminTarget, path: string, body: JsonValue): Promise<AdminAnswer> {
  const http = createHttpClient({ deadlineMs: DEADLINE_MS });
  const result = await http({
    method: "POST",
    url: new URL(path, target.url).href,
    headers: {
      "content-type": "application/json",
      ...(target.token === undefined ? {} : { authorization: `Bearer ${target.token}` }),
    },
    body: JSON.stringify(body),
  });
  if (result.kind === "failed") {
    const { class: kind, detail } = result.failure;
    return { problem: `no gateway answers at ${target.url}: ${detail ?? kind}` };
  }
  const answer = parsed(result.body);
  if (answer === undefined) return { problem: `${target.url} is no admin listener of Signalbox` };
  if (result.status === 401) return { problem: `${target.url} asks for another token` };
  return { status: result.status, body: answer };
}

/** A sentence that an answer of refusal holds. */
export function refusalOf({ status, body }: { readonly status: number; readonly body: JsonObject }): string {
  return typeof body["error"] === "string" ? body["error"] : `answered ${status}`;
}

/** A wildcard is reached at loopback. */
function hostOf(address: string): string {
  if (address === "" || address === "0.0.0.0") return "127.0.0.1";
  if (address === "::") return "[::1]";
  return isIP(address) === 6 ? `[${address}]` : address;
}

function parsed(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
