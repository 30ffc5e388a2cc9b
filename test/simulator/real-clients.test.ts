import { readFile, mkdtemp, rm } from "node:fs/promises";
import { Agent } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import apn from "@parse/node-apn";
import { JWT } from "google-auth-library";
import webPush from "web-push";
import { startSimulators } from "../../src/simulator/index.ts";
import type { Simulators } from "../../src/simulator/index.ts";
import { writeWorkspace } from "../../src/simulator/workspace.ts";
import type { WorkspaceFiles } from "../../src/simulator/workspace.ts";
import { RawClient } from "./raw-client.ts";

let simulators: Simulators;
let directory: string;
let files: WorkspaceFiles;

beforeAll(async () => {
  simulators = await startSimulators({ tokenPrefixes: true });
  directory = await mkdtemp(join(tmpdir(), "signalbox-sim-"));
  files = await writeWorkspace(simulators, directory);
});
beforeEach(() => simulators.recorder.clear());
afterAll(async () => {
  await simulators.stop();
  await rm(directory, { recursive: true });
});

describe("@parse/node-apn", () => {
  /** One after the other: node-apn opens streams before it knows that a new connection allows only one. */
  const send = async (
    options: object,
    ...tokens: string[]
  ): Promise<apn.Responses<apn.ResponseSent, apn.ResponseFailure>> => {
    const { port } = simulators.apns;
    const provider = new apn.Provider({
      address: "127.0.0.1",
      port,
      ca: [simulators.credentials.caPem],
      ...options,
    });
    const notification = new apn.Notification();
    notification.topic = "com.example.app";
    notification.pushType = "alert";
    notification.alert = { title: "Alice", body: "Hello" };
    try {
      const all: apn.Responses<apn.ResponseSent, apn.ResponseFailure> = { sent: [], failed: [] };
      for (const token of tokens) {
        const { sent, failed } = await provider.send(notification, token);
        all.sent.push(...sent);
        all.failed.push(...failed);
      }
      return all;
    } finally {
      await provider.shutdown();
    }
  };

  it("delivers with a provider token, and learns that a token is dead", async () => {
    const { keyId, teamId } = simulators.credentials.apnsKey;
    const key = await readFile(files.apnsKey, "utf8");
    const dead = `dead${"0".repeat(60)}`;
    const { sent, failed } = await send({ token: { key, keyId, teamId } }, "ab".repeat(32), dead);
    expect(sent.map((one) => one.device)).toEqual(["ab".repeat(32)]);
    expect(failed).toHaveLength(1);
    expect(failed[0]).toMatchObject({ device: dead, status: 410, response: { reason: "Unregistered" } });
    expect(simulators.recorder.accepted).toHaveLength(1);
    expect(simulators.recorder.accepted[0]?.payload).toMatchObject({
      aps: { alert: { title: "Alice", body: "Hello" } },
    });
  });

  it("delivers with a certificate", async () => {
    const pem = await readFile(files.apnsCertificate, "utf8");
    const { sent, failed } = await send({ cert: pem, key: pem }, "cd".repeat(32));
    expect(failed).toEqual([]);
    expect(sent).toHaveLength(1);
    expect(simulators.recorder.accepted[0]?.headers["authorization"]).toBeUndefined();
  });
});

describe("google-auth-library", () => {
  /** It signs for, and asks, Google's own address whatever the file says: the file's `token_uri` is put in its place. */
  async function accessToken(
    scopes: string[],
    claims: Record<string, string>,
  ): Promise<string | null | undefined> {
    const account = JSON.parse(await readFile(files.serviceAccount, "utf8"));
    const agent = new Agent({ ca: simulators.credentials.caPem });
    const client = new JWT({
      email: account.client_email,
      key: account.private_key,
      scopes,
      additionalClaims: claims,
      transporterOptions: { agent },
    });
    client.transporter.interceptors.request.add({
      resolved: async (config) => {
        if (config.url.href === "https://oauth2.googleapis.com/token")
          config.url = new URL(account.token_uri);
        return config;
      },
    });
    try {
      return (await client.getAccessToken()).token;
    } finally {
      agent.destroy();
    }
  }

  it.each([
    ["Google's audience", () => ({})],
    ["the file's token_uri as audience", () => ({ aud: simulators.fcm.tokenUri })],
  ])("gets an access token for %s, and a push with it is accepted", async (_name, claims) => {
    const token = await accessToken(["https://www.googleapis.com/auth/firebase.messaging"], claims());
    expect(token).toMatch(/^ya29\./);
    const client = await RawClient.connect(simulators.fcm.url, simulators.credentials);
    const answer = await client.request(
      { ":path": "/v1/projects/signalbox-sim/messages:send", authorization: `Bearer ${token}` },
      JSON.stringify({ message: { token: "phone", data: { event_id: "$1" } } }),
    );
    await client.close();
    expect(answer.status).toBe(200);
    expect(simulators.recorder.accepted[0]?.token).toBe("phone");
  });

  it("is refused with another scope", async () => {
    await expect(accessToken(["openid"], {})).rejects.toThrow(/invalid_scope/);
  });
});

describe("web-push", () => {
  const keys = webPush.generateVAPIDKeys();
  const send = async (subscription: webPush.PushSubscription): Promise<webPush.SendResult> => {
    const agent = new Agent({ ca: simulators.credentials.caPem });
    try {
      return await webPush.sendNotification(subscription, JSON.stringify({ event_id: "$1" }), {
        vapidDetails: { subject: "mailto:operator@example.com", ...keys },
        TTL: 60,
        urgency: "high",
        topic: "room",
        agent,
      });
    } finally {
      agent.destroy();
    }
  };

  it("delivers a message that the browser reads", async () => {
    const subscription = simulators.webPush.subscribe({ applicationServerKey: keys.publicKey });
    expect((await send(subscription)).statusCode).toBe(201);
    expect(subscription.messages).toMatchObject([
      { text: '{"event_id":"$1"}', ttl: 60, urgency: "high", topic: "room" },
    ]);
  });

  it("learns that a subscription has ended", async () => {
    const subscription = simulators.webPush.subscribe();
    subscription.state = "gone";
    await expect(send(subscription)).rejects.toMatchObject({ statusCode: 410 });
    expect(subscription.messages).toEqual([]);
  });
});
