import { fileURLToPath } from "node:url";
import { writeFixtures, type Fixture } from "../support/fixtures.ts";
import { SYNAPSE } from "./server.ts";
import type { Notify, NotifyBody } from "./notify-relay.ts";
import type { World } from "./world.ts";

const SENDER = `Synapse ${SYNAPSE.version}`;

/** Writes every body that the homeserver has sent into `bench/fixtures/`; says what it did. */
export async function recordFixtures(world: World): Promise<string> {
  const fixtures = world.relay.requests.map((request) => describe(world, request));
  const file = await writeFixtures("synapse", fixtures, {
    made: "recorded",
    from: `${SENDER}, driven by npm run e2e:synapse; synthetic users only, the simulators' addresses made neutral`,
  });
  return `${fixtures.length} bodies written to ${fileURLToPath(file)}`;
}

function describe(world: World, { body }: Notify): Fixture {
  const { notification } = body;
  const [device] = notification.devices;
  const appId = device?.app_id ?? "";
  const format = device?.data?.["format"] === "event_id_only" ? "event_id_only" : "full";
  const eventId = notification.event_id;
  const label =
    eventId === undefined
      ? `badge update to ${notification.counts?.unread ?? "nothing"}`
      : (world.journal.label(eventId) ?? "event");
  return { title: `${label}, ${format}, for ${appId}`, body: neutral(body) };
}

/** The simulators listen on another port each time; whoever replays a body puts in his own. */
function neutral(body: NotifyBody): unknown {
  return JSON.parse(
    JSON.stringify(body).replaceAll(/https:\/\/localhost:\d+\//g, "https://push.example.net/"),
  );
}
