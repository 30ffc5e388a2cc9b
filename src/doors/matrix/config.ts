import type { Static } from "@sinclair/typebox";
import { section } from "../../config/fields.ts";
import { Type } from "../../json-schema.ts";

/** `matrix`: the Matrix push gateway's door, which is always open. */
export const MatrixConfig = section(
  {
    unifiedpush_gateway: Type.Boolean({
      default: false,
      description: "Answer GET on the notify path with UnifiedPush's discovery object.",
    }),
  },
  { description: "The Matrix push gateway's door." },
);

export type MatrixSettings = Static<typeof MatrixConfig>;
