import type { ClosableLog } from "../log/create-log.ts";
import { cleanFields, type CleanFields, type LogLevel } from "../log/line.ts";
import type { LogFields } from "../log.ts";
import type { LogLine } from "./messages.ts";

const urgency: Readonly<Record<LogLevel, number>> = { error: 0, warn: 1, info: 2, debug: 3 };
/** Lines that wait for the first thread; more are dropped, and counted (PR12). */
const MAX_WAITING = 10_000;

/** Words of the counts. */
const TAKEN = 0;
const DROPPED = 1;

/** Counts for the lines of one thread. */
export function lineCounts(): SharedArrayBuffer {
  return new SharedArrayBuffer(8);
}

/** The first thread has taken so many of a thread's lines. */
export function countTaken(counts: SharedArrayBuffer, lines: number): void {
  Atomics.add(new Int32Array(counts), TAKEN, lines);
}

/** How many of a thread's lines nobody took. */
export function droppedOf(counts: SharedArrayBuffer): number {
  return Atomics.load(new Int32Array(counts), DROPPED);
}

/**
 * A thread's log: the first thread writes the lines, so that levels, formats, files and whoever is told of errors are
 * those of the one log. The lines of one turn go together.
 */
export function createForwardedLog(
  level: LogLevel,
  counts: SharedArrayBuffer,
  send: (lines: readonly LogLine[]) => void,
): ClosableLog {
  const words = new Int32Array(counts);
  let least = urgency[level];
  let waiting: LogLine[] = [];
  let sent = 0;
  const flush = (): void => {
    const lines = waiting;
    waiting = [];
    sent = (sent + lines.length) | 0;
    send(lines);
  };
  const write = (lineLevel: LogLevel, message: string, fields: () => CleanFields): void => {
    if (urgency[lineLevel] > least) return;
    if (((sent - Atomics.load(words, TAKEN)) | 0) + waiting.length >= MAX_WAITING) {
      Atomics.add(words, DROPPED, 1);
      return;
    }
    if (waiting.length === 0) queueMicrotask(flush);
    waiting.push([lineLevel, message, fields()]);
  };
  const logWith = (own: CleanFields): ReturnType<ClosableLog["child"]> => {
    const at = (lineLevel: LogLevel) => (message: string, fields?: LogFields | (() => LogFields)) =>
      write(lineLevel, message, () => ({
        ...own,
        ...cleanFields(typeof fields === "function" ? fields() : fields),
      }));
    return {
      error: at("error"),
      warn: at("warn"),
      info: at("info"),
      debug: at("debug"),
      child: (fields) => logWith({ ...own, ...cleanFields(fields) }),
    };
  };
  return {
    ...logWith({}),
    // The first thread counts them with its own.
    droppedLines: () => 0,
    setLevel(next) {
      least = urgency[next];
    },
    close() {
      if (waiting.length > 0) flush();
      return Promise.resolve();
    },
  };
}
