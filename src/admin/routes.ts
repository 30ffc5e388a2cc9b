import { jsonAnswer, type Answer } from "../http/answer.ts";
import type { Explanation } from "../explain/explainer.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../json.ts";
import { StoreError } from "../store/store.ts";
import type { AdminRoute } from "./route.ts";
import { readiness, status, type StatusSources } from "./status.ts";

/** The longest pushkey that a door takes, with room. */
const MAX_SUBJECT_CHARACTERS = 8_192;

/** What the admin listener can do. */
export interface AdminDeps extends StatusSources {
  /** What is known of a device, event or request; absent when nothing is remembered. Rejects with `StoreError`. */
  readonly explain?: (subject: string) => Promise<Explanation>;
  /** Takes over what has changed in the configuration's file; what came of it as JSON, with `ok`. Never rejects. */
  readonly reload: () => Promise<JsonObject & { readonly ok: boolean }>;
  /** Everything that is served at the moment, as an OpenAPI document. */
  readonly describe: () => Promise<JsonObject>;
}

/** THE LIST of what the admin listener serves, beside the console's pages. */
export const adminDescriptions = [
  {
    method: "GET",
    path: "/ready",
    summary: "200 while pushes should be sent here, else 503.",
    // For a balancer; what it is that is wrong is for whoever has the token.
    open: true,
  },
  {
    method: "GET",
    path: "/status",
    summary:
      "The apps with their credentials, guards and circuits, what waits, what is held, and the alarms.",
  },
  {
    method: "POST",
    path: "/explain",
    summary: 'What became of `{"subject": pushkey, event id or request id}`, in words and as data.',
  },
  {
    method: "POST",
    path: "/reload",
    summary:
      "Reads the configuration anew. A wrong one changes nothing and is answered 422 with its problems.",
  },
  {
    method: "GET",
    path: "/openapi.json",
    summary: "Every HTTP surface that the present configuration opens, in OpenAPI 3.1.",
  },
] as const satisfies readonly Omit<AdminRoute, "handle">[];

/** The routes, each with what serves it. */
export function adminRoutes(deps: AdminDeps): readonly AdminRoute[] {
  const handlers: Readonly<Record<(typeof adminDescriptions)[number]["path"], AdminRoute["handle"]>> = {
    "/ready": ({ isAuthorized }) => {
      const { ready, report } = readiness(deps);
      return jsonAnswer(ready ? 200 : 503, isAuthorized ? report : { ready });
    },
    "/status": () => unlessStoreFails(async () => jsonAnswer(200, await status(deps))),
    "/explain": ({ body }) => unlessStoreFails(() => explainAnswer(body, deps)),
    "/reload": async () => {
      const result = await deps.reload();
      return jsonAnswer(result.ok ? 200 : 422, result);
    },
    "/openapi.json": async () => jsonAnswer(200, await deps.describe()),
  };
  return adminDescriptions.map((described) => ({ ...described, handle: handlers[described.path] }));
}

async function explainAnswer(body: JsonValue | undefined, { explain }: AdminDeps): Promise<Answer> {
  const subject = body !== undefined && isJsonObject(body) ? body["subject"] : undefined;
  if (typeof subject !== "string" || subject === "" || subject.length > MAX_SUBJECT_CHARACTERS) {
    return jsonAnswer(400, { error: `The key 'subject' must hold a pushkey, an event id or a request id.` });
  }
  if (explain === undefined) {
    return jsonAnswer(404, {
      error: "`explain` is switched off in the configuration: nothing is remembered.",
    });
  }
  const { found, now, pushes, refused, text } = await explain(subject);
  return jsonAnswer(200, {
    found,
    text,
    now: [...now],
    pushes: pushes.map((push) => ({ ...push })),
    ...(refused === undefined ? {} : { refused: { ...refused } }),
  });
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
