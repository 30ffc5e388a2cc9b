import type { Clock } from "../clock.ts";
import type { Devices, Digest, Rejections, Verdict } from "../store/store.ts";
import { orUnknown } from "./lookup.ts";
import type { Rejected } from "./outcome.ts";
import type { PushFacts } from "./push.ts";

/** Without a `pushkey_ts` a new registration of the same token cannot be seen, so the upstream is asked again soon. */
const KEEP_WITHOUT_TIMESTAMP_MS = 24 * 60 * 60 * 1000;

/** What is remembered of a push's device. */
export type Memory = "none" | "dead" | "registered-since";

/** Dead pushkeys: asked before sending, written after a verdict; one registered again since is alive (D7). */
export class RejectionMemory {
  readonly #store: Rejections;
  readonly #devices: Pick<Devices, "removeRejected">;
  readonly #clock: Clock;
  /** How long a verdict is remembered; a reload changes it for those that come. */
  keepMs: number;

  constructor(
    store: { readonly rejections: Rejections; readonly devices: Pick<Devices, "removeRejected"> },
    clock: Clock,
    keepMs: number,
  ) {
    this.#store = store.rejections;
    this.#devices = store.devices;
    this.#clock = clock;
    this.keepMs = keepMs;
  }

  /** Answers without waiting where nothing is known, which is nearly always. */
  recall(app: string, device: Digest, push: PushFacts): Memory | Promise<Memory> {
    const found = this.#store.find(app, device, this.#clock.now());
    if (found === undefined) return "none";
    if (!(found instanceof Promise)) return compare(found, push);
    return orUnknown(found, undefined).then((verdict) => compare(verdict, push));
  }

  /**
   * Remembers an upstream's verdict, and takes the token from the registry. What this gateway can tell by itself it
   * need not remember.
   */
  async remember(app: string, device: Digest, push: PushFacts, outcome: Rejected): Promise<void> {
    if (outcome.reason === "known-dead" || outcome.reason === "invalid-pushkey") return;
    if (outcome.reason === "unknown-app") return;
    const now = this.#clock.now();
    const keepMs =
      push.pushkeyTsMs === undefined ? Math.min(this.keepMs, KEEP_WITHOUT_TIMESTAMP_MS) : this.keepMs;
    const sinceMs = Math.min(outcome.sinceMs ?? now, now);
    await Promise.all([
      this.#store.put(app, device, { sinceMs, keepUntilMs: now + keepMs }),
      this.#devices.removeRejected(device, sinceMs),
    ]);
  }

  /** The upstream took a push for it: it is alive. */
  async forget(app: string, device: Digest): Promise<void> {
    await this.#store.remove(app, device);
  }
}

/** matrix-push 4.3: a registration later than the verdict makes it void. */
function compare(verdict: Verdict | undefined, push: PushFacts): Memory {
  if (verdict === undefined) return "none";
  return push.pushkeyTsMs !== undefined && push.pushkeyTsMs > verdict.sinceMs ? "registered-since" : "dead";
}
