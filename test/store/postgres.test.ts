import { randomUUID } from "node:crypto";
import type { Client } from "pg";
import { systemClock } from "../../src/clock.ts";
import type { Clock } from "../../src/clock.ts";
import { memoryOutbox } from "../../src/store/memory-outbox.ts";
import { migrations } from "../../src/store/migrations.ts";
import { openPostgresStore } from "../../src/store/postgres.ts";
import type { PostgresOptions } from "../../src/store/postgres.ts";
import { preparePostgres } from "../../src/store/postgres-schema.ts";
import { parsePostgresUrl } from "../../src/store/postgres-url.ts";
import type { PostgresServer } from "../../src/store/postgres-url.ts";
import type { ClaimedEntry, Outbox, OutboxEntry, Store, SupersededEntry } from "../../src/store/store.ts";
import { digestOf, storeContract } from "../contract/store.contract.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import type { TcpProxy } from "../support/tcp-proxy.ts";

const now = Date.UTC(2026, 10, 20, 12);
const verdict = { sinceMs: now, keepUntilMs: Number.MAX_SAFE_INTEGER };
const caps = { maxRows: 1e6, maxBytes: 2 ** 31, maxAppRows: 1e6, maxAppBytes: 2 ** 31 };
const timeouts = { connectMs: 2000, statementMs: 1500, lockMs: 1000, answerMs: 2000 };

let postgres: TestPostgres;
let url: string;
/** What the stores said of their health: the code, or "well". */
let health: string[];
let warnings: string[];
const stores = new Set<Store>();
const proxies = new Set<TcpProxy>();

beforeAll(async () => {
  postgres = await startPostgres();
}, 60_000);
afterAll(() => postgres.stop());

beforeEach(() => {
  health = [];
  warnings = [];
});
afterEach(async () => {
  await Promise.all([...stores].map((store) => store.close()));
  await Promise.all([...proxies].map((proxy) => proxy.close()));
  stores.clear();
  proxies.clear();
});

/** For a group of tests that want a database of their own each, at `url`. */
function ownDatabase(): void {
  beforeEach(async () => {
    url = await postgres.createDatabase();
  });
  afterEach(async () => {
    await Promise.all([...stores].map((store) => store.close()));
    await postgres.dropDatabases();
  });
}

function serverOf(text: string): PostgresServer {
  const server = parsePostgresUrl(text);
  if ("problem" in server) throw new Error(server.problem);
  return server;
}

async function open(options: Partial<PostgresOptions> & { readonly url?: string } = {}): Promise<Store> {
  const store = await openPostgresStore(serverOf(options.url ?? url), {
    clock: systemClock,
    onHealth: (trouble) => health.push(trouble?.code ?? "well"),
    onWarning: (warning) => warnings.push(warning),
    ...options,
  });
  stores.add(store);
  return store;
}

/** A store whose connections go through a proxy. */
async function openThroughProxy(): Promise<{ store: Store; proxy: TcpProxy }> {
  const proxy = await startTcpProxy(postgres.socketFile);
  proxies.add(proxy);
  const database = new URL(url.replace("@/", "@x/")).pathname;
  const store = await open({
    url: `postgresql://postgres:${postgres.password}@127.0.0.1:${proxy.port}${database}`,
  });
  return { store, proxy };
}

const entry = (name: string, more: Partial<OutboxEntry> = {}): OutboxEntry => ({
  id: randomUUID(),
  app: "app",
  device: digestOf(`device of ${name}`),
  key: digestOf(name),
  payload: JSON.stringify({ name }),
  attempts: 0,
  dueInMs: 0,
  expiresInMs: 60_000,
  receivedAtMs: now,
  ...more,
});

const put = (store: Store, name: string): Promise<void> =>
  store.rejections.put("app", digestOf(name), verdict);
const find = async (store: Store, name: string): Promise<unknown> =>
  store.rejections.find("app", digestOf(name), now);
const lease = (owner: string, leaseMs = 15_000): { owner: string; leaseMs: number } => ({ owner, leaseMs });
const claim = (
  store: Store,
  owner: string,
  leaseMs: number,
  suspects = false,
): ReturnType<Store["outbox"]["claim"]> =>
  store.outbox.claim({ apps: ["app"], limit: 10, lease: lease(owner, leaseMs), suspects });

async function until(condition: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  const end = performance.now() + withinMs;
  let met = await condition();
  while (!met && performance.now() < end) {
    await systemClock.sleep(20);
    met = await condition();
  }
  expect(met).toBe(true);
}

async function timed(call: Promise<unknown>): Promise<{ error: unknown; ms: number }> {
  const start = performance.now();
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { error, ms: performance.now() - start };
}

const works = (store: Store): Promise<boolean> =>
  put(store, "probe").then(
    () => true,
    () => false,
  );
const unavailable = { name: "StoreError", code: "unavailable" };

/** Makes every insert of a verdict fail so often with this SQLSTATE; a sequence counts, since it is not rolled back. */
async function failInserts(sqlState: string, times: number): Promise<void> {
  await postgres.query(
    url,
    `CREATE SEQUENCE failures;
     CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF nextval('failures') <= ${times} THEN RAISE EXCEPTION 'secret text' USING ERRCODE = '${sqlState}'; END IF;
       RETURN NEW;
     END $$;
     CREATE TRIGGER fail BEFORE INSERT ON signalbox_rejections FOR EACH STATEMENT EXECUTE FUNCTION fail()`,
  );
}

describe("the contract", () => {
  let admin: Client;
  let shared: string;
  let schemas = 0;
  beforeAll(async () => {
    shared = await postgres.createDatabase();
    admin = await postgres.connect(shared);
  });
  afterAll(() => postgres.dropDatabases());

  /** A schema is as good as a database of its own, and made in a moment. */
  const openInNewSchema = async (): Promise<Store> => {
    schemas += 1;
    await admin.query(`CREATE SCHEMA s${schemas}`);
    return open({ url: `${shared}&options=-c%20search_path%3Ds${schemas}` });
  };

  storeContract("postgresql", openInNewSchema, {
    advance: (ms) => systemClock.sleep(ms),
    oneProcess: false,
  });
});

describe("one database", () => {
  ownDatabase();

  it("keeps everything and the installation key across a restart", async () => {
    const before = await open();
    await put(before, "device");
    await before.dedupe.put([digestOf("push")], now);
    await before.knownApps.update("app", { lastConfiguredAtMs: now, served: true });
    await before.outbox.put([entry("promised")], caps);
    await before.close();
    const after = await open();
    expect(after.durable).toBe(true);
    expect(after.installationKey).toEqual(before.installationKey);
    expect(await find(after, "device")).toEqual(verdict);
    expect(await after.dedupe.has(digestOf("push"), now)).toBe(true);
    expect(await after.knownApps.all()).toEqual([{ app: "app", lastConfiguredAtMs: now, served: true }]);
    expect(await claim(after, "me", 1000)).toMatchObject([{ payload: '{"name":"promised"}' }]);
    expect(warnings).toEqual([]);
    expect(health).toEqual([]);
  });

  it("shows each replica at once what another wrote", async () => {
    const [one, other] = [await open(), await open()];
    expect(await find(other, "device")).toBeUndefined();
    await put(one, "device");
    await one.dedupe.put([digestOf("push")], now);
    await one.outbox.put([entry("promised")], caps);
    expect(await find(other, "device")).toEqual(verdict);
    expect(await other.dedupe.has(digestOf("push"), now)).toBe(true);
    expect(await other.outbox.holds(digestOf("promised"))).toBe(true);
    expect(await other.outbox.put([entry("promised")], caps)).toEqual([{ kind: "already-held" }]);
    await one.rejections.remove("app", digestOf("device"));
    expect(await find(other, "device")).toBeUndefined();
  });

  it("commits what comes together together: 2,000 puts in few transactions", async () => {
    const store = await open();
    const transactions = async (): Promise<number> => {
      const [row] = await postgres.query<{ n: number }>(url, "SELECT pg_current_xact_id()::text::int AS n");
      return row?.n ?? Number.NaN;
    };
    const before = await transactions();
    await Promise.all(Array.from({ length: 2000 }, (_, i) => store.outbox.put([entry(`${i}`)], caps)));
    expect((await transactions()) - before).toBeLessThan(100);
    expect((await store.outbox.counts()).get("app")).toMatchObject({ accepted: 2000, pending: 2000 });
  });

  it("keeps the order of what is asked about one device without waiting", async () => {
    const store = await open();
    await Promise.all([put(store, "a"), store.rejections.remove("app", digestOf("a")), put(store, "b")]);
    expect(await find(store, "a")).toBeUndefined();
    expect(await find(store, "b")).toEqual(verdict);
  });

  it("fails a call that it cannot write alone, not its neighbours", async () => {
    const store = await open();
    const results = await Promise.allSettled([
      put(store, "a"),
      store.rejections.put("bad \0 name", digestOf("b"), verdict),
      put(store, "c"),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(results[1]).toMatchObject({ reason: { name: "StoreError", code: "internal" } });
    expect(health).toEqual([]);
  });

  it("gives back content byte for byte, NUL and all", async () => {
    const store = await open();
    const payload = '{"a":"\\u0000 \u{1f514} \\ \' \0"}';
    await store.outbox.put([entry("odd", { payload })], caps);
    expect(await claim(store, "me", 1000)).toMatchObject([{ payload }]);
  });

  it("flushes commits whatever the database's default is", async () => {
    await (await open()).close();
    await postgres.query(
      url,
      `ALTER DATABASE ${new URL(url.replace("@/", "@x/")).pathname.slice(1)} SET synchronous_commit = off;
       CREATE TABLE seen (setting TEXT);
       CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL;
       END $$;
       CREATE TRIGGER note AFTER INSERT ON signalbox_rejections FOR EACH STATEMENT EXECUTE FUNCTION note()`,
    );
    await put(await open(), "device");
    expect(await postgres.query(url, "SELECT setting FROM seen")).toEqual([{ setting: "on" }]);
  });

  it("finishes what was asked before it is closed, and leaves no connection", async () => {
    const before = await open();
    const puts = Promise.all(Array.from({ length: 500 }, (_, i) => put(before, `${i}`)));
    await before.close();
    await puts;
    const sessions = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'signalbox'";
    await until(async () => (await postgres.query<{ n: number }>(url, sessions))[0]?.n === 0);
    expect(await (await open()).rejections.count(now)).toEqual(new Map([["app", 500]]));
  });
});

describe("a server that fails", () => {
  ownDatabase();

  it("SP01: loses nothing acknowledged when it crashes under load, and is served again at once", async () => {
    const store = await open();
    const acknowledged: OutboxEntry[] = [];
    let refused = 0;
    let loading = true;
    const load = async (worker: number): Promise<void> => {
      for (let i = 0; loading; i += 1) {
        const next = entry(`${worker}-${i}`);
        const settled = await Promise.allSettled([
          store.outbox.put([next], caps),
          put(store, `${worker}-${i}`),
        ]);
        if (settled[0].status === "fulfilled") acknowledged.push(next);
        else refused += 1;
        if (settled[0].status === "rejected") await systemClock.sleep(5);
      }
    };
    const workers = Array.from({ length: 8 }, (_, i) => load(i));
    for (let round = 0; round < 4; round += 1) {
      await systemClock.sleep(200);
      await postgres.crash();
      const ready = performance.now();
      const before = acknowledged.length;
      await until(() => acknowledged.length > before);
      expect(performance.now() - ready).toBeLessThan(5000);
    }
    loading = false;
    await Promise.all(workers);
    const rows = await postgres.query<{ id: string }>(url, "SELECT id FROM signalbox_outbox");
    const found = new Set(rows.map(({ id }) => id));
    expect(acknowledged.filter(({ id }) => !found.has(id))).toEqual([]);
    expect(acknowledged.length).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(0);
    expect((await store.outbox.counts()).get("app")).toMatchObject({
      accepted: found.size,
      pending: found.size,
    });
    await until(() => health.at(-1) === "well");
    expect(health).toContain("unavailable");
  }, 40_000);

  it("survives a crash while nothing is asked, and says so", async () => {
    const store = await open();
    await put(store, "device");
    await postgres.kill();
    await until(() => health.at(-1) === "unavailable");
    const { error, ms } = await timed(put(store, "other"));
    expect(error).toMatchObject(unavailable);
    expect(ms).toBeLessThan(1000);
    await postgres.start();
    await until(() => health.at(-1) === "well");
    expect(await find(store, "device")).toEqual(verdict);
    expect(health).toEqual(["unavailable", "well"]);
  });

  it("SP03: tells of a commit whose answer was lost as of a failure, and makes the repeat harmless", async () => {
    const { store, proxy } = await openThroughProxy();
    await put(store, "the connection is made");
    await store.outbox.counts();
    proxy.cutBeforeNextAnswer();
    await expect(store.outbox.put([entry("push")], caps)).rejects.toMatchObject(unavailable);
    await until(() => works(store));
    expect(await store.outbox.put([entry("push")], caps)).toEqual([{ kind: "already-held" }]);
    expect((await store.outbox.counts()).get("app")).toMatchObject({ accepted: 1, pending: 1 });
  });

  it("SP04: fails in time and recovers when the server has no connection left", async () => {
    const store = await open();
    const others = [];
    for (;;) {
      const client = await postgres.connect(url).catch(() => undefined);
      if (client === undefined) break;
      others.push(client);
    }
    const { error, ms } = await timed(put(store, "device"));
    expect(error).toMatchObject({ ...unavailable, message: expect.stringContaining("53300") });
    expect(ms).toBeLessThan(4000);
    expect(health).toEqual(["unavailable"]);
    await Promise.all(others.map((client) => client.end()));
    await until(() => works(store));
    await until(() => health.at(-1) === "well");
  });

  it("SP04: keeps no more calls waiting than it may, and none for longer than the deadline", async () => {
    const store = await open({ maxWaiting: 50 });
    await put(store, "device");
    const holder = await postgres.connect(url);
    await holder.query("BEGIN; LOCK TABLE signalbox_rejections IN ACCESS EXCLUSIVE MODE");
    const calls = await Promise.all(Array.from({ length: 60 }, (_, i) => timed(put(store, `${i}`))));
    expect(calls.every(({ error }) => error instanceof Error)).toBe(true);
    expect(calls.filter(({ ms }) => ms < 1000)).toHaveLength(10);
    expect(Math.max(...calls.map(({ ms }) => ms))).toBeLessThan(4000);
    await holder.end();
    await until(() => works(store));
  });

  it("SP05: gives up on a locked table, and works when it is free", async () => {
    const store = await open();
    await put(store, "device");
    const holder = await postgres.connect(url);
    await holder.query("BEGIN; LOCK TABLE signalbox_outbox IN ACCESS EXCLUSIVE MODE");
    const { error, ms } = await timed(store.outbox.put([entry("push")], caps));
    expect(error).toMatchObject({ ...unavailable, message: expect.stringContaining("55P03") });
    expect(ms).toBeLessThan(4000);
    expect(await find(store, "device")).toEqual(verdict);
    expect(health).toEqual(["unavailable"]);
    await holder.query("COMMIT");
    await until(() => health.at(-1) === "well");
    expect(await store.outbox.put([entry("push")], caps)).toMatchObject([{ kind: "stored" }]);
    expect(health).toEqual(["unavailable", "well"]);
  });

  it("SP05: gives up on a statement that takes too long", async () => {
    const store = await open({ timeouts: { statementMs: 200 } });
    const holder = await postgres.connect(url);
    await holder.query("BEGIN; LOCK TABLE signalbox_rejections IN ACCESS EXCLUSIVE MODE");
    const { error, ms } = await timed(put(store, "device"));
    expect(error).toMatchObject({ ...unavailable, message: expect.stringContaining("57014") });
    expect(ms).toBeLessThan(1000);
  });

  it.each(["40001", "40P01"])("SP05: tries again what lost with %s, three times in all", async (sqlState) => {
    const store = await open();
    await failInserts(sqlState, 2);
    await put(store, "device");
    expect(await find(store, "device")).toEqual(verdict);
    expect(health).toEqual([]);
    await postgres.query(url, "ALTER SEQUENCE failures MINVALUE -10 RESTART WITH -2");
    await expect(put(store, "other")).rejects.toMatchObject(unavailable);
  });

  it("SP05: two replicas in a real deadlock both get through", async () => {
    const store = await open();
    await put(store, "a");
    const other = await postgres.connect(url);
    await other.query("BEGIN");
    await other.query("LOCK TABLE signalbox_delivered IN ACCESS EXCLUSIVE MODE");
    // The store's insert takes a row lock on the verdict, then waits for the table; the other one then waits for it.
    await postgres.query(
      url,
      `CREATE FUNCTION wait_for_other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         PERFORM count(*) FROM signalbox_delivered; RETURN NULL;
       END $$;
       CREATE TRIGGER wait_for_other AFTER INSERT OR UPDATE ON signalbox_rejections
         FOR EACH ROW EXECUTE FUNCTION wait_for_other();
       ALTER DATABASE ${new URL(url.replace("@/", "@x/")).pathname.slice(1)} SET deadlock_timeout = '100ms'`,
    );
    const patient = await open({ timeouts: { lockMs: 1400 } });
    const writing = put(patient, "a");
    await systemClock.sleep(50);
    await other.query("UPDATE signalbox_rejections SET since_ms = 1").catch(() => undefined);
    await other.query("ROLLBACK");
    await writing;
    expect(await find(patient, "a")).toEqual(verdict);
  });

  it.each([
    ["25006", "unavailable", "read-only"],
    ["53100", "full", "disk is full"],
    ["53200", "unavailable", "memory"],
    ["58030", "unavailable", "I/O"],
    ["XX001", "corrupt", "damaged"],
    ["42501", "unavailable", "right"],
    ["23514", "internal", "SQLSTATE 23514"],
  ])("SP07: tells %s as %s, without the server's own text", async (sqlState, code, words) => {
    const store = await open();
    await failInserts(sqlState, 1);
    const error: unknown = await put(store, "device").catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: "StoreError", code, message: expect.stringContaining(words) });
    expect(JSON.stringify(error) + String(error)).not.toContain("secret");
    await until(() => works(store));
    expect(health[0]).toBe(code === "internal" ? undefined : code);
  });

  it("SP07: says that a database is read-only until it is not", async () => {
    const store = await open();
    await put(store, "device");
    const name = new URL(url.replace("@/", "@x/")).pathname.slice(1);
    const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'signalbox'`;
    await postgres.query(url, `ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    await postgres.query(url, end);
    await until(async () => {
      const error: unknown = await put(store, "device").catch((reason: unknown) => reason);
      // A session that was just being made when the others were ended does not know of the setting.
      if (error === undefined) await postgres.query(url, end);
      return error instanceof Error && error.message.includes("25006");
    });
    expect(await find(store, "device")).toEqual(verdict);
    await postgres.query(url.replace(name, "postgres"), `ALTER DATABASE ${name} RESET ALL`);
    await until(() => health.at(-1) === "well");
    expect(await works(store)).toBe(true);
  });

  it("SP07: goes on when an operator ends its sessions", async () => {
    const store = await open();
    await Promise.all([put(store, "a"), find(store, "b"), store.outbox.counts()]);
    await postgres.query(
      url,
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'signalbox'",
    );
    await until(() => works(store));
  });

  it("SP06: ends calls in time on connections that went dead, and connects anew", async () => {
    const { store, proxy } = await openThroughProxy();
    await put(store, "device");
    proxy.stall(true);
    const { error, ms } = await timed(put(store, "lost"));
    expect(error).toMatchObject(unavailable);
    expect(ms).toBeLessThan(4000);
    // Once it is known, nobody waits for it.
    await until(async () => (await timed(put(store, "lost too"))).ms < 500);
    proxy.resume();
    await until(() => health.at(-1) === "well");
    expect(await works(store)).toBe(true);
  });
});

describe("replicas", () => {
  ownDatabase();

  it("SP08, SP09: what one held goes to another when its lease ends, and the first one's token counts no more", async () => {
    const [one, other] = [await open(), await open()];
    await one.outbox.put([entry("push")], caps);
    const [first] = await claim(one, "one", 300);
    expect(first).toMatchObject({ crashes: 0 });
    expect(await claim(other, "other", 300)).toEqual([]);
    expect(await claim(other, "other", 300, true)).toEqual([]);
    expect(await other.outbox.releaseAbandoned("other")).toBe(0);
    await until(async () => (await other.outbox.nextDueInMs(["app"])) === 0);
    expect(await claim(other, "other", 15_000)).toEqual([]);
    const [second] = await claim(other, "other", 15_000, true);
    expect(second).toMatchObject({ id: first?.id, crashes: 1 });
    const id = first?.id ?? "";
    const stale = { id, token: first?.token ?? 0 };
    expect(await one.outbox.settle([{ ...stale, state: "handed" }])).toEqual([false]);
    expect(await one.outbox.postpone([{ ...stale, attempts: 1, dueInMs: 0 }])).toEqual([false]);
    expect(await one.outbox.renew([stale], lease("one"))).toEqual([id]);
    expect(await other.outbox.renew([{ id, token: second?.token ?? 0 }], lease("other"))).toEqual([]);
    expect(await other.outbox.settle([{ id, token: second?.token ?? 0, state: "handed" }])).toEqual([true]);
    expect((await one.outbox.counts()).get("app")).toMatchObject({ accepted: 1, handed: 1, pending: 0 });
  });

  it("SP08: a lease that is renewed does not end", async () => {
    const [one, other] = [await open(), await open()];
    const [stored] = await one.outbox.put([entry("push")], caps, lease("one", 300));
    if (stored?.kind !== "stored") throw new Error("not stored");
    const id = (await postgres.query<{ id: string }>(url, "SELECT id FROM signalbox_outbox"))[0]?.id ?? "";
    for (let i = 0; i < 5; i += 1) {
      await systemClock.sleep(100);
      expect(await one.outbox.renew([{ id, token: stored.token }], lease("one", 300))).toEqual([]);
      expect(await claim(other, "other", 300, true)).toEqual([]);
    }
    expect(await one.outbox.settle([{ id, token: stored.token, state: "handed" }])).toEqual([true]);
  });

  it("releases at a start only what nobody holds any more", async () => {
    const [one, other] = [await open(), await open()];
    await one.outbox.put([entry("a")], caps, lease("one", 100));
    await one.outbox.put([entry("b")], caps, lease("one", 60_000));
    await until(async () => (await other.outbox.nextDueInMs(["app"])) === 0);
    expect(await other.outbox.releaseAbandoned("other")).toBe(1);
    const [suspect] = await claim(other, "other", 1000, true);
    expect(suspect).toMatchObject({ payload: '{"name":"a"}', crashes: 1 });
  });

  it("gives back what was claimed when nobody waited for it any more", async () => {
    const patient = { lockMs: 20_000, statementMs: 20_000, answerMs: 20_000 };
    const [hasty, other] = [await open({ deadlineMs: 1000, timeouts: patient }), await open()];
    await other.outbox.put([entry("push")], caps);
    // Its connection is made, so that nothing but the lock keeps its claim.
    await hasty.outbox.counts();
    const holder = await postgres.connect(url);
    await holder.query("BEGIN; LOCK TABLE signalbox_outbox IN EXCLUSIVE MODE");
    const claimed = timed(claim(hasty, "hasty", 60_000));
    const waits =
      "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%signalbox_outbox%'";
    await until(async () => (await postgres.query(url, waits)).length === 1);
    expect((await claimed).error).toMatchObject(unavailable);
    await holder.query("COMMIT");
    // The put used one token up and the claim that nobody waited for another.
    const row = "SELECT token::int, owner FROM signalbox_outbox";
    await until(async () => {
      const [given] = await postgres.query<{ token: number; owner: string | null }>(url, row);
      return given?.token === 2 && given.owner === null;
    });
    expect(await claim(other, "other", 60_000)).toMatchObject([{ token: 3, crashes: 0 }]);
  });

  it("never gives one entry to two, and one key to one of many", async () => {
    const replicas = await Promise.all(Array.from({ length: 4 }, () => open()));
    const results = await Promise.all(
      replicas.flatMap((store) =>
        Array.from({ length: 100 }, (_, i) => store.outbox.put([entry(`${i}`)], caps)),
      ),
    );
    expect(results.filter(([result]) => result?.kind === "stored")).toHaveLength(100);
    const claimed = await Promise.all(
      replicas.flatMap((store, i) => Array.from({ length: 10 }, () => claim(store, `${i}`, 15_000))),
    );
    const ids = claimed.flat().map(({ id }) => id);
    expect(ids.length).toBeGreaterThan(50);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("keeps the counts whole when replicas put, settle and expire at the same time", async () => {
    const replicas = await Promise.all(Array.from({ length: 3 }, () => open()));
    const small = { ...caps, maxAppRows: 40 };
    await Promise.all(
      replicas.map(async (store, replica) => {
        for (let round = 0; round < 15; round += 1) {
          const puts = Array.from({ length: 10 }, (_, i) =>
            entry(`${replica} ${round} ${i}`, { app: `app ${i % 3}`, expiresInMs: i === 0 ? 1 : 60_000 }),
          );
          await store.outbox.put(puts, small);
          const held = await store.outbox.claim({
            apps: ["app 0", "app 1", "app 2"],
            limit: 8,
            lease: lease(`${replica}`),
          });
          await Promise.all(
            held.map(({ id, token }, i) =>
              i % 4 === 0
                ? store.outbox.postpone([{ id, token, attempts: 1, dueInMs: 0 }])
                : store.outbox.settle([{ id, token, state: i % 2 === 0 ? "handed" : "dropped" }]),
            ),
          );
          await store.outbox.expire(3);
        }
      }),
    );
    const counts = await replicas[0]?.outbox.counts();
    const rows = await postgres.query<{ app: string; n: number; bytes: number }>(
      url,
      "SELECT app, count(*)::int AS n, sum(bytes)::int AS bytes FROM signalbox_outbox GROUP BY app",
    );
    expect(counts?.size).toBe(3);
    for (const [app, { accepted, handed, rejected, expired, dropped, pending, pendingBytes }] of counts ??
      []) {
      expect(accepted).toBe(handed + rejected + expired + dropped + pending);
      const found = rows.find((row) => row.app === app);
      expect({ pending, pendingBytes }).toEqual({ pending: found?.n ?? 0, pendingBytes: found?.bytes ?? 0 });
      expect(pending).toBeLessThanOrEqual(40);
    }
  });

  it("SP10: leases and expiry go by the server's clock, not by a replica's", async () => {
    const skewed: Clock = { ...systemClock, now: () => systemClock.now() + 300_000 };
    const [behind, ahead] = [await open(), await open({ clock: skewed })];
    await behind.outbox.put([entry("push")], caps, lease("behind", 60_000));
    await behind.outbox.put([entry("later", { dueInMs: 30_000 })], caps);
    expect(await ahead.outbox.expire(10)).toEqual(new Map());
    expect(await claim(ahead, "ahead", 1000)).toEqual([]);
    expect(await claim(ahead, "ahead", 1000, true)).toEqual([]);
    expect(await ahead.outbox.releaseAbandoned("ahead")).toBe(0);
    const dueInMs = (await ahead.outbox.nextDueInMs(["app"])) ?? 0;
    expect(dueInMs).toBeGreaterThan(25_000);
    expect(dueInMs).toBeLessThanOrEqual(30_000);
  });
});

describe("the outbox beside the one in memory", () => {
  ownDatabase();

  /** Always the same numbers in [0, 1): mulberry32. */
  function random(seed: number): () => number {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  const inOrder = (ended: readonly SupersededEntry[] | undefined): readonly SupersededEntry[] =>
    (ended ?? []).toSorted((a, b) => (a.id < b.id ? -1 : 1));

  it.each([1, 2, 3])("does the same in 300 random steps (%i)", async (seed) => {
    const next = random(seed);
    const below = (end: number): number => Math.floor(next() * end);
    const pair = [(await open()).outbox, memoryOutbox(systemClock, () => undefined)] as const;
    const small = { maxRows: 25, maxBytes: 2500, maxAppRows: 15, maxAppBytes: 1500 };
    /** The tokens of both, by the entry's id; given up ones stay, as what a paused process would still hold. */
    const held: { readonly id: string; readonly tokens: readonly [number, number] }[] = [];
    const seen = { put: new Set<string>(), claimed: 0, settled: 0, postponed: 0, expired: 0, superseded: 0 };
    const both = async <Result>(
      act: (outbox: Outbox, i: 0 | 1) => Result,
    ): Promise<[Awaited<Result>, Awaited<Result>]> => [await act(pair[0], 0), await act(pair[1], 1)];
    const some = (): typeof held => held.filter(() => next() < 0.3).slice(0, 5);

    for (let step = 0; step < 300; step += 1) {
      const kind = below(7);
      if (kind <= 1) {
        const brief = next() < 0.15;
        const entries = Array.from({ length: 1 + below(4) }, () =>
          entry("", {
            app: `app ${below(2)}`,
            device: digestOf(`device ${below(3)}`),
            key: digestOf(`key ${below(60)}`),
            ...(next() < 0.4 ? { slot: `slot ${below(2)}` } : {}),
            payload: "x".repeat(below(200)),
            dueInMs: next() < 0.2 ? 600_000 : 0,
            expiresInMs: brief ? 1 : 1_200_000,
            receivedAtMs: now + step * 10 + below(40),
          }),
        ).map((each, i) => ({ ...each, receivedAtMs: each.receivedAtMs * 10 + i }));
        const owned = next() < 0.3 ? lease("me", 600_000) : undefined;
        const [real, model] = await both((outbox) => outbox.put(entries, small, owned));
        const told = (results: typeof real): unknown =>
          results.map((each) => [each.kind, inOrder("superseded" in each ? each.superseded : undefined)]);
        expect(told(real)).toEqual(told(model));
        real.forEach((each, i) => {
          const other = model[i];
          seen.put.add(each.kind);
          if (owned !== undefined && each.kind === "stored" && other?.kind === "stored")
            held.push({ id: entries[i]?.id ?? "", tokens: [each.token, other.token] });
        });
        // Both clocks have passed what lives for a millisecond.
        if (brief) await systemClock.sleep(4);
      } else if (kind <= 3) {
        const options = {
          apps: ["app 0", "app 1"].slice(below(2)),
          limit: 1 + below(4),
          lease: lease("me", 600_000),
        };
        const [real, model] = await both((outbox) => outbox.claim(options));
        const comparable = (entries: readonly ClaimedEntry[]): unknown =>
          entries.map(({ token: _token, expiresInMs: _left, waitedMs: _waited, ...rest }) => rest);
        expect(comparable(real)).toEqual(comparable(model));
        real.forEach((each, i) => held.push({ id: each.id, tokens: [each.token, model[i]?.token ?? 0] }));
        seen.claimed += real.length;
      } else if (kind === 4) {
        const ended = some().map((each) => ({
          ...each,
          state: (["handed", "rejected", "dropped"] as const)[below(3)] ?? "handed",
        }));
        const [real, model] = await both((outbox, i) =>
          outbox.settle(ended.map(({ id, tokens, state }) => ({ id, token: tokens[i], state }))),
        );
        expect(real).toEqual(model);
        seen.settled += real.filter(Boolean).length;
      } else if (kind === 5) {
        const later = some().map((each) => ({
          ...each,
          attempts: below(9),
          dueInMs: next() < 0.5 ? 0 : 600_000,
        }));
        const [real, model] = await both((outbox, i) =>
          outbox.postpone(later.map(({ tokens, ...rest }) => ({ ...rest, token: tokens[i] }))),
        );
        expect(real).toEqual(model);
        seen.postponed += real.filter(Boolean).length;
      } else {
        const handedOver = {
          app: `app ${below(2)}`,
          device: digestOf(`device ${below(3)}`),
          slot: `slot ${below(2)}`,
          receivedAtMs: (now + step * 10) * 10,
        };
        const [ended, endedModel] = await both((outbox) => outbox.supersede(handedOver));
        expect(inOrder(ended)).toEqual(inOrder(endedModel));
        seen.superseded += ended?.length ?? 0;
        const [expired, expiredModel] = await both((outbox) => outbox.expire(100));
        expect(expired).toEqual(expiredModel);
        seen.expired += expired.size;
        const [due, dueModel] = await both((outbox) => outbox.nextDueInMs(["app 0"]));
        expect(due === undefined ? due : due < 300_000).toEqual(
          dueModel === undefined ? dueModel : dueModel < 300_000,
        );
        const key = digestOf(`key ${below(60)}`);
        const [holds, holdsModel] = await both((outbox) => outbox.holds(key));
        expect(holds).toBe(holdsModel);
        const lost = some();
        const [renewed, renewedModel] = await both((outbox, i) =>
          outbox.renew(
            lost.map(({ id, tokens }) => ({ id, token: tokens[i] })),
            lease("me", 600_000),
          ),
        );
        expect(renewed).toEqual(renewedModel);
      }
      const [counts, countsModel] = await both((outbox) => outbox.counts());
      expect(counts).toEqual(countsModel);
    }
    for (const kind of ["already-held", "refused", "stored"]) expect(seen.put).toContain(kind);
    expect(seen.superseded).toBeGreaterThan(0);
    for (const times of [seen.claimed, seen.settled, seen.postponed, seen.expired])
      expect(times).toBeGreaterThan(2);
  });
});

describe("the schema", () => {
  ownDatabase();

  const extra = {
    name: "a step of the next version",
    sqlite: "",
    postgres:
      "ALTER TABLE signalbox_outbox ADD COLUMN priority INTEGER; CREATE TABLE signalbox_next (x INTEGER)",
  };
  const schemaNumber = async (): Promise<string | undefined> =>
    (
      await postgres.query<{ value: string }>(
        url,
        "SELECT convert_from(value, 'UTF8') AS value FROM signalbox_meta WHERE name = 'schema'",
      )
    )[0]?.value;
  const isEmpty = async (): Promise<boolean> =>
    (
      await postgres.query<{ n: number }>(
        url,
        "SELECT count(*)::int AS n FROM pg_class WHERE relnamespace = 'public'::regnamespace",
      )
    )[0]?.n === 0;

  it("SP11: is made once when replicas start at the same time", async () => {
    const replicas = await Promise.all(Array.from({ length: 5 }, () => open()));
    expect(
      new Set(replicas.map(({ installationKey }) => Buffer.from(installationKey).toString("hex"))).size,
    ).toBe(1);
    expect(await schemaNumber()).toBe(String(migrations.length));
  });

  it("SP11: is whole or not there when a migration fails or is killed in the middle", async () => {
    const broken = { ...extra, postgres: `${extra.postgres}; SELECT no_such_function()` };
    await expect(preparePostgres(serverOf(url), timeouts, [...migrations, broken])).rejects.toMatchObject(
      unavailable,
    );
    expect(await isEmpty()).toBe(true);
    const slow = { ...extra, postgres: `${extra.postgres}; SELECT pg_sleep(30)` };
    const killed = preparePostgres(serverOf(url), timeouts, [...migrations, slow]).catch(
      (error: unknown) => error,
    );
    const kill = `SELECT pg_terminate_backend(pid) AS done FROM pg_stat_activity
                  WHERE datname = current_database() AND query LIKE '%pg_sleep(30)' AND pid <> pg_backend_pid()`;
    await until(async () => (await postgres.query(url, kill)).length > 0);
    expect(await killed).toMatchObject(unavailable);
    expect(await isEmpty()).toBe(true);
    await put(await open(), "device");
  });

  it("SP12: a newer one is refused at a start, and leaves a running older replica working", async () => {
    const older = await open();
    await put(older, "device");
    await preparePostgres(serverOf(url), timeouts, [...migrations, extra]);
    await expect(open()).rejects.toMatchObject({ name: "StoreError", code: "too-new" });
    expect(await older.outbox.put([entry("push")], caps)).toMatchObject([{ kind: "stored" }]);
    const [claimed] = await claim(older, "older", 1000);
    expect(
      await older.outbox.settle([{ id: claimed?.id ?? "", token: claimed?.token ?? 0, state: "handed" }]),
    ).toEqual([true]);
    expect(await find(older, "device")).toEqual(verdict);
  });

  it("lies where the URL's search_path says", async () => {
    await postgres.query(url, "CREATE SCHEMA gateway");
    const store = await open({ url: `${url}&options=-c%20search_path%3Dgateway` });
    expect(await store.outbox.put([entry("push")], caps)).toMatchObject([{ kind: "stored" }]);
    expect(await isEmpty()).toBe(true);
  });
});

describe("a database that cannot be the store", () => {
  ownDatabase();

  it("is refused when the password is wrong, which is not repeated", async () => {
    const wrong = url.replace(postgres.password, "hunter2-secret");
    const error: unknown = await open({ url: wrong }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ ...unavailable, message: expect.stringContaining("28P01") });
    const { stack, message, cause } = error as Error;
    expect([stack, message, JSON.stringify(cause)].join()).not.toContain("hunter2");
  });

  it.each([
    ["nobody listens", "postgresql://u:hunter2@127.0.0.1:1/d", "ECONNREFUSED"],
    ["there is no socket", "postgresql://u:hunter2@/d?host=/nonexistent", "ENOENT"],
    ["the CA file is missing", "postgresql://u:hunter2@h/d?sslrootcert=/nonexistent", "sslrootcert"],
  ])("is refused when %s", async (_, wrong, words) => {
    const error: unknown = await open({ url: wrong }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ ...unavailable, message: expect.stringContaining(words) });
    expect((error as Error).message).not.toContain("hunter2");
  });

  it("is refused when it does not exist", async () => {
    await expect(open({ url: url.replace(/test_\d+/, "nowhere") })).rejects.toMatchObject({
      ...unavailable,
      message: expect.stringContaining("3D000"),
    });
  });

  it("is refused when its key is damaged", async () => {
    await (await open()).close();
    await postgres.query(url, "UPDATE signalbox_meta SET value = 'x' WHERE name = 'installation_key'");
    await expect(open()).rejects.toMatchObject({ name: "StoreError", code: "corrupt" });
  });
});

it("warns of a server that does not flush", async () => {
  const careless = await startPostgres({ fsync: false });
  try {
    await (await open({ url: await careless.createDatabase() })).close();
  } finally {
    await careless.stop();
  }
  expect(warnings).toEqual([expect.stringContaining("fsync=off")]);
}, 30_000);
