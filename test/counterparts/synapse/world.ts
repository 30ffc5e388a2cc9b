import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { startSimulators, type Simulators } from "../../../src/simulator/index.ts";
import { writeWorkspace } from "../../../src/simulator/workspace.ts";
import { createGatewayProcess, type GatewayProcess } from "../../faults/support/gateway-process.ts";
import { startRelay, type Relay } from "../../support/relay.ts";
import { registerUser, type MatrixUser } from "./client.ts";
import { Journal } from "./journal.ts";
import { startNotifyRelay, type NotifyRelay } from "./notify-relay.ts";
import {
  apps,
  elementXAndroid,
  elementXIos,
  fluffyChat,
  fullAndroid,
  fullIos,
  hydrogen,
  unifiedPush,
  type Phone,
  type PhoneOptions,
} from "./phones.ts";
import { createSynapse, type Synapse } from "./server.ts";

/** A pusher whose fate is known before. */
export interface Fated {
  readonly phone: Phone;
  readonly why: string;
  readonly lives: boolean;
}

/** Who talks and who listens. */
export interface People {
  readonly ingrid: MatrixUser;
  readonly olav: MatrixUser;
  readonly solveig: MatrixUser;
  readonly per: MatrixUser;
  readonly tor: MatrixUser;
}

/** A homeserver, a gateway, upstreams and people with phones. */
export interface World {
  readonly synapse: Synapse;
  readonly gateway: GatewayProcess;
  readonly simulators: Simulators;
  /** Between gateway and upstreams. */
  readonly links: { readonly apns: Relay; readonly fcm: Relay };
  readonly relay: NotifyRelay;
  readonly journal: Journal;
  readonly people: People;
  /** The phones that work. */
  readonly phones: readonly Phone[];
  /** Pushers of phones that do not. */
  readonly fated: readonly Fated[];
  stop(): Promise<void>;
}

/** The gateway waits so long for an upstream before it promises, instead of five seconds, so that outages take less. */
const ANSWER_WITHIN = "1s";

/** Starts all of it in a directory; on loopback, with SQLite on both sides. */
export async function startWorld(python: string, directory: string): Promise<World> {
  const closing: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const close of closing.reverse()) await close();
  };
  try {
    const simulators = await startSimulators({ recordCapacity: 100_000 });
    closing.push(() => simulators.stop());
    const links = {
      apns: await startRelay(simulators.apns.port),
      fcm: await startRelay(simulators.fcm.port),
    };
    closing.push(
      () => links.apns.close(),
      () => links.fcm.close(),
    );
    const gateway = await startGateway(directory, simulators, links);
    closing.push(() => gateway.end("SIGTERM"));
    const relay = await startNotifyRelay(gateway.url);
    closing.push(() => relay.close());
    const synapse = await createSynapse(python, directory);
    closing.push(() => synapse.stop());
    await synapse.start();
    const people = await register(synapse);
    const phones = livePhones(simulators, relay.url, people);
    const deadIphone = appleToken();
    const fated = fatedPhones(simulators, relay.url, deadIphone, people);
    for (const { user, pusher } of [...phones, ...fated.map(({ phone }) => phone)])
      await user.setPusher(pusher);
    // Its app is removed after the pusher was set.
    simulators.apns.setDevice(deadIphone, { state: "unregistered" });
    const journal = new Journal(simulators.recorder, phones);
    closing.push(async () => journal.close());
    return { synapse, gateway, simulators, links, relay, journal, people, phones, fated, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startGateway(
  directory: string,
  simulators: Simulators,
  links: World["links"],
): Promise<GatewayProcess> {
  const files = await writeWorkspace(simulators, join(directory, "credentials"));
  const { apnsKey, projectId } = simulators.credentials;
  const gateway = await createGatewayProcess({
    directory,
    upstreams: {
      apns: `https://127.0.0.1:${links.apns.port}`,
      fcm: `https://127.0.0.1:${links.fcm.port}`,
      keyId: apnsKey.keyId,
      teamId: apnsKey.teamId,
      projectId,
      files,
    },
    config: {
      delivery: { answer_within: ANSWER_WITHIN },
      outbound: { allow_addresses: ["127.0.0.0/8", "::1/128"] },
      matrix: { unifiedpush_gateway: true },
    },
    apps: ({ ios, android }) => ({
      [apps.elementXIos]: ios,
      [apps.fullIos]: ios,
      [apps.wrongTopic]: { ...ios, topic: "com.example.another" },
      [apps.elementXAndroid]: android,
      [apps.fullAndroid]: android,
      "chat.fluffy.fluffychat.*": { ...android, payload_layout: "hedwig", counts_pushes: false },
      [apps.hydrogen]: {
        type: "webpush",
        vapid_private_key: files.vapidKey,
        vapid_contact_email: "operator@example.com",
        ca_file: files.ca,
      },
      [apps.unifiedPush]: { type: "unifiedpush", ca_file: files.ca },
    }),
  });
  await gateway.start();
  return gateway;
}

async function register(synapse: Synapse): Promise<People> {
  return {
    ingrid: await registerUser(synapse, "ingrid", "Ingrid"),
    olav: await registerUser(synapse, "olav", "Olav 🦊 Ñandú"),
    solveig: await registerUser(synapse, "solveig", "Solveig"),
    per: await registerUser(synapse, "per", "Per"),
    tor: await registerUser(synapse, "tor", "Tor"),
  };
}

const appleToken = (): string => randomBytes(32).toString("hex");

function livePhones(simulators: Simulators, url: string, { solveig, per, tor }: People): readonly Phone[] {
  const of = (user: MatrixUser, token?: string): PhoneOptions => ({
    simulators,
    url,
    user,
    ...(token === undefined ? {} : { token }),
  });
  // One phone with two accounts.
  const shared = `f${randomBytes(8).toString("hex")}:APA91b${randomBytes(60).toString("base64url")}`;
  return [
    elementXIos(of(solveig)),
    elementXAndroid(of(solveig)),
    hydrogen(of(solveig)),
    fluffyChat(of(per, shared)),
    fullIos(of(per)),
    fluffyChat(of(tor, shared)),
    fullAndroid(of(tor)),
    unifiedPush(of(tor)),
  ];
}

function fatedPhones(
  simulators: Simulators,
  url: string,
  deadIphone: string,
  { solveig, per, tor }: People,
): readonly Fated[] {
  const [deadAndroid, wrongTopic, reborn] = [`dead${appleToken()}`, appleToken(), appleToken()];
  const topics = ["com.example.app"];
  simulators.fcm.setDevice(deadAndroid, "dead");
  simulators.apns.setDevice(wrongTopic, { topics });
  simulators.apns.setDevice(reborn, { state: "unregistered", diedAtMs: Date.now() - 3_600_000 });
  const of = { simulators, url };
  return [
    { phone: fullIos({ ...of, user: solveig, token: deadIphone }), why: "410 Unregistered", lives: false },
    {
      phone: fullAndroid({ ...of, user: solveig, token: deadAndroid }),
      why: "404 UNREGISTERED",
      lives: false,
    },
    { phone: hydrogen({ ...of, user: per, gone: true }), why: "410 of the push service", lives: false },
    { phone: unifiedPush({ ...of, user: solveig, gone: true }), why: "its endpoint has ended", lives: false },
    { phone: fullIos({ ...of, user: tor }, "retired"), why: "an app_id that nobody serves", lives: false },
    {
      phone: fullIos({ ...of, user: tor, token: reborn }),
      why: "410, but registered again since",
      lives: true,
    },
    {
      phone: fullIos({ ...of, user: per, token: wrongTopic }, "wrongTopic"),
      why: "the operator named a wrong topic",
      lives: true,
    },
  ];
}
