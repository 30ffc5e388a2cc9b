import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";

/** A password as the configuration keeps it: what scrypt (RFC 7914) makes of it, and with which parameters. */
export interface PasswordHash {
  /** N is 2 to the power of this. */
  readonly logN: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

/** 32 MiB and some 60 ms of one core: a stolen file costs its thief as much for each guess. */
const NEW = { logN: 15, r: 8, p: 1 } as const;
const FORM = /^scrypt:(\d+):(\d+):(\d+):([A-Za-z0-9_-]+):([A-Za-z0-9_-]+)$/;
/** Longer ones are wrong, whatever they are: hashing must not cost by the byte. */
export const MAX_PASSWORD_BYTES = 1024;

/** Reads `scrypt:LOGN:R:P:SALT:HASH`, whose bounds the configuration has checked. Undefined when it is not that. */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const [, logN, r, p, salt = "", hash = ""] = match;
  return {
    logN: Number(logN),
    r: Number(r),
    p: Number(p),
    salt: Buffer.from(salt, "base64url"),
    hash: Buffer.from(hash, "base64url"),
  };
}

/** A new hash of a password, in the configuration's form. */
export async function hashPassword(password: string): Promise<string> {
  const { logN, r, p } = NEW;
  const salt = randomBytes(16);
  const hash = await derive(password, { ...NEW, salt });
  return ["scrypt", logN, r, p, salt.toString("base64url"), hash.toString("base64url")].join(":");
}

/** A hash that no password has and that costs as much to compare as another one. */
export function impossibleHash(like: Pick<PasswordHash, "logN" | "r" | "p"> = NEW): PasswordHash {
  return { logN: like.logN, r: like.r, p: like.p, salt: randomBytes(16), hash: randomBytes(32) };
}

/** Whether it is this password. Takes the same time either way, on a thread of its own. */
export async function isPassword(password: string, known: PasswordHash): Promise<boolean> {
  const isTooLong = Buffer.byteLength(password) > MAX_PASSWORD_BYTES;
  const hash = await derive(isTooLong ? "" : password, known);
  return timingSafeEqual(hash, known.hash) && !isTooLong;
}

function derive(password: string, { logN, r, p, salt }: Omit<PasswordHash, "hash">): Promise<Buffer> {
  const N = 2 ** logN;
  return new Promise((resolve, reject) => {
    scrypt(password.normalize("NFC"), salt, 32, { N, r, p, maxmem: 256 * N * r }, (error, hash) => {
      if (error === null) resolve(hash);
      else reject(error);
    });
  });
}
