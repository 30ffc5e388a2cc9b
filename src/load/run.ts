import { LoadConnection, type LoadResult, type Target } from "./connection.ts";
import type { LoadRequest } from "./replay.ts";
import { LoadTally, type LoadFigures } from "./tally.ts";

/** How a load is laid on. */
export interface LoadOptions {
  readonly target: Target;
  readonly next: () => LoadRequest;
  /** Connections, each with one request at a time. */
  readonly callers: number;
  /** Requests a second, whatever becomes of them (open loop). Absent: each caller sends as soon as it is answered. */
  readonly perSecond?: number;
  readonly durationMs: number;
  /** Ends sooner. What is under way is waited for. */
  readonly signal?: AbortSignal;
  /** Told of the figures so far, about once a second. */
  readonly onProgress?: (figures: LoadFigures) => void;
}

const tickMs = 2;
const sweepMs = 250;
const progressMs = 1000;

/**
 * Lays the load on and resolves with its figures when everything is answered. With a fixed rate a request's time counts
 * from when it was due, not from when a connection was free for it: a gateway that stalls is charged for all that had to
 * wait meanwhile (no coordinated omission).
 */
export function runLoad(options: LoadOptions): Promise<LoadFigures> {
  const { target, next, callers, perSecond, durationMs, signal, onProgress } = options;
  const idle = Array.from({ length: callers }, () => new LoadConnection(target));
  const all = [...idle];
  const tally = new LoadTally();
  const startedMs = performance.now();
  const endMs = startedMs + durationMs;
  let sent = 0;
  let underWay = 0;

  return new Promise((resolve) => {
    const mayBegin = (nowMs: number): boolean => nowMs < endMs && signal?.aborted !== true;
    /** Requests that should have been sent by now and were not. */
    const due = (nowMs: number): number =>
      perSecond === undefined
        ? Infinity
        : Math.floor((Math.min(nowMs, endMs) - startedMs) * (perSecond / 1000)) + 1 - sent;

    const send = (connection: LoadConnection, nowMs: number): void => {
      const beganMs = perSecond === undefined ? nowMs : startedMs + sent * (1000 / perSecond);
      const request = next();
      sent += 1;
      underWay += 1;
      connection.send(request.body, (result: LoadResult) => {
        underWay -= 1;
        const endedMs = performance.now();
        tally.add(result, request.pushes, endedMs - beganMs);
        // Not at once after a failure: a gateway that is away would be asked thousands of times a second.
        if (result.kind === "failed") setTimeout(() => free(connection), 50);
        else free(connection);
      });
    };
    const free = (connection: LoadConnection): void => {
      const nowMs = performance.now();
      if (mayBegin(nowMs) && due(nowMs) > 0) send(connection, nowMs);
      else {
        idle.push(connection);
        settle();
      }
    };
    const fill = (): void => {
      const nowMs = performance.now();
      while (mayBegin(nowMs) && due(nowMs) > 0) {
        const connection = idle.pop();
        if (connection === undefined) return;
        send(connection, nowMs);
      }
      settle();
    };
    const settle = (): void => {
      const nowMs = performance.now();
      if (underWay > 0 || idle.length < callers || mayBegin(nowMs)) return;
      for (const timer of timers) clearInterval(timer);
      for (const connection of all) connection.close();
      // What was due and never sent did not get served either.
      const planned =
        perSecond === undefined || signal?.aborted === true ? 0 : durationMs * (perSecond / 1000);
      const unsent = Math.max(0, Math.round(planned) - sent);
      resolve(tally.figures(nowMs - startedMs, unsent));
    };
    const timers = [
      setInterval(fill, perSecond === undefined ? sweepMs : tickMs),
      setInterval(() => {
        const nowMs = performance.now();
        for (const connection of all) connection.sweep(nowMs);
      }, sweepMs),
    ];
    if (onProgress !== undefined) {
      timers.push(setInterval(() => onProgress(tally.figures(performance.now() - startedMs, 0)), progressMs));
    }
    signal?.addEventListener("abort", fill, { once: true });
    fill();
  });
}
