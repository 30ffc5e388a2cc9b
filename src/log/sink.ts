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
 */
export function streamSink(stream: Writable, maxBytes = maxWaitingBytes): LineSink {
  let dropped = 0;
  let broken = false;
  // A reader that went away (EPIPE) costs the log, never the gateway.
  const onError = (): void => {
    broken = true;
  };
  stream.on("error", onError);
  return {
    write(line) {
      if (
        broken ||
        stream.destroyed ||
        stream.writableEnded ||
        stream.writableLength + line.length > maxBytes
      ) {
        dropped += 1;
        return;
      }
      stream.write(line);
    },
    dropped: () => dropped,
    async close() {
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
