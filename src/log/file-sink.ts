import { open, stat, type FileHandle } from "node:fs/promises";
import type { Clock } from "../clock.ts";
import { closeWaitMs, maxWaitingBytes, type LineSink } from "./sink.ts";

/** How often the path is compared with the file that is open. */
const checkEveryMs = 1000;
/** How long a file that cannot be written is left alone. */
const retryEveryMs = 1000;

/**
 * Lines appended to a file. When the file was moved, replaced or deleted (logrotate), the path is opened anew within
 * a second of the next line, as Python's WatchedFileHandler does (sygnal-compat 14).
 */
export function fileSink(path: string, clock: Clock, maxBytes = maxWaitingBytes): LineSink {
  let waiting: string[] = [];
  let waitingBytes = 0;
  let dropped = 0;
  let handle: FileHandle | undefined;
  let checkedAtMs = 0;
  let failedAtMs: number | undefined;
  let writing: Promise<void> | undefined;
  let closed = false;

  const release = async (): Promise<void> => {
    const old = handle;
    handle = undefined;
    await old?.close().catch(() => undefined);
  };

  const current = async (): Promise<FileHandle> => {
    if (handle !== undefined && clock.monotonic() - checkedAtMs >= checkEveryMs) {
      checkedAtMs = clock.monotonic();
      const [ours, there] = await Promise.all([handle.stat(), stat(path).catch(() => undefined)]);
      if (there === undefined || there.ino !== ours.ino || there.dev !== ours.dev) await release();
    }
    if (handle === undefined) {
      // Readable by the owner and the group alone: a log tells who talks to whom, if only by hashes.
      handle = await open(path, "a", 0o640);
      checkedAtMs = clock.monotonic();
    }
    return handle;
  };

  const writeAll = async (): Promise<void> => {
    while (waiting.length > 0) {
      const lines = waiting;
      waiting = [];
      waitingBytes = 0;
      try {
        await (await current()).appendFile(lines.join(""));
      } catch {
        // A full disk or a directory that went away: these lines are lost, and the next try comes later.
        dropped += lines.length;
        failedAtMs = clock.monotonic();
        await release();
      }
    }
    writing = undefined;
  };

  return {
    write(line) {
      const resting = failedAtMs !== undefined && clock.monotonic() - failedAtMs < retryEveryMs;
      const bytes = Buffer.byteLength(line);
      if (closed || resting || waitingBytes + bytes > maxBytes) {
        dropped += 1;
        return;
      }
      failedAtMs = undefined;
      waiting.push(line);
      waitingBytes += bytes;
      writing ??= writeAll();
    },
    dropped: () => dropped,
    async close() {
      closed = true;
      if (writing !== undefined) await Promise.race([writing, giveUp()]);
      await release();
    },
  };
}

/** A disk that does not answer must not keep the process from ending. */
function giveUp(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, closeWaitMs).unref();
  });
}
