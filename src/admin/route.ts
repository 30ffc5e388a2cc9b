import type { Answer } from "../http/answer.ts";
import type { JsonValue } from "../json.ts";

/** What a route of the admin listener is asked with. */
export interface AdminRequest {
  /** The body of a POST; undefined where none was sent. */
  readonly body: JsonValue | undefined;
  /** Whoever asks may see everything: he has the token, or none is configured. */
  readonly isAuthorized: boolean;
}

/** One thing that the admin listener serves. */
export interface AdminRoute {
  readonly method: "GET" | "POST";
  /** Without parameters: what is asked for stands in a body, so that no pushkey stands in a URL or a log. */
  readonly path: string;
  /** What it is for, one sentence. */
  readonly summary: string;
  /** Served without the token as well: it looks at `isAuthorized` itself. */
  readonly open?: true;
  handle(request: AdminRequest): Answer | Promise<Answer>;
}
