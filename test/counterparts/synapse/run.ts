// `npm run e2e:synapse`: a real homeserver drives the gateway. See usage below.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { installPackage, runCommand, SKIPPED } from "../support/python-package.ts";
import { table } from "../support/table.ts";
import { runFaults, type FaultResult } from "./faults.ts";
import { recordFixtures } from "./record.ts";
import { converse, gather, whisper } from "./scenario.ts";
import { SYNAPSE } from "./server.ts";
import { startWorld, type World } from "./world.ts";

const usage = `npm run e2e:synapse               a Synapse, a gateway, eight phones; then the same with faults
npm run e2e:synapse -- --short    without faults
npm run e2e:synapse -- --record   writes what Synapse sent into bench/fixtures/
npm run e2e:synapse -- --keep     leaves logs and databases, and says where

Installs ${SYNAPSE.name} ${SYNAPSE.version} into .venv/ the first time. Exit code 0: all is well; 1: something is not;
${SKIPPED}: the package, or a Python to run it, is not to be had.
`;

async function main(): Promise<boolean> {
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({ options: { short: flag, record: flag, keep: flag, help: flag } });
  if (values.help) {
    console.log(usage);
    return true;
  }
  const requirements = new URL("./requirements.txt", import.meta.url);
  const { python, tookMs } = await installPackage({
    ...SYNAPSE,
    requirements,
    limitMs: values.short ? 120_000 : 300_000,
  });
  console.log(`${SYNAPSE.name} ${SYNAPSE.version}, installed in ${(tookMs / 1_000).toFixed(0)} s`);
  const directory = await mkdtemp(join(tmpdir(), "signalbox-synapse-"));
  const startedMs = performance.now();
  let world: World | undefined;
  try {
    world = await startWorld(python, directory);
    const rooms = await gather(world);
    await converse(world, rooms);
    await world.synapse.stop();
    await world.synapse.start({ includeContent: false });
    await whisper(world, rooms);
    if (values.record) console.log(await recordFixtures(world));
    const usual = summary(world);
    const faults = values.short ? [] : await runFaults(world, rooms);
    const pushers = await pusherRows(world);
    return report(world, usual, faults, pushers, performance.now() - startedMs);
  } finally {
    await world?.stop();
    if (values.keep) console.log(`logs and databases: ${directory}`);
    else await rm(directory, { recursive: true, force: true });
  }
}

interface PhoneRow {
  readonly name: string;
  readonly expected: number;
  readonly arrived: number;
  readonly twice: number;
  readonly badge: number | string;
}

function summary({ journal, phones }: World): readonly PhoneRow[] {
  return phones.map((phone) => {
    const mine = journal.events.filter((event) => event.phones.includes(phone));
    const times = mine.map(({ id }) => journal.arrivals(phone, id).length);
    return {
      name: phone.name,
      expected: mine.length,
      arrived: times.filter((count) => count > 0).length,
      twice: times.filter((count) => count > 1).length,
      badge: journal.badge(phone) ?? "-",
    };
  });
}

interface PusherRow {
  readonly name: string;
  readonly why: string;
  readonly wanted: boolean;
  readonly lives: boolean;
}

/** Which pushers the homeserver has in the end. */
async function pusherRows({ phones, fated }: World): Promise<readonly PusherRow[]> {
  const all = [...phones.map((phone) => ({ phone, why: "it works", lives: true })), ...fated];
  return Promise.all(
    all.map(async ({ phone: { name, user, pusher }, why, lives }) => {
      const left = await user.pushers();
      const isThere = left.some((each) => each.app_id === pusher.app_id && each.pushkey === pusher.pushkey);
      return { name, why, wanted: lives, lives: isThere };
    }),
  );
}

function report(
  world: World,
  usual: readonly PhoneRow[],
  faults: readonly FaultResult[],
  pushers: readonly PusherRow[],
  tookMs: number,
): boolean {
  const { journal, relay } = world;
  const word = (lives: boolean): string => (lives ? "there" : "deleted");
  console.log(
    `\n${table(
      ["phone", "events", "arrived", "twice", "badge"],
      usual.map(({ name, expected, arrived, twice, badge }) => [name, expected, arrived, twice, badge]),
    )}`,
  );
  if (faults.length > 0)
    console.log(
      `\n${table(
        ["fault", "events", "pushes", "lost", "repeated (unsettled)", "settled twice"],
        faults.map((row) => [
          row.fault,
          row.events,
          row.pushes,
          row.lost.length,
          row.repeated,
          row.settledTwice.length,
        ]),
      )}`,
    );
  console.log(
    `\n${table(
      ["pusher", "why", "wanted", "at the homeserver"],
      pushers.map(({ name, why, wanted, lives }) => [name, why, word(wanted), word(lives)]),
    )}`,
  );
  const failures = [
    ...journal.problems,
    ...journal.outstanding().map((push) => `lost: ${push}`),
    ...usual.filter(({ twice }) => twice > 0).map(({ name }) => `${name}: a push came twice without a fault`),
    ...faults.flatMap(({ settledTwice }) =>
      settledTwice.map((push) => `sent again after it was settled: ${push}`),
    ),
    ...pushers
      .filter(({ wanted, lives }) => wanted !== lives)
      .map(({ name, wanted }) => `pusher ${name} should be ${word(wanted)}`),
  ];
  const bad = relay.requests.filter(({ answer }) => answer !== undefined && answer.status >= 500).length;
  if (faults.length === 0 && bad > 0) failures.push(`${bad} requests were answered 5xx`);
  for (const failure of failures) console.log(`FAIL ${failure}`);
  const lost = journal.outstanding().length;
  console.log(
    `\n${relay.requests.length} requests of Synapse, ${lost} pushes lost, ${failures.length} failures, ` +
      `${(tookMs / 1_000).toFixed(0)} s`,
  );
  return failures.length === 0;
}

await runCommand(main);
