import type { Static } from "@sinclair/typebox";
import { duration, section } from "../config/fields.ts";
import { Type } from "../json-schema.ts";

/** `explain`: what is remembered of pushes, for the question why a phone stayed silent. */
export const ExplainConfig = section(
  {
    enabled: Type.Boolean({ default: true, description: "Remember what became of pushes, without content." }),
    keep: duration({ default: "7d", description: "How long the store remembers it." }),
    max_rows: Type.Integer({
      default: 200_000,
      minimum: 1,
      maximum: 10_000_000,
      description: "Pushes that the store remembers; beyond them the oldest are forgotten.",
    }),
  },
  { shorthand: "switch", description: "What is remembered of pushes, for `signalbox explain`." },
);

/** `keep` in milliseconds. */
export type ExplainSettings = Static<typeof ExplainConfig>;
