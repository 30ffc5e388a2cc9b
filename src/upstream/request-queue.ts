/** What a queue holds: each entry carries its own links, so that taking one out of the middle costs nothing. */
export interface QueueLinks<Entry> {
  queuedAfter: Entry | undefined;
  queuedBefore: Entry | undefined;
}

/** A first-in-first-out line whose members may leave from anywhere (an abort, a deadline) in constant time. */
export class RequestQueue<Entry extends QueueLinks<Entry>> {
  #first: Entry | undefined;
  #last: Entry | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): Entry | undefined {
    return this.#first;
  }

  /** To the end of the line. */
  push(entry: Entry): void {
    entry.queuedAfter = this.#last;
    if (this.#last === undefined) this.#first = entry;
    else this.#last.queuedBefore = entry;
    this.#last = entry;
    this.#size += 1;
  }

  /** Takes out an entry that is in this queue. */
  remove(entry: Entry): void {
    const { queuedAfter, queuedBefore } = entry;
    if (queuedAfter === undefined) this.#first = queuedBefore;
    else queuedAfter.queuedBefore = queuedBefore;
    if (queuedBefore === undefined) this.#last = queuedAfter;
    else queuedBefore.queuedAfter = queuedAfter;
    entry.queuedAfter = undefined;
    entry.queuedBefore = undefined;
    this.#size -= 1;
  }
}
