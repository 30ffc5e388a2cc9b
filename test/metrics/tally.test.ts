import { Registry } from "prom-client";
import { levelFor, tallyFor } from "../../src/metrics/tally.ts";

const counter = {
  name: "pushes_total",
  type: "counter",
  help: "Pushes.",
  labels: ["app", "kind"],
} as const;
const gauge = { name: "under_way", type: "gauge", help: "Under way.", labels: [] } as const;

async function samples(registry: Registry): Promise<readonly string[]> {
  return (await registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

describe("tallyFor", () => {
  it("tells each series once, whatever the order of its labels and however often it is scraped", async () => {
    const registry = new Registry();
    const tally = tallyFor(registry, counter);
    tally.inc({ app: "a", kind: "delivered" });
    tally.inc({ kind: "delivered", app: "a" }, 2);
    tally.inc({ app: "b", kind: "delivered" }, 0);
    const first = ['pushes_total{app="a",kind="delivered"} 3', 'pushes_total{app="b",kind="delivered"} 0'];
    expect(await samples(registry)).toEqual(first);
    expect(await samples(registry)).toEqual(first);
    tally.inc({ app: "a", kind: "delivered" });
    tally.inc({ app: "delivered", kind: "a" });
    expect(await samples(registry)).toEqual([
      'pushes_total{app="a",kind="delivered"} 4',
      first[1],
      'pushes_total{app="delivered",kind="a"} 1',
    ]);
  });
});

describe("levelFor", () => {
  it("goes up and down", async () => {
    const registry = new Registry();
    const level = levelFor(registry, gauge);
    level.inc({}, 0);
    expect(await samples(registry)).toEqual(["under_way 0"]);
    level.inc({}, 3);
    level.inc({}, -1);
    expect(await samples(registry)).toEqual(["under_way 2"]);
  });
});
