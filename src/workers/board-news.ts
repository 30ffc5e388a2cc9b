import type { Clock } from "../clock.ts";
import { silentObserver, type AlarmEvent, type Observer } from "../core/observer.ts";
import type { Standing } from "./messages.ts";

/** How soon the first thread hears of it. */
const TELL_AFTER_MS = 250;
/** Alarms told of in that time, at most. */
const MAX_ALARMS = 1_000;

/** Takes to the first thread what the admin listener shows of a thread's apps and alarms: a little late, and together. */
export function boardNews(
  clock: Clock,
  tell: (news: { readonly standings: readonly Standing[]; readonly alarms: readonly AlarmEvent[] }) => void,
): Observer {
  const standings = new Map<string, Standing>();
  let alarms: AlarmEvent[] = [];
  let isDue = false;
  const later = (): void => {
    if (isDue) return;
    isDue = true;
    clock.schedule(TELL_AFTER_MS, () => {
      isDue = false;
      tell({ standings: [...standings.values()], alarms });
      standings.clear();
      alarms = [];
    });
  };
  const note = (app: string, what: Standing[1]): void => {
    const before = standings.get(app)?.[1];
    // A delivery is not forgotten for a later answer that was none.
    if (before === what || (before === "delivered" && what === "answered")) return;
    standings.set(app, [app, what]);
    later();
  };
  return {
    ...silentObserver,
    attemptEnded({ app, outcome }) {
      if (outcome.kind === "delivered") note(app, "delivered");
      else if (outcome.kind !== "retryable") note(app, "answered");
      else if (outcome.reason === "credentials") note(app, "refused");
    },
    alarm(event) {
      if (alarms.length < MAX_ALARMS) alarms.push(event);
      later();
    },
  };
}
