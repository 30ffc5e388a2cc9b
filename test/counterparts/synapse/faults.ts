import type { Phone } from "./phones.ts";
import { chatter, type Rooms } from "./scenario.ts";
import type { World } from "./world.ts";

/** What one fault did to the pushes that were sent meanwhile. */
export interface FaultResult {
  readonly fault: string;
  readonly events: number;
  /** Events times phones. */
  readonly pushes: number;
  readonly lost: readonly string[];
  /** Pushes that reached a phone twice because the gateway died before it knew of the first time. */
  readonly repeated: number;
  /** Pushes that reached a phone again after they had been settled. */
  readonly settledTwice: readonly string[];
}

/**
 * How long the gateway may take from an upstream's yes to having it written down. A death within this time after a
 * delivery leaves it unsettled, and it has to go out again.
 */
const SETTLING_MS = 1_000;
/** Retries of the homeserver double from one second, FCM's first one is after ten. */
const RECOVERY_MS = 90_000;
const DEATHS = 5;

/** One after the other; each waits until all has arrived that was sent while it lasted. */
export async function runFaults(world: World, rooms: Rooms): Promise<readonly FaultResult[]> {
  return [
    await observe(world, "gateway down for 8 s", () => gatewayDown(world, rooms)),
    await observe(world, "every upstream down for 12 s", () => upstreamsDown(world, rooms)),
    await observe(world, `gateway killed in the middle, ${DEATHS} times`, () => gatewayKilled(world, rooms)),
  ];
}

/** Runs a fault and compares what was sent meanwhile with what arrived. Returns the moments the gateway was killed. */
async function observe(
  world: World,
  fault: string,
  run: () => Promise<readonly number[]>,
): Promise<FaultResult> {
  const before = new Set(world.journal.events.map(({ id }) => id));
  const deathsMs = await run();
  await world.journal.settle(RECOVERY_MS);
  // A second delivery of what was settled would come with the next retries.
  await quiet(world);
  const events = world.journal.events.filter(({ id }) => !before.has(id));
  const pushes = events.flatMap(({ id, label, phones }) => phones.map((phone) => ({ id, label, phone })));
  let repeated = 0;
  const settledTwice: string[] = [];
  for (const { id, label, phone } of pushes) {
    const times = world.journal.arrivals(phone, id).map(({ atMs }) => atMs);
    for (const atMs of times.slice(0, -1)) {
      if (deathsMs.some((deathMs) => atMs <= deathMs && deathMs - atMs <= SETTLING_MS)) repeated += 1;
      else settledTwice.push(`${phone.name}: ${label}`);
    }
  }
  const isLost = ({ id, phone }: { id: string; phone: Phone }): boolean =>
    world.journal.arrivals(phone, id).length === 0;
  return {
    fault,
    events: events.length,
    pushes: pushes.length,
    lost: pushes.filter(isLost).map(({ label, phone }) => `${phone.name}: ${label}`),
    repeated,
    settledTwice,
  };
}

/** Until the upstreams have had nothing to do for two seconds. */
async function quiet(world: World): Promise<void> {
  let seen = -1;
  while (seen !== world.simulators.recorder.counts.requests) {
    seen = world.simulators.recorder.counts.requests;
    await sleep(2_000);
  }
}

async function gatewayDown(world: World, rooms: Rooms): Promise<readonly number[]> {
  await world.gateway.end("SIGTERM");
  const downMs = performance.now();
  await chatter(world, rooms, "said while the gateway was down", { count: 10, everyMs: 100 });
  await sleep(8_000 - (performance.now() - downMs));
  await world.gateway.start();
  return [];
}

async function upstreamsDown(world: World, rooms: Rooms): Promise<readonly number[]> {
  const { links, simulators } = world;
  await links.apns.refuse();
  await links.fcm.refuse();
  const busy = { kind: "raw", status: 503 } as const;
  const rules = simulators.script.add(
    { upstream: "webpush", answer: busy },
    { upstream: "unifiedpush", answer: busy },
  );
  const downMs = performance.now();
  await chatter(world, rooms, "said while the upstreams were down", { count: 10, everyMs: 100 });
  await sleep(12_000 - (performance.now() - downMs));
  await links.apns.accept();
  await links.fcm.accept();
  for (const id of rules) simulators.script.remove(id);
  return [];
}

/**
 * Upstreams are slow meanwhile, so that there always is a middle. Each death is recovered from before the next one:
 * Synapse fetches twenty events at a time, and a longer backlog waits for the next event.
 */
async function gatewayKilled(world: World, rooms: Rooms): Promise<readonly number[]> {
  const { gateway, simulators } = world;
  for (const simulator of [simulators.apns, simulators.fcm]) simulator.latency = { minMs: 20, maxMs: 300 };
  const deathsMs: number[] = [];
  for (let n = 1; n <= DEATHS; n += 1) {
    const talking = chatter(world, rooms, "said while the gateway was killed", { count: 8, everyMs: 80 });
    // Each time at another point of what goes on.
    await sleep(150 * n);
    await gateway.kill();
    deathsMs.push(Date.now());
    await gateway.start();
    await talking;
    await world.journal.settle(RECOVERY_MS);
  }
  for (const simulator of [simulators.apns, simulators.fcm]) simulator.latency = 0;
  return deathsMs;
}

async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}
