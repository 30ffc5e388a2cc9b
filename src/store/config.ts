import type { Static } from "@sinclair/typebox";
import { secret, section } from "../config/fields.ts";
import type { Finding } from "../config/problem.ts";
import { parseStoreUrl } from "./store-url.ts";

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

/** What the schema cannot say of the URL: a database that is not named, a parameter that does not exist. */
export function checkStore(store: StoreSettings): readonly Finding[] {
  const location = parseStoreUrl(store.url);
  return "problem" in location ? [{ path: ["store", "url"], message: location.problem }] : [];
}
