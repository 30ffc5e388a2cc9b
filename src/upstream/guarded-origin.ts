import type { NetFailure } from "./net-error.ts";

/** One request to a user-supplied endpoint. */
export interface GuardedRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** The answer, or why there is none. */
export type GuardedResult =
  | {
      readonly kind: "response";
      readonly status: number;
      readonly headers: Readonly<Record<string, string | string[] | undefined>>;
      /** What came within a second and 64 KiB; more is not waited for. */
      readonly body: string;
    }
  /** `written`: the connection stood, so the endpoint may have the request. */
  | { readonly kind: "failed"; readonly failure: NetFailure; readonly written: boolean }
  /** The operator's rules keep this gateway away from where the endpoint leads. Nothing was connected to. */
  | { readonly kind: "refused" };

/** The connections to one origin: a pool of its own, so that no other origin can fill it. */
export interface GuardedOrigin {
  /** Never rejects; ends within the time limits, or when the signal aborts. */
  send(request: GuardedRequest, signal: AbortSignal): Promise<GuardedResult>;
  /** Cuts its connections. */
  destroy(): void;
}

/** The error code of a lookup that leads where nothing may be sent. */
export const REFUSED_CODE = "ADDRESS_NOT_ALLOWED";
