/** A 32-byte keyed digest in lower-case hex: what names a device or a push in the store, so that no pushkey does. */
export type Digest = string;

/** What is remembered of a dead pushkey (D7). */
export interface Verdict {
  /** Since when it is dead: the upstream's word for it, else when the verdict came. Milliseconds since 1970. */
  readonly sinceMs: number;
  /** Forgotten after this. Milliseconds since 1970. */
  readonly keepUntilMs: number;
}

/** Dead pushkeys. `app` is the app's key in the configuration. */
export interface Rejections {
  /** The live verdict on this device, if any. Answers without waiting where it surely knows of none. */
  find(app: string, device: Digest, nowMs: number): Verdict | undefined | Promise<Verdict | undefined>;
  /** Remembers; a later call for the same device replaces. Durable when it resolves. */
  put(app: string, device: Digest, verdict: Verdict): Promise<void>;
  /** Forgets: the device is alive. */
  remove(app: string, device: Digest): Promise<void>;
  /** How many live verdicts there are, by app. */
  count(nowMs: number): Promise<ReadonlyMap<string, number>>;
}

/** Delivered pushes that a sender is expected to repeat (D9). */
export interface Dedupe {
  has(key: Digest, nowMs: number): boolean | Promise<boolean>;
  /** Durable when it resolves. */
  put(keys: readonly Digest[], keepUntilMs: number): Promise<void>;
}

/** What is remembered of a configured app. */
export interface KnownApp {
  /** The app's key in the configuration, a glob included. */
  readonly app: string;
  /** Milliseconds since 1970. */
  readonly lastConfiguredAtMs: number;
  /** A push has gone through it. */
  readonly served: boolean;
  /** The fingerprint of credentials, topic and environment with which a send last succeeded (D8). */
  readonly succeededWith?: string;
  /** The guard holds this app's rejections back since then. Milliseconds since 1970. */
  readonly guardTrippedAtMs?: number;
}

/** Apps that were ever configured: so that a removed one is held, and the guard outlives a restart (D8). */
export interface KnownApps {
  all(): Promise<readonly KnownApp[]>;
  /** Writes what is given of the app and leaves the rest as it is; `null` clears. Creates the app when new. */
  update(
    app: string,
    change: {
      readonly lastConfiguredAtMs?: number;
      readonly served?: true;
      readonly succeededWith?: string;
      readonly guardTrippedAtMs?: number | null;
    },
  ): Promise<void>;
  /** Forgets apps last configured before this. */
  forget(configuredBeforeMs: number): Promise<void>;
}

/** A push that is promised and not settled yet (D6, D11), as it is committed. */
export interface OutboxEntry {
  /** The push's id, a UUID. */
  readonly id: string;
  /** The app's key in the configuration. */
  readonly app: string;
  readonly device: Digest;
  /** What makes it a duplicate. One waiting entry has it at most. */
  readonly key?: Digest;
  /** An entry with the same device and slot that waits unclaimed is replaced: a badge replaces a badge (P2). */
  readonly slot?: string;
  /** What attempts need, as JSON; holds content until the push is settled, and is deleted with it (P10). */
  readonly payload: string;
  /** Tries so far. */
  readonly attempts: number;
  /** Not to be claimed sooner than this from now. Milliseconds. */
  readonly dueInMs: number;
  /** Worth nothing after this from now. Milliseconds, above 0. */
  readonly expiresInMs: number;
  /** When it came, by the sender's gateway: the freshest goes first. Milliseconds since 1970. */
  readonly receivedAtMs: number;
}

/** Who holds an entry, and until when nobody else may. */
export interface Lease {
  /** The process, the same for its whole life and no other's. */
  readonly owner: string;
  readonly leaseMs: number;
}

/** An entry that waited until a newer one of its device and slot took its place, or went out: it ended as dropped. */
export interface SupersededEntry {
  readonly id: string;
  readonly attempts: number;
}

/** What an entry became when it was put. */
export type PutResult =
  /** Committed; with a lease, `token` settles it. */
  | {
      readonly kind: "stored";
      readonly token: number;
      /** What it has replaced; absent when that is nothing. */
      readonly superseded?: readonly SupersededEntry[];
    }
  /** An entry with this key waits already: that one is the promise, nothing was written. */
  | { readonly kind: "already-held" }
  /** A newer one of its device and slot waits, which is the promise; nothing was written. */
  | { readonly kind: "superseded" }
  /** The caps do not allow it; nothing was written for this entry. */
  | { readonly kind: "refused" };

/** An entry in the hands of this process. `token` fences: once another has claimed it, this one settles nothing. */
export interface ClaimedEntry extends Omit<OutboxEntry, "dueInMs"> {
  readonly token: number;
  /** How often a process ended, or lost its lease, with this entry in hand. */
  readonly crashes: number;
  /** When it was last put or postponed, by the store's clock, as milliseconds before now. */
  readonly waitedMs: number;
}

/** How a promised push ended (the closed sum of reliability G24). */
export type FinalState = "handed" | "rejected" | "expired" | "dropped";

/** The states of all pushes that one app was ever promised: accepted is the sum of the others. */
export interface OutboxCounts {
  readonly accepted: number;
  readonly handed: number;
  readonly rejected: number;
  readonly expired: number;
  readonly dropped: number;
  readonly pending: number;
  readonly pendingBytes: number;
}

/** How much may wait (reliability 1.3). */
export interface OutboxCaps {
  readonly maxRows: number;
  readonly maxBytes: number;
  /** Rows and bytes of one app. */
  readonly maxAppRows: number;
  readonly maxAppBytes: number;
}

/**
 * Promised pushes. Every time span is measured by the store's own clock, so that replicas whose clocks differ agree
 * (SP10). Counts and rows change in one transaction, so that the sum holds at every moment.
 */
export interface Outbox {
  /**
   * Commits entries, each on its own: flushed when it resolves. With a lease they are this process's own at once, for
   * attempts that are still running. Same order as given.
   */
  put(entries: readonly OutboxEntry[], caps: OutboxCaps, lease?: Lease): Promise<readonly PutResult[]>;
  /** An entry with this key waits. Answers without waiting where it surely knows of none. */
  holds(key: Digest): boolean | Promise<boolean>;
  /**
   * Takes due entries of these apps that nobody holds, the freshest first. An entry whose lease ran out in another
   * process's hands counts a crash.
   * Entries with crashes are only taken by `suspects: true`, one at a time; with `maxCrashes` those alone that have
   * so many at most, the one that this claim finds out counted.
   */
  claim(options: {
    readonly apps: readonly string[];
    readonly limit: number;
    readonly lease: Lease;
    readonly suspects?: boolean;
    readonly maxCrashes?: number;
  }): Promise<readonly ClaimedEntry[]>;
  /** Prolongs what this process holds. Resolves with the ids that it holds no longer. */
  renew(
    held: readonly { readonly id: string; readonly token: number }[],
    lease: Lease,
  ): Promise<readonly string[]>;
  /** Ends entries: row and content are deleted, the state is counted. False where the token is no longer valid. */
  settle(
    ended: readonly { readonly id: string; readonly token: number; readonly state: FinalState }[],
  ): Promise<readonly boolean[]>;
  /**
   * Gives entries back for later, their crashes forgotten: an attempt ended well. False where the token is void;
   * `superseded` where a newer one of its device and slot waits or was handed over: it has ended as dropped.
   */
  postpone(
    later: readonly {
      readonly id: string;
      readonly token: number;
      readonly attempts: number;
      readonly dueInMs: number;
    }[],
  ): Promise<readonly (boolean | "superseded")[]>;
  /**
   * A push of this device and slot that came at `receivedAtMs` has been handed over: older ones must not go after it
   * (P8). Those that wait are ended as dropped, and told; one in somebody's hands expires, so that it is not sent anew
   * should it come back. Durable when it resolves; answers without waiting where it surely knows of none.
   */
  supersede(by: {
    readonly app: string;
    readonly device: Digest;
    readonly slot: string;
    readonly receivedAtMs: number;
  }): undefined | Promise<readonly SupersededEntry[]>;
  /** Ends at most `limit` entries that have expired and that nobody holds. Resolves with how many, by app. */
  expire(limit: number): Promise<ReadonlyMap<string, number>>;
  /** When the next unclaimed entry falls due, in milliseconds from now (0 = is due); undefined when none waits. */
  nextDueInMs(apps: readonly string[]): Promise<number | undefined>;
  counts(): Promise<ReadonlyMap<string, OutboxCounts>>;
  /** When the entry that has waited the longest, or nearly so, came; undefined when none waits. Cheap at any size. */
  oldestReceivedAtMs(): Promise<number | undefined>;
  /** At start, for a store with one process: what a former process held is held no more, and counts a crash. */
  releaseAbandoned(owner: string): Promise<number>;
  /** This owner is gone, a thread that has ended: its leases run out at once. Whoever claims what it held counts a crash. */
  endLeases(owner: string): Promise<void>;
}

/**
 * What a registered token is for: an app's notifications, its calls (iOS has a token of its own for them), or whatever
 * the back end that registered it sends.
 */
export type DeviceKind = "messages" | "calls" | "registry";

/** One token as it is registered. */
export interface DeviceReport {
  readonly kind: DeviceKind;
  /** As it was reported; a glob of the configuration may match it. */
  readonly appId: string;
  /** The token in the one form in which it is sent, so that equal tokens are equal texts. Secret. */
  readonly pushkey: string;
  /** What names app and token everywhere else. */
  readonly device: Digest;
  /** Of APNs: which of Apple's environments; absent = the app's own. */
  readonly sandbox?: boolean;
  /** Of APNs: `<team id>.<bundle id>`, as it was registered. */
  readonly applicationId?: string;
  readonly apnsTopic?: string;
}

/** A device that is registered. Times in milliseconds since 1970. */
export interface RegisteredDevice extends DeviceReport {
  /** The account's id. */
  readonly owner: string;
  /** The reporter's name for one account on one phone; absent for `registry`. */
  readonly selector?: string;
  readonly userAgent?: string;
  readonly firstSeenMs: number;
  /** When it was registered last: a verdict on the token that is older is void. */
  readonly lastSeenMs: number;
}

/** What one request registers. */
export interface DeviceReports {
  readonly owner: string;
  /** Given for `messages` and `calls`. */
  readonly selector?: string;
  readonly userAgent?: string;
  readonly nowMs: number;
  readonly devices: readonly DeviceReport[];
  /** Whether a selector that another owner holds becomes this one's; else the report is refused. */
  readonly mayTakeSelector: boolean;
  /** Beyond it an owner's devices that were registered the longest ago leave. At least 1. */
  readonly maxPerOwner: number;
}

/**
 * Registered devices. A token has one owner: whoever registers it last. Under an owner it may stand more than once, as
 * one phone with several selectors, or with one token for both kinds.
 */
export interface Devices {
  /**
   * Registers all of them or none; durable when it resolves. `messages` and `calls` replace the token of this kind that
   * the owner's selector had; a kind that is not given stays as it is.
   */
  report(reports: DeviceReports): Promise<"stored" | "foreign-selector">;
  /**
   * Deletes those of an owner's devices that fit what is given: the selector, one of the digests, or both. Resolves with how many.
   */
  remove(
    owner: string,
    which: { readonly selector?: string; readonly devices?: readonly Digest[] },
  ): Promise<number>;
  /** The oldest first. */
  ofOwner(owner: string): Promise<readonly RegisteredDevice[]>;
  /** The oldest first. */
  ofSelector(selector: string): Promise<readonly RegisteredDevice[]>;
  /** An upstream has rejected it: deletes it, whosever it is, unless it was registered after `sinceMs`. */
  removeRejected(device: Digest, sinceMs: number): Promise<void>;
  /** How many there are. */
  count(): Promise<number>;
}

/** What became of one push, as far as support may know it: no content, names or pushkeys. One row a push, its latest state. */
export interface PastOutcome {
  /** The push's id, a UUID. */
  readonly push: string;
  /** When it came to this state. Milliseconds since 1970. */
  readonly atMs: number;
  /** The app's key in the configuration; empty when none was found. */
  readonly app: string;
  /** `apns`, `gcm`, …; empty when no app was found. */
  readonly pushkin: string;
  readonly device: Digest;
  readonly event?: Digest;
  /** The id of the request that brought it. */
  readonly request?: string;
  readonly kind: "delivered" | "rejected" | "retryable" | "dropped" | "accepted";
  /** From the closed lists of the core; empty for what needs none. */
  readonly reason: string;
  /** What the upstream answered last. */
  readonly status?: number;
  readonly answer?: string;
  readonly attempts: number;
  /** Nothing is sent after this. Milliseconds since 1970. */
  readonly expiresAtMs: number;
}

/** What became of pushes lately, for `explain`. Nothing depends on it: it is written late and may be lost. */
export interface Outcomes {
  /** Other processes write and look here too. */
  readonly shared: boolean;
  /**
   * Writes states, each over an earlier one of its push; an event or request that is not given stays. Forgets some of
   * the oldest pushes: those beyond `maxRows`, and those last seen before `forgetBeforeMs`.
   */
  put(
    outcomes: readonly PastOutcome[],
    bounds: { readonly maxRows: number; readonly forgetBeforeMs: number },
  ): Promise<void>;
  /** The latest first. A list finds what is about any of its devices. */
  find(
    by: { readonly devices: readonly Digest[] } | { readonly event: Digest } | { readonly id: string },
    limit: number,
  ): Promise<readonly PastOutcome[]>;
}

/** The state that outlives a process, one small interface a need. All methods reject with `StoreError` only. */
export interface Store {
  /** True when what is written survives the process; then a push may be promised (D6). */
  readonly durable: boolean;
  /** This installation's secret, made at first start and kept in the store: keys every digest (D14). 32 bytes. */
  readonly installationKey: Uint8Array;
  readonly rejections: Rejections;
  readonly dedupe: Dedupe;
  readonly knownApps: KnownApps;
  readonly outbox: Outbox;
  readonly devices: Devices;
  readonly outcomes: Outcomes;
  /** Deletes what has expired. Called now and then. Resolves to the number of rows deleted. */
  prune(nowMs: number): Promise<number>;
  /** Flushes and frees. No method may be called afterwards. */
  close(): Promise<void>;
}

/** The store could not do it: a full disk, a lost connection, a corrupt file. Nothing was promised by the call. */
export class StoreError extends Error {
  /** What went wrong, from a closed list, fit for a log. */
  readonly code: "unavailable" | "full" | "corrupt" | "in-use" | "too-new" | "closed" | "internal";

  constructor(code: StoreError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StoreError";
    this.code = code;
  }
}
