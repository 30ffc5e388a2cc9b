import { closeSync, openSync, readSync, statSync } from "node:fs";
import { StoreError } from "./store.ts";

/** Marks our database files (`PRAGMA application_id`), so that no other program's database is ever changed. */
export const applicationId = 0x53_67_78_31;

/** Bytes of the database header that never vary in a file of ours: offset, and the values that may stand there. */
const headerConstants: readonly (readonly [offset: number, allowed: readonly number[], what: string])[] = [
  [16, [0x10000000 | 0x0101, 0x10000000 | 0x0202], "page size or format"],
  [20, [0x00402020], "payload fractions"],
  [44, [0, 4], "schema format"],
  [52, [0], "vacuum mode"],
  [56, [0, 1], "text encoding"],
  [64, [0], "vacuum mode"],
  [72, [0], "reserved space"],
  [76, [0], "reserved space"],
  [80, [0], "reserved space"],
  [84, [0], "reserved space"],
  [88, [0], "reserved space"],
];

/** Size in bytes; 0 for a file that is not there. */
export function fileBytes(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/**
 * Refuses what SQLite itself would silently accept, repair or recreate (SS06): a foreign or damaged header, a log
 * without its database, a damaged log. Opens and closes the file, which would drop this process's locks on it: only to
 * be called while no connection to it is open.
 */
export function inspectDatabaseFiles(file: string): void {
  const wal = `${file}-wal`;
  if (fileBytes(file) === 0) {
    if (fileBytes(wal) > 0) throw damaged(file, "it is missing or empty, but its write-ahead log is there");
    return;
  }
  // A hot journal means that SQLite has yet to undo the very first write; it does so when it opens.
  if (fileBytes(`${file}-journal`) === 0) inspectHeader(file);
  if (fileBytes(wal) > 0) inspectWal(wal);
}

function damaged(file: string, why: string): StoreError {
  return new StoreError(
    "corrupt",
    `${file} is damaged: ${why}. Nothing was changed; restore a backup or move it away`,
  );
}

function withFile<Result>(
  file: string,
  use: (read: (bytes: Uint8Array, at: number) => number) => Result,
): Result {
  const handle = openSync(file, "r");
  try {
    return use((bytes, at) => readSync(handle, bytes, 0, bytes.length, at));
  } finally {
    closeSync(handle);
  }
}

/** https://www.sqlite.org/fileformat2.html#the_database_header */
function inspectHeader(file: string): void {
  const header = Buffer.alloc(100);
  const length = withFile(file, (read) => read(header, 0));
  if (length < 100 || header.toString("latin1", 0, 16) !== "SQLite format 3\0") {
    throw damaged(file, "it does not begin like a SQLite database");
  }
  if (header.readUInt32BE(68) !== applicationId) {
    throw new StoreError("corrupt", `${file} is not a store of this program, or its header is damaged`);
  }
  for (const [offset, allowed, what] of headerConstants) {
    if (!allowed.includes(header.readUInt32BE(offset))) throw damaged(file, `wrong ${what} in the header`);
  }
}

/**
 * SQLite ends a log at the first frame whose checksum is wrong and drops the rest without a word: right for a commit
 * that a crash cut short, wrong for damage further up. Frames of a later transaction are only written after the flush
 * of the one before, so a wrong frame that has a commit and then more frames of the same log behind it is damage.
 * In the last transaction the two cannot be told apart. https://www.sqlite.org/fileformat2.html#walformat
 */
function inspectWal(wal: string): void {
  withFile(wal, (read) => {
    const header = Buffer.alloc(32);
    const length = read(header, 0);
    // The log's header is flushed before its first frame: nothing but a header may be half written.
    if (length < 32 || fileBytes(wal) <= 32) return;
    const magic = header.readUInt32BE(0);
    const pageBytes = header.readUInt32BE(8);
    const littleEndian = (magic & 1) === 0;
    const sum: Sum = [0, 0];
    addToSum(sum, header.subarray(0, 24), littleEndian);
    if (magic >>> 1 !== 0x377f0682 >>> 1 || pageBytes !== 4096 || !sumIs(sum, header, 24)) {
      throw damaged(wal, "wrong header");
    }
    const frame = Buffer.alloc(24 + pageBytes);
    let broken = false;
    let commitAfterBreak = false;
    for (let at = 32; read(frame, at) === frame.length; at += frame.length) {
      const sameLog = frame.compare(header, 16, 24, 8, 16) === 0;
      if (!broken && sameLog) {
        addToSum(sum, frame.subarray(0, 8), littleEndian);
        addToSum(sum, frame.subarray(24), littleEndian);
      }
      if (commitAfterBreak && sameLog) throw damaged(wal, "wrong checksum in the middle of it");
      broken ||= !sameLog || !sumIs(sum, frame, 16);
      const isCommit = frame.readUInt32BE(4) !== 0;
      commitAfterBreak ||= broken && sameLog && isCommit;
    }
  });
}

/** The running checksum, two 32-bit words. */
type Sum = [number, number];

function addToSum(sum: Sum, bytes: Buffer, littleEndian: boolean): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let [a, b] = sum;
  for (let i = 0; i < bytes.length; i += 8) {
    a = (a + view.getInt32(i, littleEndian) + b) | 0;
    b = (b + view.getInt32(i + 4, littleEndian) + a) | 0;
  }
  sum[0] = a;
  sum[1] = b;
}

function sumIs(sum: Sum, bytes: Buffer, at: number): boolean {
  return bytes.readInt32BE(at) === sum[0] && bytes.readInt32BE(at + 4) === sum[1];
}
