import { LinkedList, type Linked } from "../src/linked-list.ts";
import { oldGrowth } from "./support/old-growth.ts";

class Member implements Linked<Member> {
  earlier: Member | undefined;
  later: Member | undefined;
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

function names(list: LinkedList<Member>): string {
  return list
    .all()
    .map(({ name }) => name)
    .join("");
}

describe("LinkedList", () => {
  const abc = ["a", "b", "c"].map((name) => new Member(name));
  const [a, b, c] = abc as [Member, Member, Member];

  it.each([
    ["the first", a, "bc"],
    ["one in the middle", b, "ac"],
    ["the last", c, "ab"],
  ])("lets %s leave, and come again at the end", (_which, leaver, rest) => {
    const list = new LinkedList<Member>();
    for (const member of abc) list.push(member);
    list.remove(leaver);
    expect(names(list)).toBe(rest);
    expect(list.size).toBe(2);
    expect(list.first?.name).toBe(rest[0]);
    expect(leaver).toMatchObject({ earlier: undefined, later: undefined });
    list.push(leaver);
    expect(names(list)).toBe(rest + leaver.name);
    for (const member of list.all()) list.remove(member);
    expect([list.size, list.first]).toEqual([0, undefined]);
  });

  it("does nothing with a member that is in no list", () => {
    const list = new LinkedList<Member>();
    list.push(new Member("x"));
    list.remove(new Member("y"));
    expect(names(list)).toBe("x");
    expect(list.size).toBe(1);
  });

  it("keeps nothing of what has left from the garbage, which a Set does", async () => {
    expect(await oldGrowth("LinkedList")).toBeLessThan(500_000);
    expect(await oldGrowth("Set")).toBeGreaterThan(4_000_000);
  });
});
