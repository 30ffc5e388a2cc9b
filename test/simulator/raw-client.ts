import { sign } from "node:crypto";
import { connect } from "node:http2";
import type { ClientHttp2Session, IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import type { Credentials } from "../../src/simulator/credentials.ts";
import type { ApnsKey } from "../../src/simulator/provider-token.ts";

/** What came back for one request. */
export interface RawAnswer {
  /** 0 when there were no headers. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly rstCode: number;
}

/** A bare HTTP/2 connection that sends what it is told and notes what it sees. */
export class RawClient {
  readonly session: ClientHttp2Session;
  readonly limits: number[] = [];
  readonly goaways: { code: number; lastStreamId: number; data: string }[] = [];
  readonly closed: Promise<void>;

  private constructor(session: ClientHttp2Session) {
    this.session = session;
    session.on("error", () => {});
    session.on("remoteSettings", (settings) => this.limits.push(settings.maxConcurrentStreams ?? -1));
    session.on("goaway", (code, lastStreamId, data) =>
      this.goaways.push({ code, lastStreamId, data: data === undefined ? "" : Buffer.from(data).toString() }),
    );
    this.closed = new Promise((resolve) => session.once("close", resolve));
  }

  /** Connects and waits for the first SETTINGS. */
  static async connect(
    url: string,
    credentials: Pick<Credentials, "caPem">,
    client?: { readonly certPem: string; readonly keyPem: string },
  ): Promise<RawClient> {
    const session = connect(url, {
      ca: credentials.caPem,
      ...(client === undefined ? {} : { cert: client.certPem, key: client.keyPem }),
    });
    const raw = new RawClient(session);
    await new Promise((resolve, reject) => {
      session.once("remoteSettings", resolve);
      session.once("error", reject);
    });
    return raw;
  }

  request(headers: OutgoingHttpHeaders, body: string | Buffer = ""): Promise<RawAnswer> {
    return new Promise((resolve) => {
      const stream = this.session.request({ ":method": "POST", ...headers });
      let head: IncomingHttpHeaders & { readonly ":status"?: number | undefined } = {};
      const chunks: Buffer[] = [];
      stream.on("error", () => {});
      stream.on("response", (received) => (head = received));
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("close", () =>
        resolve({
          status: head[":status"] ?? 0,
          headers: head,
          body: Buffer.concat(chunks).toString("utf8"),
          rstCode: stream.rstCode ?? 0,
        }),
      );
      stream.end(body);
    });
  }

  close(): Promise<void> {
    this.session.destroy();
    return this.closed;
  }
}

/** A JWS in compact form. */
export function jws(header: object, claims: object, signer: (data: Buffer) => Buffer): string {
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
  const data = `${encode(header)}.${encode(claims)}`;
  return `${data}.${signer(Buffer.from(data)).toString("base64url")}`;
}

/** An APNs provider token. */
export function providerToken(key: ApnsKey, nowMs: number, claims: object = {}, header: object = {}): string {
  return jws(
    { alg: "ES256", kid: key.keyId, ...header },
    { iss: key.teamId, iat: Math.floor(nowMs / 1000), ...claims },
    (data) => sign("sha256", data, { key: key.keyPem, dsaEncoding: "ieee-p1363" }),
  );
}

/** An RFC 7523 assertion of the credentials' service account. */
export function assertion(
  credentials: Credentials,
  tokenUri: string,
  nowMs: number,
  claims: object = {},
  header: object = {},
): string {
  const account = credentials.serviceAccount(tokenUri);
  const iat = Math.floor(nowMs / 1000);
  return jws(
    { alg: "RS256", typ: "JWT", kid: account.private_key_id, ...header },
    {
      iss: account.client_email,
      scope: "https://www.googleapis.com/auth/firebase.messaging",
      aud: tokenUri,
      iat,
      exp: iat + 3600,
      ...claims,
    },
    (data) => sign("sha256", data, account.private_key),
  );
}
