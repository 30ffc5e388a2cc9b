import type { Static } from "@sinclair/typebox";
import { secret, section } from "../config/fields.ts";

/** `store`: where the state is kept. */
export const StoreConfig = section(
  {
    url: {
      ...secret({
        reads: "store_url",
        description:
          "sqlite:FILE, postgresql://user:password@host/database for several replicas, or memory (nothing survives, " +
          "nothing can be promised).",
      }),
      default: "sqlite:signalbox.db",
    },
  },
  { description: "Where tokens that died, promised pushes and devices are kept." },
);

/** `url` may hold a password: never log it. */
export type StoreSettings = Static<typeof StoreConfig>;
