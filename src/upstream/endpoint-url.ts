import { isIP } from "node:net";

/** webpush.md 5. */
const MAX_URL_LENGTH = 2_048;

/** A user-supplied endpoint as the one parser has read it. */
export interface Endpoint {
  /** What is sent to: re-serialised, without a dot at the host's end. */
  readonly url: URL;
  /** Lower case, ASCII; of an IPv6 literal what stands between the brackets. */
  readonly host: string;
  /** 0 when the host is a name. */
  readonly literal: 0 | 4 | 6;
  readonly port: number;
  readonly isPlainHttp: boolean;
  /** It names a user or a fragment: no push service gives out such an endpoint. */
  readonly isOdd: boolean;
}

/**
 * Reads an endpoint with the parser whose result is connected to, so that no other reading of it counts. Spellings
 * such as `0x7f.1` come out as the address they mean. Undefined when it is no http(s) URL, or too long.
 */
export function parseEndpoint(text: string): Endpoint | undefined {
  if (text.length > MAX_URL_LENGTH || text.includes("\0")) return undefined;
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) return undefined;
  if (url.hostname.endsWith(".")) url.hostname = url.hostname.replace(/\.+$/, "");
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (host === "" || host.endsWith(".") || url.href.length > MAX_URL_LENGTH) return undefined;
  const isPlainHttp = url.protocol === "http:";
  const literal = isIP(host);
  return {
    url,
    host,
    literal: literal === 4 || literal === 6 ? literal : 0,
    port: url.port === "" ? (isPlainHttp ? 80 : 443) : Number(url.port),
    isPlainHttp,
    isOdd: url.username !== "" || url.password !== "" || url.hash !== "",
  };
}
