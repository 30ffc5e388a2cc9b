import type { Clock } from "../clock.ts";
import type { App } from "../core/app.ts";

/** A push whose app was looked up just before the reload has begun by then. */
const GRACE_MS = 5_000;
/** Longer than any answer window and an attempt in it. */
const LIMIT_MS = 40_000;
const LOOK_EVERY_MS = 250;

/** Pushkins that a reload has replaced: they end what they have begun, then they are closed. */
export class Drains {
  readonly #clock: Clock;
  readonly #stopping = new AbortController();
  readonly #underWay = new Set<Promise<void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Waits until nothing of the app's is under way any more, and closes its pushkin. */
  begin(app: App): void {
    const work = this.#drain(app).finally(() => this.#underWay.delete(work));
    this.#underWay.add(work);
  }

  /** How many are not closed yet. */
  get count(): number {
    return this.#underWay.size;
  }

  /** Waits no longer: closes all; each has until the signal aborts for what is under way. */
  async stop(signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => this.#stopping.abort(), { once: true });
    this.#stopping.abort();
    await Promise.allSettled(this.#underWay);
  }

  async #drain({ inFlight, pushkin }: App): Promise<void> {
    const endMs = this.#clock.monotonic() + LIMIT_MS;
    const { signal } = this.#stopping;
    await this.#clock.sleep(GRACE_MS, signal);
    while (!signal.aborted && inFlight.count > 0 && this.#clock.monotonic() < endMs) {
      await this.#clock.sleep(LOOK_EVERY_MS, signal);
    }
    // What the outbox's worker has in hand ends within an attempt's time.
    const limit = new AbortController();
    const cancel = this.#clock.schedule(signal.aborted ? 0 : LIMIT_MS, () => limit.abort());
    await pushkin.close(limit.signal).catch(() => {});
    cancel();
  }
}
