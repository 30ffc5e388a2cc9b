import { Counter, Gauge, Histogram, type Aggregator, type Registry } from "prom-client";
import type { MetricDefinition } from "./names.ts";

/** The label names of a definition, as a type: a label that is not in the list does not compile. */
type LabelOf<Definition extends MetricDefinition> = Definition["labels"][number];

/** Fills an instrument at each scrape. When it fails, the instrument is left as it is and the scrape goes on. */
type Collect<Instrument> = (instrument: Instrument) => void | Promise<void>;

/** Registers the counter that the definition names. */
export function counterFor<const D extends MetricDefinition>(
  registry: Registry,
  definition: D,
  collect?: Collect<Counter<LabelOf<D>>>,
): Counter<LabelOf<D>> {
  return new Counter<LabelOf<D>>({
    ...common(registry, definition),
    ...(collect === undefined ? {} : { collect: safely(collect) }),
  });
}

/** Registers the gauge that the definition names. */
export function gaugeFor<const D extends MetricDefinition>(
  registry: Registry,
  definition: D,
  collect?: Collect<Gauge<LabelOf<D>>>,
): Gauge<LabelOf<D>> {
  return new Gauge<LabelOf<D>>({
    ...common(registry, definition),
    ...(collect === undefined ? {} : { collect: safely(collect) }),
  });
}

/** Registers the histogram that the definition names. */
export function histogramFor<const D extends MetricDefinition>(
  registry: Registry,
  definition: D,
): Histogram<LabelOf<D>> {
  return new Histogram<LabelOf<D>>({
    ...common(registry, definition),
    ...(definition.buckets === undefined ? {} : { buckets: [...definition.buckets] }),
  });
}

function common<D extends MetricDefinition>(registry: Registry, definition: D) {
  const labelNames: LabelOf<D>[] = [...definition.labels];
  const aggregator: Aggregator = definition.acrossThreads ?? "sum";
  return { name: definition.name, help: definition.help, labelNames, aggregator, registers: [registry] };
}

function safely<Instrument>(collect: Collect<Instrument>): (this: Instrument) => Promise<void> {
  return async function (this: Instrument) {
    try {
      await collect(this);
    } catch {
      // One source that fails must not cost the scrape of all the others; whoever owns it raises its own alarm.
    }
  };
}
