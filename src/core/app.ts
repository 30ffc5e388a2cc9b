import type { Guard } from "./guard.ts";
import type { InFlight } from "./in-flight.ts";
import type { Pushkin } from "./pushkin.ts";

/** One configured app as the dispatcher uses it. */
export interface App {
  /** Its key in the configuration. */
  readonly name: string;
  readonly pushkin: Pushkin;
  readonly guard: Guard;
  readonly inFlight: InFlight;
}
