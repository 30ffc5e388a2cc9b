import type { Writable } from "node:stream";

/** Where finished lines go. Writing never waits and never throws: what cannot be taken is dropped and counted. */
export interface LineSink {
  /** Takes one line, its line end included. */
  write(line: string): void;
  /** Lines dropped so far. */
  dropped(): number;
  /** Hands on what is waiting, for at most a second, and frees what was opened. */
  close(): Promise<void>;
}

/** What may wait for a slow reader before lines are dropped (PR12). */
export const maxWaitingBytes = 1024 * 1024;

/** How long `close` waits for a reader. */
export const closeWaitMs = 1000;

/**
 * Lines into a stream that somebody else owns, such as standard output. Node writes to a pipe without blocking, so a
 * reader that stopped shows as a growing buffer only.
 *
 * @param gathers the lines of one turn of the event loop go out in one write, and so does, when the process exits,
 * what is left: a system call for each line would cost more than all that made it
 */
export function streamSink(stream: Writable, maxBytes = maxWaitingBytes, gathers = false): LineSink {
  let dropped = 0;
  let broken = false;
  let gathered = "";
  let gatheredLines = 0;
  let flushing: NodeJS.Immediate | undefined;
  // A reader that went away (EPIPE) costs the log, never the gateway.
  const onError = (): void => {
    broken = true;
  };
  stream.on("error", onError);
  const flush = (): void => {
    clearImmediate(flushing);
    flushing = undefined;
    const text = gathered;
    const lines = gatheredLines;
    gathered = "";
    gatheredLines = 0;
    if (broken || stream.destroyed || stream.writableEnded) dropped += lines;
    else if (lines > 0) stream.write(text);
  };
  if (gathers) process.on("exit", flush);
  return {
    write(line) {
      const waiting = stream.writableLength + gathered.length;
      if (broken || stream.destroyed || stream.writableEnded || waiting + line.length > maxBytes) {
        dropped += 1;
        return;
      }
      gathered += line;
      gatheredLines += 1;
      if (gathers) flushing ??= setImmediate(flush);
      else flush();
    },
    dropped: () => dropped,
    async close() {
      flush();
      process.off("exit", flush);
      if (!broken && !stream.destroyed && stream.writableLength > 0) await drained(stream);
      // The listener stays: an error that comes later must not end the process.
    },
  };
}

function drained(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, closeWaitMs);
    stream.write("", done);
  });
}
