interface Cell<V> {
  value: V | undefined;
}

/**
 * A `Map` for values of which thousands come and go a second, and which hold much. A `Map` changes its table every few
 * dozen of them, and V8 lets a table that got into the old generation hold the next one, with all that was in it, until
 * the next full collection. Here it would hold empty cells. See also `LinkedList`, for what needs no key.
 */
export class PassingMap<K, V extends object> {
  readonly #cells = new Map<K, Cell<V>>();

  get size(): number {
    return this.#cells.size;
  }

  has(key: K): boolean {
    return this.#cells.has(key);
  }

  get(key: K): V | undefined {
    return this.#cells.get(key)?.value;
  }

  /** The key must not be there. */
  add(key: K, value: V): void {
    this.#cells.set(key, { value });
  }

  /** False when it was not there. */
  delete(key: K): boolean {
    const cell = this.#cells.get(key);
    if (cell === undefined) return false;
    cell.value = undefined;
    return this.#cells.delete(key);
  }

  clear(): void {
    for (const cell of this.#cells.values()) cell.value = undefined;
    this.#cells.clear();
  }

  /** Those that are in it now, in the order of coming; they may go meanwhile. */
  all(): readonly V[] {
    const values: V[] = [];
    for (const { value } of this.#cells.values()) if (value !== undefined) values.push(value);
    return values;
  }
}
