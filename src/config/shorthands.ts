import { parseDuration } from "./durations.ts";

/** A shorter form of a mapping. */
export interface Shorthand {
  /** The short form, for editors. */
  readonly schema: Readonly<Record<string, unknown>>;
  /** The mapping that it stands for; the value itself when it is not the short form. */
  expand(value: unknown): unknown;
}

const CALL_MS = 30_000;
const BADGE_MS = 3_600_000;

/** The shorthands by the name that a schema's `shorthand` annotation gives. */
export const shorthands: ReadonlyMap<string, Shorthand> = new Map<string, Shorthand>([
  [
    // `guard: off`; YAML 1.1 makes a boolean of the bare word.
    "switch",
    {
      schema: { enum: ["off", "on", false, true] },
      expand(value) {
        if (value === false || value === "off") return { enabled: false };
        return value === true || value === "on" ? { enabled: true } : value;
      },
    },
  ],
  [
    // One duration is the message's; a call or a badge never lives longer than its default because of it (P9).
    "expire_after",
    {
      schema: { type: ["string", "number"], pattern: "^\\d+(\\.\\d+)?(ms|s|m|h|d)?$", minimum: 0 },
      expand(value) {
        const ms = parseDuration(value);
        if (ms === undefined) return value;
        return {
          message: `${ms}ms`,
          call: `${Math.min(ms, CALL_MS)}ms`,
          badge: `${Math.min(ms, BADGE_MS)}ms`,
        };
      },
    },
  ],
]);
