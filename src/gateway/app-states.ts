import type { App } from "../core/app.ts";
import type { CircuitState } from "../core/upstream-health.ts";
import type { AppState } from "../metrics/app-state.ts";

/** What each app is like just now, for whoever measures. */
export function appStates(apps: Iterable<App>, circuits: readonly CircuitState[]): readonly AppState[] {
  const openCircuits = new Map<string, number>();
  for (const { app, isOpen } of circuits) {
    if (isOpen) openCircuits.set(app, (openCircuits.get(app) ?? 0) + 1);
  }
  return [...apps].map(({ guard: { holding }, name, pushkin }) => {
    const connections = pushkin.connections?.();
    return {
      app: name,
      pushkin: pushkin.type,
      waiting: pushkin.waiting(),
      openCircuits: openCircuits.get(name) ?? 0,
      ...(holding === undefined ? {} : { holding }),
      ...(connections === undefined ? {} : { connections }),
    };
  });
}
