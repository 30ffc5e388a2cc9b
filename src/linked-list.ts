/** The links that a member of a list carries itself. The list alone sets them. */
export interface Linked<Member> {
  earlier: Member | undefined;
  later: Member | undefined;
}

/**
 * What is under way or waits, in the order of coming; who leaves, from wherever, leaves nothing behind. For things of
 * which thousands come and go a second: a `Set` or `Map` changes its table every few dozen of them, and V8 lets a
 * table that got into the old generation hold the next one, with all that was in it, until the next full collection.
 * With one such set a third of all garbage went that way. A member is in one list at a time.
 */
export class LinkedList<Member extends Linked<Member>> {
  #first: Member | undefined;
  #last: Member | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): Member | undefined {
    return this.#first;
  }

  /** To the end of the line. */
  push(member: Member): void {
    member.earlier = this.#last;
    if (this.#last === undefined) this.#first = member;
    else this.#last.later = member;
    this.#last = member;
    this.#size += 1;
  }

  /** Takes out a member; does nothing with one that is in no list. */
  remove(member: Member): void {
    const { earlier, later } = member;
    if (earlier === undefined && this.#first !== member) return;
    if (earlier === undefined) this.#first = later;
    else earlier.later = later;
    if (later === undefined) this.#last = earlier;
    else later.earlier = earlier;
    member.earlier = undefined;
    member.later = undefined;
    this.#size -= 1;
  }

  /** Those that are in it now, the first first; they may leave meanwhile. */
  all(): readonly Member[] {
    const members: Member[] = [];
    for (let member = this.#first; member !== undefined; member = member.later) members.push(member);
    return members;
  }
}
