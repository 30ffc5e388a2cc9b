interface Entry<V> {
  readonly key: string;
  readonly value: V;
  older: Entry<V> | undefined;
  newer: Entry<V> | undefined;
}

/**
 * A map that knows its oldest entry at once. A `Map` alone does too, but looking for its first entry walks over the
 * places of all that were deleted before it: thousands for each push where as many were forgotten lately.
 */
export class RecentMap<V> {
  readonly #entries = new Map<string, Entry<V>>();
  #oldest: Entry<V> | undefined;
  #newest: Entry<V> | undefined;

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): V | undefined {
    return this.#entries.get(key)?.value;
  }

  /** The same, and from now on it is the newest. */
  use(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry !== this.#newest) {
      this.#unlink(entry);
      this.#append(entry);
    }
    return entry.value;
  }

  /** Puts it in as the newest, also where the key was there before. */
  set(key: string, value: V): void {
    this.delete(key);
    const entry: Entry<V> = { key, value, older: undefined, newer: undefined };
    this.#append(entry);
    this.#entries.set(key, entry);
  }

  /** Returns the value that was there. */
  delete(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#unlink(entry);
    return entry.value;
  }

  /** The entry that was put in first. */
  oldest(): { readonly key: string; readonly value: V } | undefined {
    return this.#oldest;
  }

  clear(): void {
    this.#entries.clear();
    this.#oldest = this.#newest = undefined;
  }

  /** Oldest first; what has been given may be deleted meanwhile. */
  *entries(): Generator<readonly [key: string, value: V]> {
    for (let entry = this.#oldest; entry !== undefined;) {
      const { newer } = entry;
      yield [entry.key, entry.value];
      entry = newer;
    }
  }

  #append(entry: Entry<V>): void {
    entry.older = this.#newest;
    entry.newer = undefined;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
  }

  #unlink(entry: Entry<V>): void {
    if (entry.older === undefined) this.#oldest = entry.newer;
    else entry.older.newer = entry.newer;
    if (entry.newer === undefined) this.#newest = entry.older;
    else entry.newer.older = entry.older;
    // An entry that is gone must not keep the next ones from the garbage.
    entry.older = entry.newer = undefined;
  }
}
