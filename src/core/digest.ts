import { createHmac } from "node:crypto";
import type { Digest } from "../store/store.ts";

/** Names devices and pushes by keyed digests, so that no store, log or metric ever holds a pushkey (D14). */
export class Digests {
  readonly #key: Uint8Array;

  /** @param installationKey this installation's secret; digests of two installations have nothing in common */
  constructor(installationKey: Uint8Array) {
    this.#key = installationKey;
  }

  /** The device that this pushkey is for this configured app. */
  device(app: string, pushkey: string): Digest {
    return this.#digest("device", app, pushkey);
  }

  /**
   * The same push again (matrix-push 5, D9). The app_id is the sender's own, not the configured key: two apps under
   * one glob are two.
   */
  push(appId: string, pushkey: string, dedupeOn: string): Digest {
    return this.#digest("push", appId, pushkey, dedupeOn);
  }

  /** A request that its sender may repeat under a key of his: who he is, where it went, the key, perhaps the body. */
  request(credential: string, path: string, key: string, body?: string): Digest {
    return this.#digest("request", credential, path, key, ...(body === undefined ? [] : [body]));
  }

  /** An event, for log lines. */
  event(eventId: string): Digest {
    return this.#digest("event", eventId);
  }

  #digest(...parts: readonly string[]): Digest {
    // The parts' lengths stand before them, so that no two lists of parts give the same text.
    const text = parts.map((part) => part.length).join(",") + ":" + parts.join("");
    return createHmac("sha256", this.#key).update(text).digest("hex");
  }
}
