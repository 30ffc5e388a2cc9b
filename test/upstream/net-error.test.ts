import { classifyNetError } from "../../src/upstream/net-error.ts";

describe("a Node error's class", () => {
  it.each([
    ["ENOTFOUND", "dns"],
    ["EAI_AGAIN", "dns"],
    ["ECONNREFUSED", "refused"],
    ["EHOSTUNREACH", "unreachable"],
    ["ENETUNREACH", "unreachable"],
    ["ECONNRESET", "reset"],
    ["EPIPE", "reset"],
    ["ETIMEDOUT", "timeout"],
    ["ERR_SSL_WRONG_VERSION_NUMBER", "tls"],
    ["ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL", "no-h2"],
    ["CERT_HAS_EXPIRED", "tls"],
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "tls"],
    ["SELF_SIGNED_CERT_IN_CHAIN", "tls"],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "tls"],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "tls"],
    ["ERR_HTTP2_SESSION_ERROR", "protocol"],
    ["ERR_HTTP2_ERROR", "protocol"],
    ["HPE_INVALID_CONSTANT", "protocol"],
    ["EMFILE", "local"],
    ["EADDRNOTAVAIL", "local"],
    ["ESOMETHING", "other"],
  ])("%s is %s", (code, expected) => {
    expect(classifyNetError(Object.assign(new Error("text"), { code }))).toEqual({
      class: expected,
      detail: code,
    });
  });

  it("of several addresses tried is that of the first", () => {
    const tried = ["ENETUNREACH", "ECONNREFUSED"].map((code) => Object.assign(new Error(), { code }));
    expect(classifyNetError(new AggregateError(tried))).toEqual({
      class: "unreachable",
      detail: "ENETUNREACH",
    });
  });

  it.each([[undefined], [null], ["text"], [7], [new Error("no code")], [{ code: 7 }]])(
    "of %p is other",
    (error) => {
      expect(classifyNetError(error)).toEqual({ class: "other" });
    },
  );
});
