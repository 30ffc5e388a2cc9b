import { createHash } from "node:crypto";
import { hashPassword } from "../../src/http/password-hash.ts";
import { startGateway, type GatewaySetUp, type RunningGateway } from "./with-gateway.ts";

/** Whom the gateways of these tests know. */
export const alice = {
  id: "9aed5e94-3803-11e3-8475-0024e8f90cc0",
  username: "alice",
  password: "al\u00ffce:s pass",
};
export const bob = {
  id: "52a9fd3c-8aad-11e0-9138-0024e8f90cc0",
  username: "bob",
  token: "b0b5-t0ken-4f1c9a7d2e",
};
export const eventKey = "3f1c0b8a7e5d42961a2b";

/** The apps of the seeds' examples: messages through Firebase, calls through Apple; and one of Apple's. */
export const MESSAGES = "com.cloudsoftphone.app";
export const CALLS = "com.cloudsoftphone.app.pushkit";
export const BUNDLE = "de.cospace.app";

let hashOfAlice: Promise<string> | undefined;

/** Basic and Bearer, as the two send them. */
export const asAlice = { authorization: basic(alice.username, alice.password) };
export const asBob = { authorization: `Bearer ${bob.token}` };

export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

/** A gateway with its registry open, and `more` over its section. */
export async function startRegistry(
  more: Readonly<Record<string, unknown>> = {},
  setUp: GatewaySetUp = {},
): Promise<RunningGateway & { readonly origin: string }> {
  hashOfAlice ??= hashPassword(alice.password);
  const registry = {
    accounts: [
      { id: alice.id, username: alice.username, password_hash: await hashOfAlice },
      {
        id: bob.id,
        username: bob.username,
        token_hash: `sha256:${createHash("sha256").update(bob.token).digest("hex")}`,
      },
    ],
    event_keys: [eventKey],
    fcm_app: MESSAGES,
    ...more,
  };
  const gateway = await startGateway({
    ...setUp,
    config: { registry, ...setUp.config },
    apps: (base, files) => ({
      [MESSAGES]: base.android,
      [CALLS]: { ...base.ios, topic: `${MESSAGES}.voip`, push_type: "voip" },
      [BUNDLE]: { ...base.ios, topic: BUNDLE },
      ...setUp.apps?.(base, files),
    }),
  });
  return { ...gateway, origin: new URL(gateway.url).origin };
}
