import type { AppGuard } from "./guard.ts";
import type { InFlight } from "./in-flight.ts";
import type { Pushkin } from "./pushkin.ts";

/** What doors may know of a configured app. */
export type ServedApp = Pick<Pushkin, "name" | "type" | "takesCalls" | "readToken">;

/** Finds what is configured for an app_id as the router does; undefined when nobody serves it. */
export interface AppDirectory {
  find(appId: string): ServedApp | undefined;
}

/** One configured app as the dispatcher uses it. */
export interface App {
  /** Its key in the configuration. */
  readonly name: string;
  readonly pushkin: Pushkin;
  readonly guard: AppGuard;
  readonly inFlight: InFlight;
}
