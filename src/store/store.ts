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

/** The state that outlives a process, one small interface a need. All methods reject with `StoreError` only. */
export interface Store {
  /** True when what is written survives the process; then a push may be promised (D6). */
  readonly durable: boolean;
  /** This installation's secret, made at first start and kept in the store: keys every digest (D14). 32 bytes. */
  readonly installationKey: Uint8Array;
  readonly rejections: Rejections;
  readonly dedupe: Dedupe;
  readonly knownApps: KnownApps;
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
