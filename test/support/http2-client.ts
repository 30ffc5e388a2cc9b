/**
 * The `upstream` section of every gateway that tests start: its HTTP/2 client is the default, or what
 * `SIGNALBOX_TEST_HTTP2` names, so that all they check can be checked with either.
 */
export function upstreamOfTests(): Readonly<Record<string, unknown>> {
  const client = process.env["SIGNALBOX_TEST_HTTP2"];
  return client === undefined ? {} : { upstream: { http2: client } };
}

/** The same for a pushkin that a test makes by itself. */
export function http2ClientOfTests(): { readonly http2Client?: "node" | "lean" } {
  const client = process.env["SIGNALBOX_TEST_HTTP2"];
  return client === "node" || client === "lean" ? { http2Client: client } : {};
}
