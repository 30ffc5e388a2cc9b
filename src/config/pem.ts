import { createPrivateKey, X509Certificate } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { systemClock } from "../clock.ts";
import { readSmallFile } from "./read-file.ts";

/** The rest of a sentence that begins with the option's path. Never what a file holds. */
export interface PemProblem {
  readonly problem: string;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const PRIVATE_KEY =
  /-----BEGIN ((?:[A-Z0-9]+ )*)PRIVATE KEY-----[^-]+-----END (?:[A-Z0-9]+ )*PRIVATE KEY-----/;

/** The certificates of a PEM file; the first is the one that is presented, and it must be valid now. */
export async function readCertificates(
  path: string,
  nowMs: number = systemClock.now(),
): Promise<{ readonly leaf: X509Certificate; readonly all: readonly X509Certificate[] } | PemProblem> {
  const file = await readSmallFile(path);
  if ("problem" in file) return file;
  const all: X509Certificate[] = [];
  try {
    for (const [block] of file.text.matchAll(CERTIFICATE)) all.push(new X509Certificate(block));
  } catch {
    return { problem: "holds a certificate that cannot be read" };
  }
  const [leaf] = all;
  if (leaf === undefined) return { problem: "holds no certificate in PEM form" };
  const problem = validity(leaf, nowMs);
  return problem === undefined ? { leaf, all } : { problem };
}

/** The private key of a PEM file. An encrypted one is refused: nobody is there to type its password. */
export async function readPrivateKey(path: string): Promise<{ readonly key: KeyObject } | PemProblem> {
  const file = await readSmallFile(path);
  return "problem" in file ? file : parsePrivateKey(file.text);
}

/** The first private key in a PEM text. */
export function parsePrivateKey(text: string): { readonly key: KeyObject } | PemProblem {
  const match = PRIVATE_KEY.exec(text);
  // A traditional encrypted key names its cipher in a header with dashes, which the expression above does not take.
  if (/BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(text)) {
    return { problem: "holds an encrypted private key; remove its password" };
  }
  if (match === null) return { problem: "holds no private key in PEM form" };
  try {
    return { key: createPrivateKey(match[0]) };
  } catch {
    return { problem: "holds a private key that cannot be read" };
  }
}

/** True for the curve that APNs, VAPID and ES256 use. */
export function isP256(key: KeyObject): boolean {
  return key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === "prime256v1";
}

/** Why a certificate and a key are no pair; undefined when they are one. */
export function checkKeyPair(certificate: X509Certificate, key: KeyObject): string | undefined {
  return certificate.checkPrivateKey(key)
    ? undefined
    : "its certificate and the private key do not belong together";
}

function validity(certificate: X509Certificate, nowMs: number): string | undefined {
  if (certificate.validToDate.getTime() <= nowMs)
    return `its certificate expired on ${day(certificate.validToDate)}`;
  if (certificate.validFromDate.getTime() > nowMs) {
    return `its certificate is not valid before ${day(certificate.validFromDate)}`;
  }
  return undefined;
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
