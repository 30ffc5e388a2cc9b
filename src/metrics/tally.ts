import type { Counter, Gauge } from "prom-client";
import { type Registry } from "prom-client";
import { counterFor, gaugeFor } from "./instruments.ts";
import type { MetricDefinition } from "./names.ts";

type LabelOf<Definition extends MetricDefinition> = Definition["labels"][number];

/** Counts without the registry, which hears of it when it is scraped. */
export interface Tally<Label extends string> {
  inc(labels: Readonly<Record<Label, string>>, by?: number): void;
}

/**
 * A counter that is counted many times a push. prom-client joins and sorts the labels' names and values for each call;
 * here a series is found by its values, and is told at each scrape.
 */
export function tallyFor<const D extends MetricDefinition>(
  registry: Registry,
  definition: D,
): Tally<LabelOf<D>> {
  const series = new SeriesByLabels<LabelOf<D>>(definition.labels);
  counterFor(registry, definition, (counter: Counter<LabelOf<D>>) => {
    for (const one of series.all) {
      counter.inc(one.labels, one.value - one.told);
      one.told = one.value;
    }
  });
  return series;
}

/** The same for a gauge that goes up and down with each push. Negative values of `by` take away. */
export function levelFor<const D extends MetricDefinition>(
  registry: Registry,
  definition: D,
): Tally<LabelOf<D>> {
  const series = new SeriesByLabels<LabelOf<D>>(definition.labels);
  gaugeFor(registry, definition, (gauge: Gauge<LabelOf<D>>) => {
    for (const one of series.all) gauge.set(one.labels, one.value);
  });
  return series;
}

/** One series, and how much of it the registry knows. */
interface Series<Label extends string> {
  readonly labels: Readonly<Record<Label, string>>;
  value: number;
  told: number;
}

/** Label values, one map deep for each label; at the end of the path stands the series. */
interface Branch<Label extends string> {
  readonly branches: Map<string, Branch<Label>>;
  series: Series<Label> | undefined;
}

class SeriesByLabels<Label extends string> implements Tally<Label> {
  readonly all: Series<Label>[] = [];
  readonly #names: readonly Label[];
  readonly #root: Branch<Label> = { branches: new Map(), series: undefined };

  constructor(names: readonly Label[]) {
    this.#names = names;
  }

  inc(labels: Readonly<Record<Label, string>>, by = 1): void {
    let branch = this.#root;
    for (const name of this.#names) {
      let next = branch.branches.get(labels[name]);
      if (next === undefined) {
        next = { branches: new Map(), series: undefined };
        branch.branches.set(labels[name], next);
      }
      branch = next;
    }
    if (branch.series === undefined) {
      branch.series = { labels: { ...labels }, value: 0, told: 0 };
      this.all.push(branch.series);
    }
    branch.series.value += by;
  }
}
