import { compileGlob, type Glob } from "../../core/glob.ts";
import type { Endpoint } from "../../upstream/endpoint-url.ts";

/** A host, or a host with a port, each a glob. */
interface Pattern {
  readonly host: Glob;
  /** Absent: whatever the endpoint's is. */
  readonly port?: Glob;
}

/**
 * The hosts that an app may send to: whole names, lower case, by the parsed URL alone, in time linear in the pattern
 * (sygnal-compat 4.3). A pattern without a port fits an endpoint that writes one (G-29).
 */
export class AllowedEndpoints {
  readonly #patterns: readonly Pattern[];

  /** @param patterns none = every host */
  constructor(patterns: readonly string[]) {
    this.#patterns = patterns.map(parsePattern);
  }

  allows({ host, port }: Endpoint): boolean {
    if (this.#patterns.length === 0) return true;
    return this.#patterns.some(
      (pattern) =>
        pattern.host.matches(host) && (pattern.port === undefined || pattern.port.matches(String(port))),
    );
  }
}

/** `host`, `host:port`, `[v6]`, `[v6]:port`; in a bare IPv6 address the last colon begins no port. */
function parsePattern(text: string): Pattern {
  const pattern = text.trim().toLowerCase();
  const match = /^(\[[^\]]*\]|[^:]*)(?::([\d*?]+))?$/.exec(pattern);
  const host = (match?.[1] ?? pattern).replace(/^\[|\]$/g, "").replace(/\.$/, "");
  return {
    host: compileGlob(host),
    ...(match?.[2] === undefined ? {} : { port: compileGlob(match[2]) }),
  };
}
