/*
 * Puts things into a collection and takes them out again, a few there at a time, and prints by how many bytes the old
 * generation has grown. Argument: which collection.
 */
import { getHeapSpaceStatistics } from "node:v8";
import { LinkedList, type Linked } from "../../src/linked-list.ts";
import { PassingMap } from "../../src/passing-map.ts";

const ROUNDS = 20_000;
const PRESENT = 20;

class Thing implements Linked<Thing> {
  earlier: Thing | undefined;
  later: Thing | undefined;
  readonly id: number;
  /** Some 800 bytes, of which the collection must not keep any. */
  readonly weight = new Array<number>(100).fill(0);

  constructor(id: number) {
    this.id = id;
  }
}

interface Kind {
  enter(thing: Thing): void;
  leave(thing: Thing): void;
}

const kinds: Readonly<Record<string, () => Kind>> = {
  Map() {
    const map = new Map<number, Thing>();
    return { enter: (thing) => void map.set(thing.id, thing), leave: (thing) => void map.delete(thing.id) };
  },
  Set() {
    const set = new Set<Thing>();
    return { enter: (thing) => void set.add(thing), leave: (thing) => void set.delete(thing) };
  },
  PassingMap() {
    const map = new PassingMap<number, Thing>();
    return { enter: (thing) => map.add(thing.id, thing), leave: (thing) => void map.delete(thing.id) };
  },
  LinkedList() {
    const list = new LinkedList<Thing>();
    return { enter: (thing) => list.push(thing), leave: (thing) => list.remove(thing) };
  },
};

function oldBytes(): number {
  return getHeapSpaceStatistics().find((space) => space.space_name === "old_space")?.space_used_size ?? 0;
}

const kind = kinds[process.argv[2] ?? ""]?.();
if (kind === undefined) throw new Error("no such collection");
const present: Thing[] = [];
let id = 0;
const turn = (): void => {
  const thing = new Thing((id += 1));
  present.push(thing);
  kind.enter(thing);
  if (present.length > PRESENT) kind.leave(present.shift() as Thing);
};
for (let i = 0; i < 1_000; i += 1) turn();
// What is there now gets into the old generation, as after any full collection.
globalThis.gc?.();
globalThis.gc?.();
const before = oldBytes();
for (let i = 0; i < ROUNDS; i += 1) turn();
console.log(oldBytes() - before);
