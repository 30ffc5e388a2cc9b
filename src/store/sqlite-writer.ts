import { parentPort, workerData, type MessagePort } from "node:worker_threads";
import { systemClock } from "../clock.ts";
import { bloomBytes, createBloom } from "./bloom.ts";
import type { Bloom } from "./bloom.ts";
import type { Connection } from "./sqlite-connection.ts";
import { openDatabase } from "./sqlite-database.ts";
import type { Database, Done } from "./sqlite-database.ts";
import { toStoreError } from "./sqlite-error.ts";
import { lockInstance } from "./sqlite-lock.ts";
import type { Answer, Failure, FromWriter, ToWriter, WriterData } from "./sqlite-messages.ts";
import { run, writes } from "./sqlite-operations.ts";
import type { Request } from "./sqlite-operations.ts";
import { StoreError } from "./store.ts";

// The store's writer thread. A turn takes everything that waits: reads are answered first, then all writes go into one
// transaction and are answered after its commit (group commit), however slow the disk's flush is.

/** The outbox's filter is emptied, when nothing waits, after this many digests: it would say "maybe" to more and more. */
const filterKeys = 200_000;
/** How often the file is looked at, and while writing fails, how often it is tried again. */
const checkEveryMs = 1000;

const data = workerData as WriterData;
const port = parentPort;
if (port === null) throw new Error("sqlite-writer.ts is started as a worker thread");

/** A thread that asks: the one that started the writer, and those that it has seated. */
interface Asker {
  readonly port: MessagePort;
  readonly abandonedThrough: BigInt64Array;
  /** Its thread has ended: nobody waits for its requests. */
  gone: boolean;
}

/** Requests that arrived together, from one thread. */
interface Asked {
  readonly asker: Asker;
  readonly request: Request;
}

const failureOf = ({ code, message }: StoreError): Failure => ({ code, message });
const askers = new Set<Asker>();
const starter: Asker = { port, abandonedThrough: new BigInt64Array(data.abandonedThrough), gone: false };
const post = (message: FromWriter, to: Asker = starter): void => to.port.postMessage(message);

const outboxFilter = createBloom(data.outboxFilter);
let keysInFilter = 0;

let waiting: Asked[] = [];
let turnIsDue = false;
let closing = false;
/** What writing failed with last; undefined while it works. */
let trouble: StoreError | undefined;

const healthMessage = (): FromWriter => ({
  kind: "health",
  ...(trouble === undefined ? {} : { failure: failureOf(trouble) }),
});

function setTrouble(now: StoreError | undefined): void {
  if (now?.code === trouble?.code && now?.message === trouble?.message) return;
  trouble = now;
  for (const asker of askers) post(healthMessage(), asker);
}

/** One message to each of those who asked. */
function answer(asked: readonly Asked[], done: readonly Done<unknown>[]): void {
  const answers = new Map<Asker, Answer[]>();
  for (const [i, { asker, request }] of asked.entries()) {
    const { id } = request;
    const result = done[i];
    const one: Answer =
      result !== undefined && "value" in result
        ? { id, value: result.value }
        : { id, failure: failureOf(result?.error ?? toStoreError(undefined, "no result")) };
    const others = answers.get(asker);
    if (others === undefined) answers.set(asker, [one]);
    else others.push(one);
  }
  for (const [asker, own] of answers) post({ kind: "answers", answers: own }, asker);
}

const work =
  ({ request }: Asked) =>
  (connection: Connection): unknown =>
    run(connection, request.name, request.args);

/** Before the commit, so that whoever has the answer finds the key, or the device that has a slot. */
function addKeys({ request: { name, args } }: Asked): void {
  if (name !== "outboxPut") return;
  for (const { device, key, slot } of args.entries) {
    for (const digest of [key, slot === undefined ? undefined : device]) {
      if (digest === undefined) continue;
      outboxFilter.add(digest);
      keysInFilter += 1;
    }
  }
}

/** Between turns: nothing is half done. */
function tidyFilter(database: Database): void {
  if (keysInFilter < filterKeys) return;
  const waits = database.read((db) => db.get("SELECT 1 AS waits FROM outbox LIMIT 1") !== undefined);
  if (!("value" in waits) || waits.value) return;
  outboxFilter.clear();
  keysInFilter = 0;
}

function turn(database: Database): void {
  turnIsDue = false;
  const batch = waiting;
  waiting = [];
  const isAbandoned = ({ asker, request }: Asked): boolean =>
    asker.gone || request.id <= Number(Atomics.load(asker.abandonedThrough, 0));
  const [unwanted, wanted]: [Asked[], Asked[]] = [[], []];
  for (const each of batch) (isAbandoned(each) ? unwanted : wanted).push(each);
  const undone = { error: new StoreError("unavailable", "left undone: nobody waits for it any more") };
  answer(
    unwanted,
    unwanted.map(() => undone),
  );
  const reading = wanted.filter(({ request }) => !writes(request));
  answer(
    reading,
    reading.map((each) => database.read(work(each))),
  );
  const writing = wanted.filter(({ request }) => writes(request));
  if (writing.length === 0) return;
  writing.forEach(addKeys);
  const done = database.commit(writing.map(work));
  answer(writing, done);
  // "internal" is one request's own fault and says nothing about the database.
  const failed = done.find((result) => "error" in result && result.error.code !== "internal");
  setTrouble(failed !== undefined && "error" in failed ? failed.error : undefined);
}

function check(database: Database): void {
  if (closing) return;
  setTrouble(trouble === undefined ? database.fileProblem() : database.probe());
  tidyFilter(database);
  systemClock.schedule(checkEveryMs, () => check(database));
}

/** Everything on disk that might be asked for, so that the other side need not ask for the rest. */
function fillFilters(connection: Connection): void {
  // As text and no longer than the filter looks: a million blobs would be a million allocations outside the heap.
  const fill = (filter: Bloom, column: string, from: string): number => {
    let digests = 0;
    for (const { digest } of connection.iterate(
      `SELECT hex(substr(${column}, 1, ${bloomBytes})) AS digest FROM ${from}`,
    )) {
      if (typeof digest !== "string") continue;
      filter.add(digest);
      digests += 1;
    }
    return digests;
  };
  fill(createBloom(data.rejectionFilter), "device", "rejections");
  fill(createBloom(data.dedupeFilter), "dedupe_key", "delivered");
  keysInFilter =
    fill(outboxFilter, "dedupe_key", "outbox WHERE dedupe_key IS NOT NULL") +
    fill(outboxFilter, "device", "outbox WHERE slot IS NOT NULL");
}

function serve(database: Database, unlock: () => void): void {
  const finish = (): void => {
    if (turnIsDue) turn(database);
    database.close();
    unlock();
    for (const asker of askers) asker.port.close();
  };
  const ask = (asker: Asker, requests: readonly Request[]): void => {
    for (const request of requests) waiting.push({ asker, request });
    if (turnIsDue) return;
    turnIsDue = true;
    // Not at once: everything else that has arrived by then goes into the same commit.
    setImmediate(() => {
      if (turnIsDue) turn(database);
    });
  };
  const seat = (theirs: MessagePort, abandonedThrough: SharedArrayBuffer): void => {
    const asker: Asker = { port: theirs, abandonedThrough: new BigInt64Array(abandonedThrough), gone: false };
    askers.add(asker);
    // Its thread has ended; what it asked for last was answered to nobody.
    theirs.on("close", () => {
      asker.gone = true;
      askers.delete(asker);
    });
    theirs.on("message", (message: ToWriter) => {
      if (closing) return;
      if (message.kind === "requests") ask(asker, message.requests);
      if (message.kind !== "close") return;
      if (turnIsDue) turn(database);
      theirs.close();
    });
    if (trouble !== undefined) post(healthMessage(), asker);
  };
  askers.add(starter);
  port?.on("message", (message: ToWriter) => {
    if (closing) return;
    if (message.kind === "requests") ask(starter, message.requests);
    else if (message.kind === "seat") seat(message.port, message.abandonedThrough);
    else {
      closing = true;
      finish();
    }
  });
}

try {
  const unlock = lockInstance(data.file);
  try {
    const database = openDatabase(data.file, data);
    fillFilters(database.connection());
    serve(database, unlock);
    post({ kind: "ready", installationKey: database.installationKey });
    systemClock.schedule(checkEveryMs, () => check(database));
  } catch (error) {
    unlock();
    throw error;
  }
} catch (error) {
  post({ kind: "refused", failure: failureOf(toStoreError(error, `cannot open ${data.file}`)) });
}
