import type { Digest } from "../store/store.ts";
import type { LatestTimes } from "./latest-by-slot.ts";
import type { Settled } from "./outcome.ts";
import type { SharedProbe } from "./circuit.ts";
import type { MakeBuckets } from "./token-buckets.ts";

/** What another thread says of a push that it is sending. */
export interface AnswerElsewhere {
  readonly settled: Settled;
  /** Of the push that was sent there: a verdict does not hold for a device registered later. */
  readonly pushkeyTsMs?: number;
}

/**
 * Which thread is sending the push with a key, and what was delivered or promised by any of them. What it says is as
 * true as what one thread knows of itself, as long as there is room; when there is none it knows nothing.
 */
export interface PushClaims {
  /**
   * Takes a push, unless it is delivered already or another thread has it, of which it gives the index. To be followed
   * by one `release`, as often as it was taken.
   */
  take(key: Digest): "ours" | "delivered" | number;
  release(key: Digest): void;
  /** This thread has it. */
  isOurs(key: Digest): boolean;
  /** @param untilMs how long it is remembered, milliseconds since 1970 */
  delivered(key: Digest, untilMs: number): void;
  isDelivered(key: Digest): boolean;
  promised(key: Digest): void;
  isPromised(key: Digest): boolean;
  /**
   * What the thread that has it says of it, within so many milliseconds as if the caller had asked there; undefined
   * when it has it no longer, and all is to be looked up anew.
   */
  answerFrom(thread: number, key: Digest, withinMs: number): Promise<AnswerElsewhere | undefined>;
}

/** What the core of one of several threads has in common with the others. */
export interface CoreShare {
  readonly threads: number;
  /** Leases are this thread's under this name, no other's, new at each start. */
  readonly owner: string;
  /** The first thread takes over what a former process held. */
  readonly isFirst: boolean;
  /** One thread alone tries what was in hand at a crash, so that what crashes it is found out by itself. */
  readonly triesSuspects: boolean;
  readonly claims: PushClaims;
  readonly latest: LatestTimes;
  readonly makeBuckets: MakeBuckets;
  probeOf(app: string, host: string): SharedProbe;
  /**
   * A claim has found an entry that was in somebody's hands. Where another thread is still at it, that one ends it by
   * this token, and it is true once it has; until then the lease is to be renewed here. Else false.
   */
  handBack(id: string, token: number): Promise<boolean>;
}
