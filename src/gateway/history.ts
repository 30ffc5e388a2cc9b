import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { Digests } from "../core/digest.ts";
import { History } from "../explain/history.ts";
import type { Store } from "../store/store.ts";
import type { Others, ThreadPart } from "../workers/part.ts";

/** What became of pushes, for `explain`; undefined where the configuration wants none of it. */
export function openHistory(options: {
  readonly clock: Clock;
  readonly store: Store;
  readonly part: ThreadPart | undefined;
  readonly others: Others | undefined;
  /** The configuration of the moment. */
  readonly config: () => Config;
}): History | undefined {
  const { clock, config, others, part, store } = options;
  if (!config().explain.enabled) return undefined;
  return new History({
    outcomes: store.outcomes,
    digests: new Digests(store.installationKey),
    clock,
    bounds: () => {
      const { keep: keepMs, max_rows: maxRows } = config().explain;
      return { keepMs, maxRows };
    },
    ...(part === undefined ? {} : { threads: part.share.threads }),
    ...(others === undefined ? {} : { elsewhere: (by, limit) => others.history(by, limit) }),
  });
}
