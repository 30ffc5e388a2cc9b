import { jsonAnswer, type Answer } from "../http/answer.ts";
import type { JsonObject } from "../json.ts";
import { StoreError } from "../store/store.ts";
import type { AdminRoute } from "./route.ts";
import { readiness, status, type StatusSources } from "./status.ts";

/** What the admin listener can do. */
export interface AdminDeps extends StatusSources {
  /** Takes over what has changed in the configuration's file; what came of it as JSON, with `ok`. Never rejects. */
  readonly reload: () => Promise<JsonObject & { readonly ok: boolean }>;
}

/** THE LIST of what the admin listener serves, beside what others add. */
export function adminRoutes(deps: AdminDeps): readonly AdminRoute[] {
  return [
    {
      method: "GET",
      path: "/ready",
      summary: "200 while pushes should be sent here, else 503.",
      // For a balancer; what it is that is wrong is for whoever has the token.
      open: true,
      handle({ isAuthorized }) {
        const { ready, report } = readiness(deps);
        return jsonAnswer(ready ? 200 : 503, isAuthorized ? report : { ready });
      },
    },
    {
      method: "GET",
      path: "/status",
      summary:
        "The apps with their credentials, guards and circuits, what waits, what is held, and the alarms.",
      handle: () => unlessStoreFails(async () => jsonAnswer(200, await status(deps))),
    },
    {
      method: "POST",
      path: "/reload",
      summary:
        "Reads the configuration anew. A wrong one changes nothing and is answered 422 with its problems.",
      async handle() {
        const result = await deps.reload();
        return jsonAnswer(result.ok ? 200 : 422, result);
      },
    },
  ];
}

/** Nothing can be told of what is in a store that does not answer. */
export async function unlessStoreFails(work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return jsonAnswer(503, { error: `The store does not answer (${error.code}).` });
  }
}
