import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import type { KeyObject } from "node:crypto";
import { isIPv4, SocketAddress } from "node:net";
import * as der from "./der.ts";

const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";
const COMMON_NAME = "2.5.4.3";
const USER_ID = "0.9.2342.19200300.100.1.1";
/** Apple's extensions (apns.md section 4): the environments of a push certificate, and its topics. */
const APPLE_SANDBOX = "1.2.840.113635.100.6.3.1";
const APPLE_PRODUCTION = "1.2.840.113635.100.6.3.2";
const APPLE_TOPICS = "1.2.840.113635.100.6.3.6";
const DAY_MS = 86_400_000;

/** A certificate and its private key, both PEM. */
export interface KeyAndCertificate {
  readonly certPem: string;
  readonly keyPem: string;
  /** SHA-256 over the DER form, upper-case hex with colons, as Node's TLS reports a peer's certificate. */
  readonly fingerprint256: string;
}

/** What an APNs client certificate allows. */
export interface ApnsCertificateGrant {
  /** The first is the subject's UID and the default topic. */
  readonly topics: readonly string[];
  readonly environments: readonly ("production" | "sandbox")[];
}

/** A certificate authority that lives as long as the process. */
export interface CertificateAuthority {
  readonly certPem: string;
  /** A server certificate for these names and addresses. */
  issueServer(hosts: readonly string[]): KeyAndCertificate;
  /** A client certificate as Apple makes them for APNs: subject UID, environments and topics as extensions. */
  issueApnsClient(grant: ApnsCertificateGrant): KeyAndCertificate;
}

interface Template {
  readonly subject: Buffer;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Buffer[];
}

/** Makes a new EC P-256 authority. Everything it issues is valid from a day before `nowMs` for `days` days. */
export function createAuthority(commonName: string, nowMs: number, days = 365): CertificateAuthority {
  const authority = newKeyPair();
  const issuer = name([COMMON_NAME, commonName]);
  const signCertificate = (template: Template): Buffer => {
    const algorithm = der.sequence(der.objectIdentifier(ECDSA_WITH_SHA256));
    const toBeSigned = der.sequence(
      der.explicit(0, der.unsignedInteger(Buffer.from([2]))),
      der.unsignedInteger(randomBytes(16)),
      algorithm,
      issuer,
      der.sequence(der.time(nowMs - DAY_MS), der.time(nowMs + days * DAY_MS)),
      template.subject,
      spki(template.publicKey),
      der.explicit(3, der.sequence(...template.extensions, authorityKeyId(authority.publicKey))),
    );
    const signature = sign("sha256", toBeSigned, { key: authority.privateKey, dsaEncoding: "der" });
    return der.sequence(toBeSigned, algorithm, der.bitString(signature));
  };
  const issue = (subject: Buffer, extensions: readonly Buffer[]): KeyAndCertificate => {
    const pair = newKeyPair();
    const certificate = signCertificate({
      subject,
      publicKey: pair.publicKey,
      extensions: [
        extension("2.5.29.19", der.sequence(), true),
        extension("2.5.29.15", der.bitString(Buffer.from([0x80]), 7), true), // digitalSignature
        subjectKeyId(pair.publicKey),
        ...extensions,
      ],
    });
    return {
      certPem: pem(certificate),
      keyPem: pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      fingerprint256: new X509Certificate(certificate).fingerprint256,
    };
  };
  return {
    certPem: pem(
      signCertificate({
        subject: issuer,
        publicKey: authority.publicKey,
        extensions: [
          extension("2.5.29.19", der.sequence(der.boolean(true)), true),
          extension("2.5.29.15", der.bitString(Buffer.from([0x06]), 1), true), // keyCertSign, cRLSign
          subjectKeyId(authority.publicKey),
        ],
      }),
    ),
    issueServer: (hosts) =>
      issue(name([COMMON_NAME, hosts[0] ?? "localhost"]), [
        extendedKeyUsage("1.3.6.1.5.5.7.3.1"),
        extension("2.5.29.17", der.sequence(...hosts.map(generalName))),
      ]),
    issueApnsClient: ({ topics, environments }) =>
      issue(name([USER_ID, topics[0] ?? ""], [COMMON_NAME, `Apple Push Services: ${topics[0] ?? ""}`]), [
        extendedKeyUsage("1.3.6.1.5.5.7.3.2"),
        ...environments.map((environment) =>
          extension(environment === "sandbox" ? APPLE_SANDBOX : APPLE_PRODUCTION, der.nothing()),
        ),
        extension(
          APPLE_TOPICS,
          der.sequence(
            ...topics.flatMap((topic) => [
              der.utf8String(topic),
              der.sequence(der.utf8String(topicKind(topic))),
            ]),
          ),
        ),
      ]),
  };
}

function newKeyPair(): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

function pem(certificate: Buffer): string {
  return new X509Certificate(certificate).toString();
}

function spki(key: KeyObject): Buffer {
  return key.export({ type: "spki", format: "der" });
}

/** A distinguished name of these attributes, in order. */
function name(...attributes: readonly (readonly [oid: string, value: string])[]): Buffer {
  return der.sequence(
    ...attributes.map(([oid, value]) =>
      der.setOfOne(der.sequence(der.objectIdentifier(oid), der.utf8String(value))),
    ),
  );
}

function extension(oid: string, value: Buffer, critical = false): Buffer {
  const head = critical ? [der.objectIdentifier(oid), der.boolean(true)] : [der.objectIdentifier(oid)];
  return der.sequence(...head, der.octetString(value));
}

function extendedKeyUsage(purpose: string): Buffer {
  return extension("2.5.29.37", der.sequence(der.objectIdentifier(purpose)));
}

function keyId(key: KeyObject): Buffer {
  return createHash("sha1").update(spki(key)).digest();
}

function subjectKeyId(key: KeyObject): Buffer {
  return extension("2.5.29.14", der.octetString(keyId(key)));
}

function authorityKeyId(key: KeyObject): Buffer {
  return extension("2.5.29.35", der.sequence(der.implicit(0, keyId(key))));
}

/** One subjectAltName: an iPAddress (4 or 16 bytes) or a dNSName. */
function generalName(host: string): Buffer {
  const address = addressBytes(host);
  return address === undefined ? der.implicit(2, Buffer.from(host, "ascii")) : der.implicit(7, address);
}

function addressBytes(host: string): Buffer | undefined {
  if (isIPv4(host)) return Buffer.from(host.split(".").map(Number));
  const parsed = SocketAddress.parse(`[${host}]:0`);
  if (parsed === undefined) return undefined;
  const [head = "", tail] = parsed.address.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups = [...left, ...new Array<string>(8 - left.length - right.length).fill("0"), ...right];
  return Buffer.from(groups.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]));
}

/** The kind Apple notes beside a topic in the certificate. */
function topicKind(topic: string): string {
  return /\.(voip|complication)$/.exec(topic)?.[1] ?? "app";
}
