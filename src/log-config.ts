import type { Static } from "@sinclair/typebox";
import { sygnalSection } from "./config/fields.ts";
import { Type } from "./json-schema.ts";
import type { JsonObject } from "./json.ts";

/** `log`, as Sygnal has it (sygnal-compat 14). `setup` is passed through; the logger says what of it is not honoured. */
export const LogConfig = sygnalSection(
  {
    setup: Type.Optional(
      Type.Unsafe<JsonObject>({
        type: "object",
        verbatim: true,
        description: "Python's logging dictConfig. Absent: one line of JSON per event on stderr.",
      }),
    ),
    access: sygnalSection(
      {
        x_forwarded_for: Type.Unsafe<boolean>({
          reads: "truthy",
          default: false,
          description: "The access log shows the first X-Forwarded-For address.",
        }),
        file: Type.Optional(Type.Unknown({ description: "Does nothing, as in Sygnal." })),
        enabled: Type.Optional(Type.Unknown({ description: "Does nothing, as in Sygnal." })),
      },
      { description: "The access log." },
    ),
  },
  { description: "Logging." },
);

export type LogSettings = Static<typeof LogConfig>;
