import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { PushkinDeps } from "../../core/pushkin.ts";
import type { JsonObject } from "../../json.ts";
import type { CachedToken } from "../../upstream/cached-token.ts";
import type { UpstreamTls } from "../../upstream/connect.ts";
import { createHttpClient } from "../../upstream/http-client.ts";
import { createAccessToken } from "./access-token.ts";
import type { FcmOptions } from "./config.ts";

/** Longer than a push waits: a token endpoint that takes ten seconds helps the next attempts (UF08). */
const TOKEN_DEADLINE_MS = 15_000;

/** How an app proves to Google who it is (fcm.md 1). */
export interface FcmCredentials {
  readonly accessToken: CachedToken;
  readonly tls: UpstreamTls;
  /** Changes with the credentials; tells nothing about them. */
  readonly fingerprint: string;
}

/** Reads the credentials file; the config check has seen that it holds what it should. */
export async function loadCredentials(config: FcmOptions, deps: PushkinDeps): Promise<FcmCredentials> {
  const ca = config.ca_file === undefined ? undefined : await readFile(config.ca_file, "utf8");
  const file = config.service_account_file;
  const text = file === undefined ? undefined : await readFile(file, "utf8");
  const credentials = text === undefined ? undefined : (JSON.parse(text) as JsonObject);
  const fingerprint = createHash("sha256")
    .update(text ?? "application default credentials")
    .digest("hex")
    .slice(0, 32);
  // Apps of one project share the file, and so the token; a reload that changes the way to Google has it fetched anew.
  const way = createHash("sha256")
    .update(JSON.stringify([ca ?? null, deps.proxy?.href ?? null]))
    .digest("hex");
  const accessToken = deps.shared.get(`fcm-access-token ${fingerprint} ${way}`, () =>
    createAccessToken(
      credentials,
      createHttpClient({
        deadlineMs: TOKEN_DEADLINE_MS,
        ...(ca === undefined ? {} : { ca }),
        ...(deps.proxy === undefined ? {} : { proxy: deps.proxy }),
      }),
      deps.clock,
    ),
  );
  return { accessToken, tls: ca === undefined ? {} : { ca }, fingerprint };
}
