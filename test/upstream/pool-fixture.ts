import { systemClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import type {
  Http2Client,
  Http2PoolOptions,
  Http2Request,
  Http2Result,
} from "../../src/upstream/http2-api.ts";
import { Http2Pool } from "../../src/upstream/http2-pool.ts";
import { testCa, type Listening } from "../support/upstream-server.ts";

/** What a test connection keeps: its number. */
export interface TestState {
  readonly number: number;
}

export type TestPool = Http2Pool<TestState>;
export type TestResult = Http2Result<TestState>;

/** Never aborts. */
export const patient = new AbortController().signal;

const pools: TestPool[] = [];
const servers: Listening[] = [];

/** Starts a pool that trusts the test authority; closed by `closeAll`. */
export type StartPool = (origin: URL, options?: Partial<Http2PoolOptions<TestState>>) => TestPool;

/** Starts pools that speak HTTP/2 through the given client. */
export function poolsOf(client: Http2Client): StartPool {
  return (origin, options) => startPool(origin, { client, ...options });
}

/** A pool on Node's client unless told otherwise. */
export const startPool: StartPool = (origin, options = {}) => {
  let number = 0;
  const pool = new Http2Pool<TestState>({
    origin,
    tls: { ca: testCa },
    createState: () => ({ number: (number += 1) }),
    clock: systemClock,
    log: silentLog,
    connectIntervalMs: 20,
    ...options,
  });
  pools.push(pool);
  return pool;
};

/** Has `closeAll` close this server. */
export function keep<Server extends Listening>(server: Server): Server {
  servers.push(server);
  return server;
}

/** Ends what a test left open: every pool, then every server. */
export async function closeAll(): Promise<void> {
  await Promise.all(pools.splice(0).map((pool) => pool.close(AbortSignal.abort())));
  await Promise.all(servers.splice(0).map((server) => server.close()));
}

/** A request that is told apart by its body. */
export function numbered(number: number): Http2Request<TestState> {
  return {
    path: `/3/device/${number}`,
    headers: (state) => ({ "x-state": String(state.number) }),
    body: String(number),
  };
}

/** Sends `count` requests side by side. */
export function sendMany(pool: TestPool, count: number, from = 0): Promise<TestResult[]> {
  return Promise.all(
    Array.from({ length: count }, (_, index) => pool.request(numbered(from + index), patient)),
  );
}

/** How many results of each kind: `response 200`, `unsent refused`, `unknown aborted`. */
export function tally(results: readonly TestResult[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const result of results) {
    const key = `${result.kind} ${result.kind === "response" ? result.status : result.reason}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

/** Waits until the condition holds; fails the test after five seconds. */
export async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 5000;
  while (!condition()) {
    if (performance.now() > end) throw new Error("the condition did not come true");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
