import { createHash, hash } from "node:crypto";
import type { Digest } from "../store/store.ts";

/** SHA-256 works on blocks of so many bytes and gives so many (FIPS 180-4). */
const BLOCK_BYTES = 64;
const HASH_BYTES = 32;
/** Room for the usual text; a longer one gets its own. */
const SCRATCH_BYTES = 4096;

/** Names devices and pushes by keyed digests, so that no store, log or metric ever holds a pushkey (D14). */
export class Digests {
  /** The key's inner block, and after it the text (RFC 2104). */
  readonly #inner: Buffer;
  /** The key's outer block, and after it the inner hash. */
  readonly #outer: Buffer;

  /** @param installationKey this installation's secret; digests of two installations have nothing in common */
  constructor(installationKey: Uint8Array) {
    const block = Buffer.alloc(BLOCK_BYTES);
    const key =
      installationKey.length > BLOCK_BYTES
        ? createHash("sha256").update(installationKey).digest()
        : installationKey;
    block.set(key);
    this.#inner = Buffer.alloc(BLOCK_BYTES + SCRATCH_BYTES);
    this.#outer = Buffer.alloc(BLOCK_BYTES + HASH_BYTES);
    block.forEach((byte, i) => {
      this.#inner[i] = byte ^ 0x36;
      this.#outer[i] = byte ^ 0x5c;
    });
  }

  // The two that each push needs are written out; the parts' lengths come first, as in `lengthsAnd`.

  /** The device that this pushkey is for this configured app. */
  device(app: string, pushkey: string): Digest {
    return this.#digest(`6,${app.length},${pushkey.length}:device${app}${pushkey}`);
  }

  /**
   * The same push again (matrix-push 5, D9). The app_id is the sender's own, not the configured key: two apps under
   * one glob are two.
   */
  push(appId: string, pushkey: string, dedupeOn: string): Digest {
    return this.#digest(
      `4,${appId.length},${pushkey.length},${dedupeOn.length}:push${appId}${pushkey}${dedupeOn}`,
    );
  }

  /** A request that its sender may repeat under a key of his: who he is, where it went, the key, perhaps the body. */
  request(credential: string, path: string, key: string, body?: string): Digest {
    return this.#digest(lengthsAnd("request", credential, path, key, ...(body === undefined ? [] : [body])));
  }

  /** An event, for log lines. */
  event(eventId: string): Digest {
    return this.#digest(lengthsAnd("event", eventId));
  }

  /**
   * HMAC-SHA256 of a text that begins with its parts' lengths. By two hashes in one call each, which costs a tenth of an
   * `Hmac` object's making, feeding and asking. The inner one comes as a text of bytes: a Buffer of its own doubles the
   * time.
   */
  #digest(text: string): Digest {
    const inner = this.#inner;
    let filled: Uint8Array;
    // A UTF-16 unit is three bytes in UTF-8 at most.
    if (text.length * 3 <= SCRATCH_BYTES) {
      const bytes = BLOCK_BYTES + inner.write(text, BLOCK_BYTES);
      filled = new Uint8Array(inner.buffer, inner.byteOffset, bytes);
    } else filled = Buffer.concat([inner.subarray(0, BLOCK_BYTES), Buffer.from(text)]);
    this.#outer.write(hash("sha256", filled, "binary"), BLOCK_BYTES, "binary");
    return hash("sha256", this.#outer, "hex");
  }
}

/** Parts with their lengths before them, so that no two lists of parts give the same. */
function lengthsAnd(...parts: readonly string[]): string {
  return `${parts.map((part) => part.length).join(",")}:${parts.join("")}`;
}
