import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";

/** A listener whose modules are not loaded before they are needed. */
export interface LateListener {
  /** Loads it before it is needed; a failure is told to the first request instead. */
  load(): void;
  readonly serve: RequestListener;
}

/**
 * A listener that is loaded with the first request; requests wait until it is there. When it cannot be loaded each
 * waiting request goes to `fail`, and the next one tries it again.
 */
export function lateListener(
  load: () => Promise<RequestListener>,
  fail: (error: unknown, req: IncomingMessage, res: ServerResponse) => void,
): LateListener {
  let listener: RequestListener | undefined;
  let loading: Promise<RequestListener> | undefined;
  const loaded = (): Promise<RequestListener> => {
    loading ??= load().then(
      (one) => (listener = one),
      (error: unknown) => {
        loading = undefined;
        throw error;
      },
    );
    return loading;
  };
  return {
    load: () => void loaded().catch(() => {}),
    serve(req, res) {
      if (listener !== undefined) return void listener(req, res);
      loaded().then(
        (one) => void one(req, res),
        (error: unknown) => fail(error, req, res),
      );
    },
  };
}
