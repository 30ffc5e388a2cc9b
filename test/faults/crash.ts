import assert from "node:assert/strict";
import { copyFile, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ANDROID, IOS } from "../support/with-gateway.ts";
import { compiledAnew } from "../support/compile-cache.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { balance, expectKept, owedAt, readReceived, readSent } from "./ledger.ts";
import { withRig } from "./support/rig.ts";
import { totalStates } from "./support/outbox-states.ts";
import { quantile, sleep } from "./support/shared.ts";

/** How many crashes, on which store. */
export interface CrashOptions {
  readonly cycles: number;
  readonly store: "sqlite" | "postgres";
  /** Pushes a second. Default 200. */
  readonly perSecond?: number;
  /** Threads of the gateway. Default: as in every row. */
  readonly workers?: number;
  /** Told of each cycle. */
  readonly onCycle?: (line: string) => void;
}

/** What the store holds at the moment of a crash. */
interface Held {
  /** Ids (APNs: the `apns-id`) of pushes that were in the hands of the process. */
  readonly inHand: ReadonlySet<string>;
  readonly waiting: number;
}

const LATENCY_MS = 50;
/** Of the median, on a machine that is shared with others; the goal itself (G2) is 1.5 s and is printed. */
const FIRST_ANSWER_LIMIT_MS = 5_000;
const NO_ANSWER_MS = 20_000;
/** A cycle in which nothing was owed shows nothing; so many may be repeated. */
const IDLE_CYCLES_ALLOWED = 0.25;

/**
 * G1: `kill -9` at a random moment under load, again and again. The answers are scripted so that some pushes are
 * always promised and unsettled: 5 % get 503, some are answered late, and the answer window is short.
 */
export async function runCrashCycles(options: CrashOptions): Promise<string> {
  const { cycles, store } = options;
  if (store === "sqlite") return run(options, undefined);
  const { startPostgres } = await import("../support/postgres.ts");
  const postgres = await startPostgres({ fsync: true });
  try {
    return await run({ ...options, cycles }, postgres);
  } finally {
    await postgres.stop();
  }
}

function run(options: CrashOptions, postgres: TestPostgres | undefined): Promise<string> {
  const { cycles, perSecond = 200, workers } = options;
  return withRig({ latencyMs: LATENCY_MS }, async (rig) => {
    const databaseUrl = await postgres?.createDatabase();
    const gateway = await rig.gateway({
      config: {
        delivery: { answer_within: "150ms", drain_delay: "100ms" },
        log: { setup: { root: { level: "WARNING" } } },
        ...(workers === undefined ? {} : { workers }),
      },
      env: compiledAnew,
      ...(databaseUrl === undefined ? {} : { storeUrl: databaseUrl }),
    });
    await rig.upstreams.addRules(
      { upstream: "apns", ratio: 0.05, answer: { kind: "error", reason: "ServiceUnavailable" } },
      { upstream: "apns", ratio: 0.05, delay: { minMs: 300, maxMs: 1_500 } },
      { upstream: "fcm", ratio: 0.03, delay: { minMs: 300, maxMs: 900 } },
    );
    await gateway.start();
    let isFirst: { readonly since: number; done: (ms: number) => void } | undefined;
    const load = rig.load({
      urls: [gateway.url],
      perSecond,
      appOf: (count) => (count % 4 === 3 ? ANDROID : IOS),
      onAnswer({ how }) {
        if (how !== "ok") return;
        isFirst?.done(performance.now() - isFirst.since);
        isFirst = undefined;
      },
    });
    const stopWatching = rig.watch(gateway);
    const firstAnswers: number[] = [];
    let counted = 0;
    let idle = 0;
    let inHandInAll = 0;
    let duplicatesSoFar = 0;
    while (counted < cycles) {
      await sleep(1_200 + Math.random() * 1_300);
      await gateway.kill();
      const killedAtMs = Date.now();
      const held =
        databaseUrl === undefined ? await heldInFile(rig.directory) : await heldIn(postgres, databaseUrl);
      const owed = owedAt(readSent(rig.sentFile), readReceived(rig.receivedFile), killedAtMs);
      const first = Promise.withResolvers<number>();
      isFirst = { since: gateway.exec(), done: first.resolve };
      const firstMs = await Promise.race([first.promise, sleep(NO_ANSWER_MS).then(() => Infinity)]);
      assert.ok(
        firstMs <= NO_ANSWER_MS,
        `no 2xx came within ${NO_ANSWER_MS} ms after exec:\n${gateway.output()}`,
      );
      firstAnswers.push(firstMs);
      inHandInAll += held.inHand.size;
      // What was in hand has gone out again by now, or will; nothing else may.
      const soFar = balance(readSent(rig.sentFile), readReceived(rig.receivedFile));
      assert.deepEqual(soFar.unexpected, []);
      assert.ok(
        soFar.duplicated <= inHandInAll,
        `${soFar.duplicated} handed over twice, ${inHandInAll} were in hand at the kills`,
      );
      if (owed > 0) counted += 1;
      else idle += 1;
      assert.ok(
        idle <= 2 + cycles * IDLE_CYCLES_ALLOWED,
        "too often nothing was owed at the kill: the run shows nothing",
      );
      options.onCycle?.(
        `  cycle ${String(counted).padStart(3)}: owed ${owed}, waiting ${held.waiting}, in hand ${held.inHand.size}, ` +
          `first 2xx ${firstMs.toFixed(0)} ms, duplicates ${soFar.duplicated - duplicatesSoFar}`,
      );
      duplicatesSoFar = soFar.duplicated;
    }
    await sleep(1_000);
    await load.stop();
    await rig.upstreams.clearRules();
    const result = await rig.settle(gateway, 60_000);
    const scrapes = stopWatching();
    expectKept(result);
    assert.ok(
      result.duplicated <= inHandInAll,
      `${result.duplicated} duplicates, ${inHandInAll} in hand at the kills`,
    );
    assert.ok(scrapes > 0);
    const medianMs = quantile(firstAnswers, 0.5);
    assert.ok(
      medianMs <= FIRST_ANSWER_LIMIT_MS,
      `the first 2xx came ${medianMs} ms after exec, half the time`,
    );
    const states = totalStates(await gateway.scrape());
    assert.ok(states.accepted > 0);
    return (
      `${cycles} kills, ${result.acknowledged} acknowledged, ${states.accepted} promised, lost 0, unexpected 0, ` +
      `duplicated ${result.duplicated} (<= ${inHandInAll} in hand), first 2xx p50 ${medianMs.toFixed(0)} ` +
      `max ${Math.max(...firstAnswers).toFixed(0)} ms, sum closed at ${scrapes} scrapes`
    );
  });
}

const heldSql = (table: string): string => `SELECT id, owner FROM ${table}`;

/** Looks at a copy, so that the gateway finds its files as the crash left them; the copy must be sound (G1). */
async function heldInFile(directory: string): Promise<Held> {
  const copy = join(directory, "copy");
  await rm(copy, { recursive: true, force: true });
  await mkdir(copy);
  for (const end of ["", "-wal"]) {
    await copyFile(join(directory, `gateway.db${end}`), join(copy, `c.db${end}`)).catch(() => {});
  }
  const database = new DatabaseSync(join(copy, "c.db"));
  try {
    assert.equal(Object.values(database.prepare("PRAGMA integrity_check").get() ?? {})[0], "ok");
    return heldOf(database.prepare(heldSql("outbox")).all());
  } finally {
    database.close();
  }
}

async function heldIn(postgres: TestPostgres | undefined, url: string): Promise<Held> {
  const rows = await postgres?.query<{ id: string; owner: string | null }>(url, heldSql("signalbox_outbox"));
  return heldOf(rows ?? []);
}

function heldOf(rows: readonly Readonly<Record<string, unknown>>[]): Held {
  const inHand = rows.filter(({ owner }) => owner !== null).map(({ id }) => String(id));
  return { inHand: new Set(inHand), waiting: rows.length - inHand.length };
}
